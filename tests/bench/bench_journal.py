"""The journal beside real littlefs, over the same NOR model, in MicroPython.

Bytes programmed and read, erases, and device time by Espressif's table (boards/bench/nor_flash).
Then, on CPython: mount cost at each size. Then whole taps on the bench unit: whether a sector is
erased on the way of one, and how many of them with their trips a journal holds.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OUT = ROOT / "build" / "bench" / "journal.json"
sys.path[:0] = [str(ROOT / "boards" / "bench"), str(ROOT / "tests")]

import taps_and_flash  # noqa: E402
from bench_taxi import Garage  # noqa: E402
from flagfall.journal import schema  # noqa: E402
from flagfall.journal.ring import Journal  # noqa: E402
from flagfall_host.metering.trips import (  # noqa: E402
    micropython_environment,
    micropython_program,
)
from nor_flash import BLOCK, NorFlash  # noqa: E402

_TIME_LIMIT_S = 300
_CYCLES = 100_000  # erases that a sector stands, typical (Espressif's FAQ)


def loads() -> dict[tuple[str, int], dict[str, Any]]:
    places = ROOT / "boards" / "bench"
    environment = micropython_environment()
    environment["MICROPYPATH"] += f":{places}"
    run = subprocess.run(
        [micropython_program(), "-X", "heapsize=16M", str(HERE / "journal_load.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"the load did not run:\n{run.stdout}{run.stderr}")
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    return {(row["scheme"], row["size"]): row for row in rows}


def years(row: dict[str, Any], sectors: int) -> float:
    """Years until a ring of so many sectors has had its cycles, at one record a second."""
    erases = max(row["erases"], 1) / row["records"]
    if row["scheme"] == "journal":
        slot = (row["size"] + 31) // 32 * 32
        erases = 1 / (4064 // slot)
    return sectors * _CYCLES / erases / (365 * 86400)


def mount_bytes(sectors: int) -> int:
    """Bytes read by a mount of a ring of so many sectors that has wrapped, or nearly."""
    flash = NorFlash(sectors * BLOCK)
    journal = Journal(flash, bytes(32))
    journal.mount(1)
    worst = 0
    for i in range(sectors * 3 + 7):
        journal.append(schema.EVENT, bytes(1190), i)
        if i % 30 == 29:
            record = next(journal.read(journal.last_seq))
            journal.acknowledge(record.epoch, record.seq, record.mac[:4], i)
    for _ in range(3):
        before = flash.read_bytes
        Journal(flash, bytes(32)).mount(1)
        worst = max(worst, flash.read_bytes - before)
        journal.append(schema.EVENT, bytes(1190), 1)
    return worst


def whole_taps() -> list[dict[str, Any]]:
    """Rows from rides by card and torn taps on the bench unit: erases, and room for them."""
    with tempfile.TemporaryDirectory() as name:
        garage = Garage(Path(name) / "garage")
        trace, rides = taps_and_flash.a_day_of_taps(garage, Path(name) / "taxi")
    taps = taps_and_flash.taps_in(trace)
    inside = sum(len(taps_and_flash.erases_in(lines)) for lines in taps)
    held = taps_and_flash.taps_held(rides, 4 << 20)
    return [
        row(
            "whole taps on the unit, from the card found to the tone",
            "no erase",
            f"{inside} erases in {len(taps)} taps, {len(taps_and_flash.erases_in(trace))} "
            "before and after",
            inside == 0 and bool(taps),
        ),
        row("taps with their trips in 4 MiB, as the unit records them", ">= 6,000",
            f"{held:,}", held >= 6000),
    ]  # fmt: skip


def row(name: str, goal: str, figure: str, met: bool) -> dict[str, Any]:
    return {"name": f"journal: {name}", "goal": goal, "figure": figure, "met": met}


def main() -> int:
    cost = loads()
    rows = []
    for size in (64, 200, 500):
        ours = cost["journal", size]
        slot = (size + 31) // 32 * 32
        ratio = ours["programmed"] / (ours["records"] * slot)
        rows.append(
            row(f"{size} B, programmed per byte of slot", "<= 1.05", f"{ratio:.3f}", ratio <= 1.05)
        )
        rows.append(
            row(
                f"{size} B, worst append (flash time)",
                "< 3 ms, no erase",
                f"{ours['worst_us'] / 1000:.2f} ms, {ours['tap_erases']} erases; with the erases "
                f"when idle {ours['erases'] / ours['records']:.2f} a record, mean "
                f"{ours['us'] / ours['records'] / 1000:.1f} ms, "
                f"{ours['read'] / ours['records']:.0f} B read",
                ours["worst_us"] < 3000 and ours["tap_erases"] == 0,
            )
        )
        for scheme in ("flush", "close", "files"):
            theirs = cost[f"littlefs, {scheme}", size]
            times = theirs["programmed"] / ours["programmed"]
            strict = size == 64 and scheme != "files"
            rows.append(
                row(
                    f"{size} B, bytes programmed, littlefs ({scheme}) against ours",
                    ">= 30 times" if strict else "for comparison",
                    f"{times:.1f} times ({theirs['programmed'] / theirs['records']:.0f} B, "
                    f"{theirs['erases'] / theirs['records']:.2f} erases, "
                    f"{theirs['read'] / theirs['records']:.0f} B read, mean "
                    f"{theirs['us'] / theirs['records'] / 1000:.1f} ms, worst "
                    f"{theirs['worst_us'] / 1000:.0f} ms)",
                    times >= 30 if strict else True,
                )
            )
    theirs = cost["littlefs, flush", 64]
    rows.append(
        row(
            "life of 512 KiB at one 64-B checkpoint a second",
            ">= 20 years",
            f"{years(cost['journal', 64], 128):.1f} years; littlefs {years(theirs, 128):.1f}",
            years(cost["journal", 64], 128) >= 20,
        )
    )
    mounts = {n: mount_bytes(n) for n in (16, 64, 256, 1024, 2048)}
    rows.append(
        row(
            "bytes read by a mount at 1 MiB",
            "< 12,288",
            f"{mounts[256]:,}; " + ", ".join(f"{n * 4} KiB {b:,}" for n, b in mounts.items()),
            mounts[256] < 12288 and mounts[2048] - mounts[16] < 32 * 7 * 8,
        )
    )
    rows.append(
        row(
            "bytes read by a mount that finds the newest of 400 records of 64 B",
            "for comparison",
            f"{cost['journal', 64]['mount_bytes']:,}; littlefs (flush) {theirs['mount_bytes']:,}, "
            f"(files) {cost['littlefs, files', 64]['mount_bytes']:,}",
            True,
        )
    )
    rows += whole_taps()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(r["met"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
