"""Cost of `Taximeter.advance` on MicroPython, beside the same tariff written naively in floats.

Instructions are counted by callgrind on the unix port, as the difference of a long and a short
run, so that starting the interpreter does not count. Memory is `gc.mem_alloc` over 100,000 calls.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from flagfall_host.metering.trips import micropython_environment, micropython_program
from flagfall_host.tariffs.compiler import compile_tariff

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "build" / "bench" / "meter.json"
GOAL_INSTRUCTIONS = 40_000  # about 1 ms on an ESP32 at 240 MHz with code in flash
SHORT, LONG = 200, 2_200
_TIME_LIMIT_S = 300


def instructions(what: str, form: Path, calls: int) -> int:
    """Instructions of one whole run."""
    program = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    program += [micropython_program(), "-X", "heapsize=2M", str(HERE / "meter_load.py")]
    run = subprocess.run(
        [*program, what, str(form), str(calls)],
        env=micropython_environment(),
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=True,
    )
    found = re.search(r"Collected\s*:\s*(\d+)", run.stderr)
    if not found:
        raise SystemExit(f"callgrind gave no count:\n{run.stderr}")
    return int(found.group(1))


def each(what: str, form: Path) -> int:
    """Instructions of one advance."""
    more = instructions(what, form, LONG) - instructions(what, form, SHORT)
    return round(more / (LONG - SHORT))


def bytes_allocated(form: Path) -> int:
    run = subprocess.run(
        [micropython_program(), "-X", "heapsize=2M", str(HERE / "meter_load.py"),
         "memory", str(form), "100000"],
        env=micropython_environment(), capture_output=True, text=True, timeout=_TIME_LIMIT_S,
        check=True,
    )  # fmt: skip
    return int(run.stdout)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name in ("hefei", "hong-kong-urban-2022", "london-2013"):
            form = Path(folder) / name
            form.write_bytes(compile_tariff(name))
            count = each("engine", form)
            rows.append(
                {
                    "name": f"meter: instructions of an advance, {name}",
                    "goal": f"<= {GOAL_INSTRUCTIONS:,}",
                    "figure": f"{count:,}",
                    "met": count <= GOAL_INSTRUCTIONS,
                }
            )
        naive = each("naive", form)
        rows.append(
            {
                "name": "meter: the same for Hefei in naive floats",
                "goal": "for comparison",
                "figure": f"{naive:,}",
                "met": True,
            }
        )
        form.write_bytes(compile_tariff("hefei"))
        used = bytes_allocated(form)
        rows.append(
            {
                "name": "meter: bytes allocated by 100,000 advances",
                "goal": "0",
                "figure": str(used),
                "met": used == 0,
            }
        )
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
