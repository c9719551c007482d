"""A reference taximeter in exact fractions, written from the legal definitions alone.

It shares no code with the firmware's meter and none of its ideas: no fixed-point units, no carried
rests, no hysteresis. It is given the true moment of each pulse and knows a tariff only as a
checked file. OIML R 21 / MID Annex IX: mode S applies the time tariff below the threshold and the
distance tariff above it, mode D both over the whole trip; partial-D is distance always and time
below the threshold. The speed of an interval between two pulses is its distance over its time;
what follows the last pulse is slow if it lasts longer than a pulse at the threshold speed would.
"""

import datetime
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from zoneinfo import ZoneInfo

from flagfall_host.metering.trips import Trip
from flagfall_host.tariffs.tariff_file import TariffFile

_S, _D, _PARTIAL, _WAITING = range(4)
_INCLUSIVE, _PRECHARGE, _PRECHARGE_TIME, _FROZEN = 1, 2, 4, 8
_ZONES = {
    ("EU", 0): "Europe/London",
    ("EU", 60): "Europe/Amsterdam",
    ("US", -300): "America/New_York",
}
_KM = 10_000_000  # tables give distances in 0.1 mm, here they are km
_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)

Row = tuple[int, ...]


@dataclass
class Outcome:
    """What a meter must say: fare in minor units, distance in km, times in s."""

    fare: int
    slow_s: Fraction
    hired_s: Fraction
    km: Fraction


def pulse_times(trip: Trip) -> tuple[list[Fraction], Fraction]:
    """The moments of a trip's pulses in seconds, to 1 us where the speed changes; its length."""
    times: list[Fraction] = []
    spacing = Fraction(10**9, trip.k)
    at_um = Fraction(trip.phase_um)
    number = 1
    begin = Fraction(0)
    for ms, first, last in trip.segments:
        length = Fraction(first + last, 2)
        while number * spacing <= at_um + length:
            x = number * spacing - at_um
            times.append(begin + _moment(x, ms, first, last))
            number += 1
        at_um += (first + last) // 2
        begin += Fraction(ms, 1000)
    return times, begin


def _moment(x: Fraction, ms: int, first: int, last: int) -> Fraction:
    """When `x` um are driven, from x = (first u + (last - first) u^2 / 2), u the part of ms."""
    if first == last:
        return x / first * ms / 1000
    bend = Fraction(last - first)
    root2 = first * first + 2 * bend * x
    root = Fraction(isqrt(max(0, int(root2 * 10**18))), 10**9)
    return (root - first) / bend * ms / 1000


