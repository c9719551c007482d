"""How many seeds the simulation takes to catch each bug on purpose, and how fast it runs.

`make bench` gives up on a bug after a few seeds, the soak (FLAGFALL_SOAK=1) after 1,000.
"""

import os
import time
import warnings

from flagfall_host.simulation import bugs, firmware_modules
from flagfall_host.simulation.simulation import run

MOST_SEEDS = 1_000 if os.environ.get("FLAGFALL_SOAK") else 25
UNITS, HOURS = 2, 3.0
TAPS_PER_HOUR_GOAL = 1_000_000


def seeds_to_catch(bug: str) -> tuple[int, str]:
    """(the seed that catches it, what it says); 0: none did."""
    for seed in range(1, MOST_SEEDS + 1):
        with bugs.switched_on(bug):
            outcome = run(seed, units=UNITS, hours=HOURS)
        if outcome.violation:
            return seed, outcome.violation
    return 0, ""


def main() -> list[dict[str, object]]:
    warnings.filterwarnings("ignore", module="pyemv")
    firmware_modules.load()
    started, taps = time.process_time(), 0
    for seed in range(1, 6):
        taps += run(seed, units=UNITS, hours=HOURS).taps
    per_core_hour = taps / (time.process_time() - started) * 3_600
    rows: list[dict[str, object]] = []
    for name, what in bugs.described():
        seed, says = seeds_to_catch(name)
        rows.append({"bug": name, "what": what, "seed": seed, "says": says[:120]})
        print(f"{name:28} {seed or 'NOT CAUGHT':>10}  {says[:80]}", flush=True)
    print(f"taps an hour and core: {per_core_hour:.0f}")
    return rows


if __name__ == "__main__":
    main()
