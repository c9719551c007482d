# A tariff in its compiled form: what a unit checks and loads.
# MIT licence, (c) 2026 The Flagfall contributors.
#
#     from flagfall.meter.tariff import Tariff, TariffError
#     tariff = Tariff(blob)     # at most 2,048 bytes; raises TariffError, changes nothing
#     tariff.name .title .version .currency (ISO 4217 numeric) .minor_digits .valid_from
#     tariff.crc                # CRC32 over the form, identifies it in records and snapshots
#
# The layout is described in docs/tariffs.md. Integers are little-endian, distances are in 0.1
# mm, times in ms, money in minor units. A row of a table holds under its condition: any of the
# named windows (none named = always), all of the needed options, none of the excluded ones.
# Where several rows hold, the last one does.

import struct
from binascii import crc32

from flagfall.meter.local_time import LocalTime

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAX_SIZE = 2048
MAGIC = b"FFT1"
FORMAT = 1

MODE_S = const(0)  # single application: time below the threshold, distance above it
MODE_D = const(1)  # double application: distance and time over the whole trip
MODE_PARTIAL_D = const(2)  # distance always, time too below the threshold
MODE_WAITING = const(3)  # time below the threshold only

INCLUSIVE = const(1)  # time counts at the threshold too ("10 km/h or less")
PRECHARGE = const(2)  # "or part": a step is charged when it begins
PRECHARGE_TIME = const(4)  # the same for time steps with a counter of their own
FROZEN = const(8)  # what held at hire holds to the end of the trip

ON_FLAGFALL = const(1)
ON_DISTANCE = const(2)
ON_TIME = const(4)
ON_INITIAL = const(8)  # shortens the initial distance and time by the percentage

ROUND_DOWN = const(0)
ROUND_NEAREST = const(1)
ROUND_UP = const(2)

FEE_IN_FARE = const(0)
FEE_SUPPLEMENT = const(1)

HOLIDAY = const(0x80)

# magic, format, minor digits, currency, length, version, valid from, valid until,
# UTC offset, summer shift, (month, week, weekday, minutes) twice, mode, flags, threshold m/h,
# free ms, rounding unit, rounding rule, discount above, discount percent, cap percent, 8 counts
HEADER = "<4sBBHHIIIhBBBBhBBBhBBIIHBIBB8B"
WINDOW = "<HHBHH"  # from, to (minutes of the day), days, first day, last day (since 2000)
FLAGFALL = "<HBBIII"  # condition, amount, initial distance, initial time
RATE = "<HBBIIIII"  # condition, from distance, from fare, amount, per, step
SURCHARGE = "<HBBBh"  # condition, on, percent
FEE = "<HBBIBB"  # condition, amount, kind, at hire 0 or within the window 1

_MAX_AMOUNT = const(100000000)
_MAX_SPAN = const(1000000000)  # 100 km in 0.1 mm; 11 days in ms


class TariffError(Exception):
    """The compiled tariff is damaged or makes no sense. The message names the rule."""


