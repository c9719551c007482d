# What bench_meter.py runs in MicroPython: `micropython meter_load.py WHAT FORM CALLS`.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# WHAT is `engine` (the firmware's taximeter), `naive` (the same tariff in floats, the way it is
# written first) or `memory` (bytes allocated by CALLS calls of the engine).

import gc
import sys

from flagfall.meter.tariff import Tariff
from flagfall.meter.taximeter import Taximeter
from flagfall.meter.totals import Totals

K = 4000


class NaiveMeter:
    """Hefei by day in floats: speed from the last window of pulses, money as a float."""

    def __init__(self):
        self.fare = 10.0
        self.metres = 0.0
        self.slow_s = 0.0
        self.pulses = None
        self.ms = None

    def advance(self, pulses, ms):
        if self.pulses is None:
            self.pulses, self.ms = pulses, ms
        metres = (pulses - self.pulses) * 1000.0 / K
        seconds = (ms - self.ms) / 1000.0
        self.pulses, self.ms = pulses, ms
        if seconds <= 0:
            return
        self.metres += metres
        if metres / seconds * 3.6 < 12.0:
            self.slow_s += seconds
            if self.slow_s > 180.0:
                hour = (12.0 + ms / 3600000.0) % 24.0
                peak = 7.5 <= hour < 9.5 or 17.0 <= hour < 19.0
                self.fare += seconds * (0.6 if peak else 0.4) / 60.0
        if self.metres > 12000.0:
            self.fare += metres * 3.0 / 1000.0
        elif self.metres > 2500.0:
            self.fare += metres * 2.0 / 1000.0


def drive(meter, calls):
    """Stop and go at 100 ms a call: 0 to 50 km/h, a stand, again."""
    pulses = ms = i = 0
    while i < calls:
        phase = i % 600
        if phase < 400:
            pulses += (phase if phase < 200 else 400 - phase) * 6 // 200
        ms += 100
        meter.advance(pulses, ms)
        i += 1


def main(what, form, calls):
    if what == "naive":
        drive(NaiveMeter(), calls)
        return
    with open(form, "rb") as f:
        meter = Taximeter(Tariff(f.read()), K, Totals())
    meter.advance(0, 0)
    meter.hire(0, 9 * 3600)
    gc.collect()
    if what == "memory":
        gc.disable()
        before = gc.mem_alloc()
        drive(meter, calls)
        print(gc.mem_alloc() - before)
    else:
        drive(meter, calls)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
