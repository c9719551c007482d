"""Drive trips through the firmware's taximeter: runs on MicroPython and on CPython alike.

`micropython trip_runner.py < jobs.json` prints one JSON line for each job. A job is
    {"tariff": hex, "k": 1000, "utc_s": s, "options": mask, "supplements": minor,
     "phase": um, "calls": [ms, ...], "segments": [[ms, um at first speed, um at last speed], ...]}
The speed changes evenly within a segment: one of [1000, a, b] begins at a um/s, ends at b um/s and
is (a + b) / 2 um long. `calls` is the pattern of intervals between two calls of advance, over and
over; a call is made at the end of each segment too. `phase` is how far before the start the last
pulse was.
"""

import json
import sys

from flagfall.meter.tariff import Tariff
from flagfall.meter.taximeter import Taximeter
from flagfall.meter.totals import Totals

_UM_KM = 1000000000


def run_trip(job, watch=None):
    """Run one job; `watch(meter, ms)` is called after each advance. Return what the meter says."""
    tariff = Tariff(bytes.fromhex(job["tariff"]))
    k = job["k"]
    meter = Taximeter(tariff, k, Totals())
    meter.advance(0, 0)
    meter.hire(0, job["utc_s"], job.get("options", 0))
    if job.get("supplements"):
        meter.add_supplement(job["supplements"])
    windows = meter._fare.windows
    calls = job.get("calls") or [100]
    call = 0
    due = calls[0]
    start = job.get("phase", 0)
    now = 0
    for ms, first, last in job["segments"]:
        end = now + ms
        begin = now
        while now < end:
            if due < end:
                now = due
                call += 1
                due += calls[call % len(calls)]
            else:
                now = end
            t = now - begin
            x = start + (2 * first * ms * t + (last - first) * t * t) // (2 * ms * ms)
            meter.advance(x * k // _UM_KM, now & 0x3FFFFFFF)
            windows |= meter._fare.windows
            if watch:
                watch(meter, now)
        start += (first + last) // 2
        if due <= now:
            call += 1
            due = now + calls[call % len(calls)]
    meter.stop(now & 0x3FFFFFFF)
    return {
        "fare": meter.fare,
        "supplements": meter.supplements,
        "flagfall": meter.flagfall,
        "fees": meter.fees,
        "metered": meter._fare.metered,
        "begun": meter._fare.begun_amount(),
        "distance_mm": meter.distance_mm,
        "pulses": meter.pulses_hired,
        "slow_ms": meter.slow_ms,
        "hired_ms": meter.hired_ms,
        "distance_steps": meter._fare.main.steps,
        "time_steps": meter._fare.own.steps,
        "windows": windows,
        "unit_price": meter.unit_price,
        "faults": meter.faults,
        "runtime": sys.implementation.name,
    }


def main():
    for job in json.loads(sys.stdin.read()):
        print(json.dumps(run_trip(job)))  # noqa: T201


if __name__ == "__main__":
    main()