class Tariff:
    """A checked tariff. Attributes only; `rows` are tuples in the order of the layout."""

    def __init__(self, blob):
        blob = bytes(blob)
        head = struct.calcsize(HEADER)
        if not head + 5 <= len(blob) <= MAX_SIZE:
            raise TariffError(
                "a tariff has %d to %d bytes, not %d" % (head + 5, MAX_SIZE, len(blob))
            )
        if blob[:4] != MAGIC:
            raise TariffError("not a tariff: the magic is missing")
        if blob[4] != FORMAT:
            raise TariffError("tariff format %d is not known" % blob[4])
        self.crc = struct.unpack("<I", blob[-4:])[0]
        if crc32(blob[:-4]) != self.crc:
            raise TariffError("the tariff is damaged: its CRC does not match")
        h = struct.unpack(HEADER, blob[:head])
        if h[4] != len(blob):
            raise TariffError("the tariff's length field says %d of %d bytes" % (h[4], len(blob)))
        self.minor_digits = h[2]
        self.currency = h[3]
        self.version = h[5]
        self.valid_from = h[6]
        self.valid_until = h[7]
        self.utc_offset_min = h[8]
        self.local_time = LocalTime(h[8], h[9], h[10:14], h[14:18])
        self.mode = h[18]
        self.flags = h[19]
        self.threshold_m_h = h[20]
        self.free_ms = h[21]
        self.round_to = h[22]
        self.round_rule = h[23]
        self.discount_above = h[24]
        self.discount_percent = h[25]
        self.cap_percent = h[26]
        counts = h[27:35]
        self._blob = blob
        self._at = head
        self.name = self._text()
        self.title = self._text()
        self.windows = self._rows(WINDOW, counts[0])
        self.holidays = self._rows("<H", counts[1])
        self.options = [self._text() for _ in range(counts[2])]
        self.flagfalls = self._rows(FLAGFALL, counts[3])
        self.distances = self._rows(RATE, counts[4])
        self.times = self._rows(RATE, counts[5])
        self.surcharges = self._rows(SURCHARGE, counts[6])
        self.fees = self._rows(FEE, counts[7])
        if self._at != len(blob) - 4:
            raise TariffError("the tariff has %d bytes too many" % (len(blob) - 4 - self._at))
        del self._blob
        self._check(h)

    def _text(self):
        blob = self._blob
        at = self._at
        end = at + 1 + blob[at]
        if end > len(blob) - 4:
            raise TariffError("the tariff ends within a name")
        self._at = end
        try:
            return str(blob[at + 1 : end], "utf-8")
        except (UnicodeError, ValueError):
            raise TariffError("a name in the tariff is not UTF-8")  # noqa: B904

    def _rows(self, layout, count):
        size = struct.calcsize(layout)
        end = self._at + size * count
        if end > len(self._blob) - 4:
            raise TariffError("the tariff ends within a table")
        rows = [
            struct.unpack(layout, self._blob[at : at + size]) for at in range(self._at, end, size)
        ]
        self._at = end
        return rows

    def _check(self, h):
        if self.mode > MODE_WAITING or self.flags > 15:
            raise TariffError("mode %d or flags %d not known" % (self.mode, self.flags))
        if self.minor_digits > 4 or not 1 <= self.currency <= 999:
            raise TariffError("currency %d with %d digits" % (self.currency, self.minor_digits))
        if not -840 <= self.utc_offset_min <= 840 or h[9] > 120:
            raise TariffError("UTC offset of %d min is out of range" % self.utc_offset_min)
        if h[9]:
            for month, week, weekday, minutes in (h[10:14], h[14:18]):
                if not (1 <= month <= 12 and 1 <= week <= 5 and weekday <= 6):
                    raise TariffError("summer time: no such day of the year")
                if not -1440 <= minutes <= 2880:
                    raise TariffError("summer time: no such time of the day")
        if self.valid_until and self.valid_until <= self.valid_from:
            raise TariffError("the tariff ends before it begins")
        if self.threshold_m_h > 100000 or self.free_ms > 86400000:
            raise TariffError("threshold or free time out of range")
        if self.round_rule > ROUND_UP or not 1 <= self.round_to <= 10000:
            raise TariffError("rounding to %d by rule %d" % (self.round_to, self.round_rule))
        if self.discount_above > _MAX_AMOUNT or self.discount_percent > 100:
            raise TariffError("discount out of range")
        if len(self.windows) > 16 or len(self.options) > 8:
            raise TariffError("at most 16 windows and 8 options")
        for start, end, days, _first, _last in self.windows:
            if start > 1440 or end > 1440 or not days:
                raise TariffError("a window from %d to %d min on no or any day" % (start, end))
        for rows in (self.flagfalls, self.distances, self.times, self.surcharges, self.fees):
            for row in rows:
                if row[0] >> len(self.windows) or (row[1] | row[2]) >> len(self.options):
                    raise TariffError("a row names a window or an option that is not there")
        self._check_amounts()

    def _check_amounts(self):
        for name, rows in (("flagfall", self.flagfalls), ("distance price", self.distances)):
            if not rows or rows[0][0] or rows[0][1] or rows[0][2]:
                raise TariffError("the first %s must hold always" % name)
        for row in self.flagfalls:
            if row[3] > _MAX_AMOUNT or row[4] > _MAX_SPAN or row[5] > _MAX_SPAN:
                raise TariffError("flagfall out of range")
        if self.distances[0][3] or self.distances[0][4]:
            raise TariffError("the first distance price must begin at 0")
        for rows in (self.distances, self.times):
            for row in rows:
                if row[3] > _MAX_SPAN or row[4] > _MAX_AMOUNT or row[5] > _MAX_AMOUNT:
                    raise TariffError("price out of range")
                if not 1 <= row[6] <= _MAX_SPAN or row[7] > _MAX_AMOUNT:
                    raise TariffError("a price per nothing")
                # Half a second at 250 km/h, or a stall of 1 s, must not run through 1,000 steps.
                if row[7] and row[5] > row[7] * 1000:
                    raise TariffError("the step is too small for its price")
        if self.mode == MODE_WAITING and not self.threshold_m_h:
            raise TariffError("waiting-only needs a threshold speed")
        own = None
        for row in self.times:
            if own is not None and own != (row[7] > 0):
                raise TariffError("time has its own steps in all its prices or in none")
            own = row[7] > 0
        for row in self.distances:
            if not row[7]:
                raise TariffError("a distance price needs a step")
        for row in self.surcharges:
            if not 0 < row[3] <= 15 or not -90 <= row[4] <= 300:
                raise TariffError("surcharge of %d percent" % row[4])
        for row in self.fees:
            if row[3] > _MAX_AMOUNT or row[4] > FEE_SUPPLEMENT or row[5] > 1:
                raise TariffError("fee out of range")


def in_force(tariffs, utc_s):
    """Of dated versions of a tariff, the one that a hire at this UTC second takes, or None."""
    best = None
    for tariff in tariffs:
        if utc_s < tariff.valid_from or (tariff.valid_until and utc_s >= tariff.valid_until):
            continue
        if best is None or tariff.valid_from >= best.valid_from:
            best = tariff
    return best
