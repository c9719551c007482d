"""The heap that the firmware needs for the demo's shift, on the 64-bit unix port.

Objects there are twice an ESP32's, and the firmware's byte code lies in the heap, where a board
has it in flash: both make the figure larger than a board's. The smallest heap with which the
whole shift passes is searched for in steps, because `gc.mem_alloc` also counts what the collector
has not looked at yet.
"""

import json
import sys
import tempfile
from pathlib import Path

from flagfall_host.bench.demo import play
from flagfall_host.bench.stage import Silent
from flagfall_host.errors import FlagfallError

OUT = Path(__file__).parents[2] / "build" / "bench" / "heap.json"
GOAL_K = 512
STEP_K = 16
LEAST_K = 320


def passes(heap_k: int) -> int | None:
    """The peak that the unit reports, bytes; None if the shift does not pass."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return play(Path(folder) / "demo", 1, Silent(), heap=f"{heap_k}K").heap_peak
        except FlagfallError:
            return None


def main() -> int:
    peak = passes(GOAL_K)
    rows = [
        {
            "name": "demo with -X heapsize=512K",
            "goal": "passes",
            "figure": f"passes, peak {peak} bytes allocated" if peak else "does not pass",
            "met": peak is not None,
        }
    ]
    if peak is not None:
        low, high = LEAST_K, GOAL_K  # low is taken to fail
        while high - low > STEP_K:
            middle = (low + high) // 2 // STEP_K * STEP_K
            if passes(middle) is None:
                low = middle
            else:
                high = middle
        rows.append(
            {
                "name": "smallest heap with which the demo passes",
                "goal": f"<= {GOAL_K}K",
                "figure": f"{high}K (in steps of {STEP_K}K)",
                "met": high <= GOAL_K,
            }
        )
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
