"""How many seeds the simulation takes to catch each bug on purpose, and how fast it runs.

The bugs are sought in a small city whose units all have two programs, and files that a power cut
may meet.
`make bench` gives up on a bug after a few seeds, the soak (FLAGFALL_SOAK=1) after 1,000.
"""

import json
import os
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

from flagfall_host.simulation import bugs, firmware_modules
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.simulation import run

MOST_SEEDS = 1_000 if os.environ.get("FLAGFALL_SOAK") else 25
UNITS, HOURS, FAULTS = 2, 0.6, replace(Faults(), two_programs=1.0)
SOAK_UNITS, SOAK_HOURS = 3, 4.0
TAPS, CORES, MINUTES = 1_000_000, 2, 60
OUT = Path(__file__).parents[2] / "build" / "bench" / "simulation.json"


def seeds_to_catch(bug: str) -> tuple[int, str]:
    """(the seed that catches it, what it says); 0: none did."""
    for seed in range(1, MOST_SEEDS + 1):
        with bugs.switched_on(bug):
            outcome = run(seed, units=UNITS, hours=HOURS, faults=FAULTS)
        if outcome.violation:
            return seed, outcome.violation
    return 0, ""


def ms_a_tap() -> float:
    """Milliseconds of a core, by its own time, in the city of `make soak`, all faults at once."""
    run(1, units=1, hours=0.2)
    started, taps = time.process_time(), 0
    for seed in range(1, 4):
        taps += run(seed, units=SOAK_UNITS, hours=SOAK_HOURS).taps
    return (time.process_time() - started) * 1_000 / taps


def main() -> int:
    warnings.filterwarnings("ignore", module="pyemv")
    firmware_modules.load()
    ms = ms_a_tap()
    minutes = TAPS * ms / 60_000 / CORES
    rows = [
        {
            "name": "a million simulated taps with all faults, by the time of two cores",
            "goal": f"<= {MINUTES} minutes",
            "figure": f"{minutes:.0f} minutes: {1_000 / ms:.0f} taps/s a core, {ms:.1f} ms a tap",
            "met": minutes <= MINUTES,
        }
    ]
    print(f"{rows[0]['name']}: {rows[0]['figure']}", flush=True)
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