class ReferenceMeter:
    """One trip under one tariff."""

    def __init__(self, tariff: TariffFile, trip: Trip):
        self.tariff = tariff
        self.options = trip.options
        self.start = trip.utc_s
        name = _ZONES.get((tariff.summer_time, tariff.utc_offset_min))
        offset = datetime.timedelta(minutes=tariff.utc_offset_min)
        self.zone = ZoneInfo(name) if name else datetime.timezone(offset)
        self.k = trip.k
        self.known_windows: dict[int, int] = {}
        self.times, self.end = pulse_times(trip)

    # --- conditions ---------------------------------------------------------------------------

    def open_windows(self, at: Fraction) -> int:
        """The windows that hold `at` seconds after the hire."""
        if self.tariff.flags & _FROZEN:
            at = Fraction(0)
        minute = (self.start + int(at)) // 60
        if minute not in self.known_windows:
            self.known_windows[minute] = self._windows_of(minute * 60)
        return self.known_windows[minute]

    def _windows_of(self, seconds: int) -> int:
        local = (_EPOCH + datetime.timedelta(seconds=seconds)).astimezone(self.zone)
        day = (local.date() - datetime.date(2000, 1, 1)).days
        kind = 7 if day in self.tariff.holidays else local.weekday()
        minute = local.hour * 60 + local.minute
        mask = 0
        for i, (start, end, days, first, last) in enumerate(self.tariff.windows):
            inside = start <= minute < end if start < end else not end <= minute < start
            if inside and days >> kind & 1 and first <= day <= last:
                mask |= 1 << i
        return mask

    def holds(self, row: Row, windows: int) -> bool:
        wanted, excluded = row[1], row[2]
        in_time = row[0] == 0 or row[0] & windows
        return bool(in_time) and not (wanted & ~self.options) and not (excluded & self.options)

    def percent(self, what: int, windows: int) -> Fraction:
        rows = [r for r in self.tariff.surcharges if r[3] & what and self.holds(r, windows)]
        percent = sum(r[4] for r in rows)
        if self.tariff.cap_percent:
            percent = min(percent, self.tariff.cap_percent)
        return 1 + Fraction(percent, 100)

    def rate(self, rows: list[Row], windows: int) -> Row | None:
        usable = [
            r
            for r in rows
            if self.holds(r, windows) and Fraction(r[3], _KM) <= self.km and r[4] <= self.metered
        ]
        return usable[-1] if usable else None

    def distance_price(self, windows: int) -> tuple[Fraction, int]:
        """Minor units a km, and the step."""
        row = self.rate(self.tariff.distances, windows)
        if row is None:
            raise ValueError("no distance price holds")
        price = Fraction(row[5] * _KM, row[6]) * self.percent(2, windows)
        return (Fraction(0) if self.tariff.mode == _WAITING else price), row[7]

    def time_price(self, windows: int) -> tuple[Fraction, int]:
        """Minor units a second, and the step (0: shared with distance)."""
        row = self.rate(self.tariff.times, windows)
        if row is None:
            return Fraction(0), 0
        return Fraction(row[5] * 1000, row[6]) * self.percent(4, windows), row[7]

    # --- the trip -----------------------------------------------------------------------------

    def run(self) -> Outcome:
        tariff = self.tariff
        self.km = Fraction(0)
        self.metered: Fraction | int = 0
        self.part = Fraction(0)  # of the step begun
        self.time_part = Fraction(0)
        self.time_step = 0
        windows = self.open_windows(Fraction(0))
        row = [r for r in tariff.flagfalls if self.holds(r, windows)][-1]
        self.metered = _half_up(row[3] * self.percent(1, windows))
        shortened = self.percent(8, windows)
        self.free_km = Fraction(row[4], _KM) / shortened
        if row[5]:
            price, step = self.distance_price(windows)
            self.part = -self.free_km * price / step
            self.free_km = Fraction(0)
        self.free_s = Fraction(tariff.free_ms, 1000)
        self.fees: set[int] = set()
        self.take_fees(windows, True)
        slow_s = Fraction(0)
        before = Fraction(0)
        for moment in [*self.times, None]:
            until = self.end if moment is None else moment
            slow = self.is_slow(until - before, before, moment is None)
            if slow:
                slow_s += until - before
            if tariff.mode == _D or slow:
                self.pass_time(before, until)
            if moment is not None:
                self.drive(self.open_windows(moment), slow and tariff.mode == _S)
            before = until
        for minute in self.minutes(Fraction(0), self.end):
            self.take_fees(self.open_windows(minute), False)
        return Outcome(self.shown(), slow_s, self.end, Fraction(len(self.times), self.k))

    def is_slow(self, seconds: Fraction, at: Fraction, last: bool) -> bool:
        windows = self.open_windows(at)
        if self.tariff.threshold_m_h:
            km_s = Fraction(self.tariff.threshold_m_h, 3_600_000)
        else:
            by_km, _ = self.distance_price(windows)
            by_s, _ = self.time_price(windows)
            if not by_s or not by_km:
                return False
            km_s = by_s / by_km
        due = Fraction(1, self.k) / km_s
        if self.tariff.flags & _INCLUSIVE and not last:
            return seconds >= due
        return seconds > due

    def minutes(self, start: Fraction, end: Fraction) -> list[Fraction]:
        """The full minutes of the clock within (start, end]."""
        first = (self.start + start) // 60 + 1
        last = (self.start + end) // 60
        return [Fraction(m * 60 - self.start) for m in range(int(first), int(last) + 1)]

    def pass_time(self, start: Fraction, end: Fraction) -> None:
        edges = [start, *self.minutes(start, end), end]
        for a, b in zip(edges, edges[1:], strict=False):
            seconds = b - a
            free = min(seconds, self.free_s)
            self.free_s -= free
            self.spend_time(seconds - free, self.open_windows(a))

    def spend_time(self, seconds: Fraction, windows: int) -> None:
        while seconds:
            price, own_step = self.time_price(windows)
            if not price:
                return
            step = own_step or self.distance_price(windows)[1]
            part = self.time_part if own_step else self.part
            needed = (1 - part) * step / price
            spent = min(needed, seconds)
            seconds -= spent
            part = Fraction(0) if spent == needed else part + spent * price / step
            if spent == needed:
                self.metered += step
            if own_step:
                self.time_part, self.time_step = part, own_step
            else:
                self.part = part

    def drive(self, windows: int, only_recorded: bool) -> None:
        left = Fraction(1, self.k)
        if only_recorded:
            self.km += left
            return
        while left:
            free = min(left, self.free_km, self.to_edge(windows))
            if free:
                self.free_km -= free
                self.km += free
                left -= free
                continue
            price, step = self.distance_price(windows)
            edge = min(left, self.to_edge(windows))
            needed = (1 - self.part) * step / price if price else edge + 1
            driven = min(edge, needed)
            self.km += driven
            left -= driven
            if driven == needed:
                self.part = Fraction(0)
                self.metered += step
            else:
                self.part += driven * price / step

    def to_edge(self, windows: int) -> Fraction:
        """Kilometres to the next price band."""
        rows = [r for r in self.tariff.distances + self.tariff.times if self.holds(r, windows)]
        ahead = [Fraction(r[3], _KM) - self.km for r in rows]
        return min((a for a in ahead if a > 0), default=Fraction(10**6))

    def take_fees(self, windows: int, at_hire: bool) -> None:
        if not at_hire and self.tariff.flags & _FROZEN:
            return
        for i, row in enumerate(self.tariff.fees):
            if (at_hire or row[5]) and self.holds(row, windows):
                self.fees.add(i)

    def shown(self) -> int:
        tariff = self.tariff
        windows = self.open_windows(self.end)
        fare = Fraction(self.metered)
        if tariff.flags & _PRECHARGE and self.part > 0:
            fare += self.distance_price(windows)[1]
        if tariff.flags & _PRECHARGE_TIME and self.time_part > 0:
            fare += self.time_step
        above = fare - tariff.discount_above
        if above > 0:
            fare = Fraction((fare - above * tariff.discount_percent / 100) // 1)
        fare += sum(tariff.fees[i][3] for i in self.fees if tariff.fees[i][4] == 0)
        unit = tariff.round_to
        if tariff.round_rule == 0:
            return int(fare // unit) * unit
        if tariff.round_rule == 1:
            return _half_up(fare / unit) * unit
        return int(-(-fare // unit)) * unit


def _half_up(value: Fraction) -> int:
    return int((value + Fraction(1, 2)) // 1)


def reference(tariff: TariffFile, trip: Trip) -> Outcome:
    """What a taximeter must say about a trip."""
    return ReferenceMeter(tariff, trip).run()
