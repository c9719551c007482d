"""How many seeds the simulation takes to catch each bug on purpose, and how fast it runs.

`make bench` gives up on a bug after a few seeds, the soak (FLAGFALL_SOAK=1) after 1,000.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

from flagfall_host.simulation import bugs, firmware_modules
from flagfall_host.simulation.simulation import run

MOST_SEEDS = 1_000 if os.environ.get("FLAGFALL_SOAK") else 25
UNITS, HOURS = 2, 3.0
GOAL = 1_000_000
OUT = Path(__file__).parents[2] / "build" / "bench" / "simulation.json"


def seeds_to_catch(bug: str) -> tuple[int, str]:
    """(the seed that catches it, what it says); 0: none did."""
    for seed in range(1, MOST_SEEDS + 1):
        with bugs.switched_on(bug):
            outcome = run(seed, units=UNITS, hours=HOURS)
        if outcome.violation:
            return seed, outcome.violation
    return 0, ""


def taps_an_hour() -> float:
    """Of one core, in its own time, all faults at once."""
    run(1, units=1, hours=0.2)
    started, taps = time.process_time(), 0
    for seed in range(1, 6):
        taps += run(seed, units=UNITS, hours=HOURS).taps
    return taps / (time.process_time() - started) * 3_600


def main() -> int:
    warnings.filterwarnings("ignore", module="pyemv")
    firmware_modules.load()
    rate = taps_an_hour()
    rows = [
        {
            "name": "simulated taps an hour on two cores, all faults",
            "goal": f">= {GOAL:,}",
            "figure": f"{2 * rate:,.0f}",
            "met": 2 * rate >= GOAL,
        }
    ]
    for name, what in bugs.described():
        seed, says = seeds_to_catch(name)
        rows.append(
            {
                "name": f"bug {name}: {what}",
                "goal": f"caught within {MOST_SEEDS} seeds",
                "figure": f"seed {seed}: {says[:90]}" if seed else "not caught",
                "met": bool(seed),
            }
        )
        print(f"{name}: {rows[-1]['figure']}", flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
