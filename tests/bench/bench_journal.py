"""The journal beside real littlefs, over the same NOR model, in MicroPython.

Bytes programmed and read, erases, and device time by Espressif's table (boards/bench/nor_flash).
Then, on CPython: mount cost at each size, and how many taps with their trips a journal holds.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OUT = ROOT / "build" / "bench" / "journal.json"
sys.path[:0] = [str(ROOT / "boards" / "bench")]

from flagfall.journal import schema  # noqa: E402
from flagfall.journal.ring import Journal, JournalFull  # noqa: E402
from flagfall.seal import sealed_size  # noqa: E402
from flagfall_host.metering.trips import (  # noqa: E402
    micropython_environment,
    micropython_program,
)
from nor_flash import BLOCK, NorFlash  # noqa: E402

_TIME_LIMIT_S = 300
_CYCLES = 100_000  # erases that a sector stands, typical (Espressif's FAQ)
_CARD_DATA = 240  # bytes of the card data of a tap, before sealing


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


def taps(sectors: int) -> int:
    """How many card trips (TRIP, PAYMENT, receipt EVENT) fit before cards are refused."""
    flash = NorFlash(sectors * BLOCK)
    journal = Journal(flash, bytes(32))
    journal.mount(1)
    journal.append(schema.KEY, bytes(13 + 256), 0)
    trip = schema.pack(
        schema.TRIP, trip=1, shift=1, start_time=1, end_time=1, distance_mm=1, pulses=1, slow_ms=1,
        hired_ms=1, fare=1, supplements=1, currency=156, paid=schema.CARD, flags=0,
        tariff_version=1, tariff="Hefei, day and night",
    )  # fmt: skip
    payment = schema.pack(
        schema.PAYMENT, trip=1, shift=1, outcome=schema.APPROVED, profile=schema.ECASH, amount=1,
        currency=156, last_digits="0011", atc=1, balance_after=1, torn_seq=0, card_tag=bytes(8),
        reason="", sealed=bytes(sealed_size(_CARD_DATA)),
    )  # fmt: skip
    receipt = schema.pack(schema.EVENT, code=schema.RECEIPT_PRINTED, text="1")
    count = 0
    try:
        while journal.room_for_card():
            journal.append(schema.TRIP, trip, count)
            journal.append(schema.PAYMENT, payment, count)
            journal.append(schema.EVENT, receipt, count)
            count += 1
    except JournalFull:
        pass
    return count


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
                f"{ours['worst_us'] / 1000:.2f} ms, {ours['tap_erases']} erases",
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
    held = taps(1024)
    rows.append(row("taps with their trips in 4 MiB", ">= 6,000", f"{held:,}", held >= 6000))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(r["met"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
