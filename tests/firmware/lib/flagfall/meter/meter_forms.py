# Compiled tariffs for the tests, packed by hand from the layout in docs/tariffs.md, and a driver.
# MIT licence, (c) 2026 The Flagfall contributors.

import struct
from binascii import crc32

from flagfall.clock import seconds_from_civil
from flagfall.meter.tariff import FEE, FLAGFALL, HEADER, RATE, SURCHARGE, WINDOW, Tariff
from flagfall.meter.taximeter import Taximeter
from flagfall.meter.totals import Totals

ALL_DAYS = 255
NOON = seconds_from_civil(2026, 11, 24, 4)  # a Tuesday, 12:00 at UTC+8


def pack(
    mode=2,
    flags=0,
    threshold=12000,
    free_ms=0,
    rounding=(1, 0),
    discount=(0, 0),
    cap=0,
    offset=480,
    summer=(0, 0, 0, 0, 0, 0, 0, 0, 0),
    windows=(),
    holidays=(),
    options=(),
    flagfalls=((0, 0, 0, 1000, 25000000, 0),),
    distances=((0, 0, 0, 0, 0, 200, 10000000, 10),),
    times=((0, 0, 0, 0, 0, 40, 60000, 0),),
    surcharges=(),
    fees=(),
    name="test",
):
    body = b"".join(bytes([len(t)]) + t.encode() for t in (name, "Test"))
    for row in windows:
        body += struct.pack(WINDOW, *row)
    for day in holidays:
        body += struct.pack("<H", day)
    for option in options:
        body += bytes([len(option)]) + option.encode()
    for layout, rows in (
        (FLAGFALL, flagfalls),
        (RATE, distances),
        (RATE, times),
        (SURCHARGE, surcharges),
        (FEE, fees),
    ):
        for row in rows:
            body += struct.pack(layout, *row)
    counts = [len(windows), len(holidays), len(options), len(flagfalls)]
    counts += [len(distances), len(times), len(surcharges), len(fees)]
    head = [b"FFT1", 1, 2, 156, struct.calcsize(HEADER) + len(body) + 4, 7, 0, 0, offset]
    head += list(summer) + [mode, flags, threshold, free_ms] + list(rounding) + list(discount)
    blob = struct.pack(HEADER, *(head + [cap] + counts)) + body
    return blob + struct.pack("<I", crc32(blob))


HEFEI = {
    "free_ms": 180000,
    "windows": (
        (1380, 300, ALL_DAYS, 0, 65535),
        (450, 570, ALL_DAYS, 0, 65535),
        (1020, 1140, ALL_DAYS, 0, 65535),
    ),
    "distances": (
        (0, 0, 0, 0, 0, 200, 10000000, 10),
        (0, 0, 0, 120000000, 0, 300, 10000000, 10),
    ),
    "times": ((0, 0, 0, 0, 0, 40, 60000, 0), (6, 0, 0, 0, 0, 60, 60000, 0)),
    "surcharges": ((1, 0, 0, 3, 20),),
}
HONG_KONG = {
    "mode": 0,
    "flags": 2,
    "threshold": 0,
    "flagfalls": ((0, 0, 0, 2700, 20000000, 0),),
    "distances": (
        (0, 0, 0, 0, 0, 190, 2000000, 190),
        (0, 0, 0, 0, 9350, 130, 2000000, 130),
    ),
    "times": ((0, 0, 0, 0, 0, 190, 60000, 0), (0, 0, 0, 0, 9350, 130, 60000, 0)),
}


class Drive:
    """A cab with a taximeter: time in ms, distance in mm, `step` ms between two calls."""

    def __init__(self, tariff, k=1000, utc_s=NOON, options=0, step=100, count=5000, ticks=0):
        self.meter = Taximeter(Tariff(tariff), k, Totals())
        self.k = k
        self.step = step
        self.mm = 0
        self.now = 0
        self.base = count
        self.ticks = ticks
        self.call()
        self.meter.hire(self.ms(), utc_s, options)

    def ms(self):
        return (self.ticks + self.now) & 0x3FFFFFFF

    def call(self):
        self.meter.advance(self.base + self.mm * self.k // 1000000, self.ms())

    def go(self, ms, mm=0):
        """Drive `mm` in `ms` at an even speed."""
        start, at, end = self.now, self.mm, self.now + ms
        while self.now < end:
            self.now = min(self.now + self.step, end)
            self.mm = at + mm * (self.now - start) // ms
            self.call()
        return self

    def metres(self, metres, kmh=50):
        return self.go(metres * 3600 // kmh, metres * 1000)

    def stop(self):
        self.meter.stop(self.ms())
        return self.meter
