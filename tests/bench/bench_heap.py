"""The heap that the firmware needs for the demo's shift, on the 64-bit unix port.

Objects there are twice an ESP32's, and the firmware's byte code lies in the heap, where a board
has it in flash: both make the figure larger than a board's. The smallest heap with which the
whole shift passes is searched for in steps, because `gc.mem_alloc` also counts what the collector
has not looked at yet.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from flagfall_host.bench.demo import play
from flagfall_host.bench.firmware_build import build
from flagfall_host.bench.stage import Silent
from flagfall_host.bench.unit_process import MICROPYTHON, environment
from flagfall_host.errors import FlagfallError

OUT = Path(__file__).parents[2] / "build" / "bench" / "heap.json"
STEP_K = 16
LEAST_K = 320


class Shift(NamedTuple):
    """One shift and the heap that it should pass with."""

    name: str
    goal_k: int
    uplink: bool


SHIFTS = (
    Shift("the shift, cable", 512, False),
    Shift("the shift, uplink: trips and taps with a TLS upload beside them", 640, True),
)


def passes(shift: Shift, heap_k: int) -> int | None:
    """The peak that the unit reports, bytes; None if the shift does not pass."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "demo"
        try:
            return play(place, 1, Silent(), heap=f"{heap_k}K", uplink=shift.uplink).heap_peak
        except FlagfallError:
            return None


def by_file() -> dict[str, int]:
    """Bytes of the heap that each file of the uplink takes when it is loaded."""
    run = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=4M", Path(__file__).with_name("heap_by_file.py")],
        env=environment(build()),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(run.stdout)


def rows_of(shift: Shift) -> list[dict[str, Any]]:
    goal = shift.goal_k
    peak = passes(shift, goal)
    rows = [
        {
            "name": f"{shift.name}, with -X heapsize={goal}K",
            "goal": "passes",
            "figure": f"passes, peak {peak} bytes allocated" if peak else "does not pass",
            "met": peak is not None,
        }
    ]
    if peak is None:
        return rows
    low, high = LEAST_K, goal  # low is taken to fail
    while high - low > STEP_K:
        middle = (low + high) // 2 // STEP_K * STEP_K
        if passes(shift, middle) is None:
            low = middle
        else:
            high = middle
    rows.append(
        {
            "name": f"{shift.name}: smallest heap with which it passes",
            "goal": f"<= {goal}K",
            "figure": f"{high}K (in steps of {STEP_K}K)",
            "met": high <= goal,
        }
    )
    return rows


def main() -> int:
    rows = [row for shift in SHIFTS for row in rows_of(shift)]
    sizes = by_file()
    largest = sorted(sizes, key=lambda name: -sizes[name])
    rows.append(
        {
            "name": "code of the uplink in the heap (a board has it in flash)",
            "goal": "<= 64000 bytes",
            "figure": f"{sum(sizes.values())} bytes: "
            + ", ".join(f"{name} {sizes[name]}" for name in largest),
            "met": sum(sizes.values()) <= 64_000,
        }
    )
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
