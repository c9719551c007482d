# A tariff as JT/T 905-2014 shows it to an ISU: 18 figures, whatever else the tariff holds.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.emv.bcd import from_int
from flagfall.jt905.bodies import number, stamp
from flagfall.meter import tariff as form
from flagfall.meter.fare import Fare

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


SIZE = const(127)
_RESERVED = const(86)  # 22 of the system's and 64 of the vendor's
_HUNDREDTH_KM = const(100000)  # in 0.1 mm
_KM = const(10000000)


class _Prices:
    """What a tariff charges while `windows` hold, money in minor units."""

    def __init__(self, fare, windows):
        fare.begin(windows, 0)
        tariff = fare.tariff
        self.base = fare.flagfall
        self.km = fare.unit_price
        first = second = None
        for row in tariff.distances:
            if row[1] or (row[0] and not row[0] & windows):
                continue
            if not row[3]:
                first = row
            elif second is None:
                second = row
        percent = 100 + fare.surcharge_percent
        self.step = first[6] * first[7] * 100 // (first[5] * percent) if first[5] else 0
        self.one_way = second[5] * percent * _KM // (second[6] * 100) if second else self.km
        self.one_way_from = second[3] if second else 0
        self.wait = 0
        for row in tariff.times:
            if not row[1] and not row[3] and (not row[0] or row[0] & windows):
                self.wait = row[5] * 60000 // row[6]


def tariff_block(tariff):
    """The answer to TARIFF_QUERY, 127 bytes.

    Night is the first window in which the flagfall or the distance price is higher. Waiting is
    given by the minute. What the block cannot say (peaks, further bands, options) is left out.
    """
    fare = Fare(tariff)
    day = night = _Prices(fare, 0)
    window = None
    for at, candidate in enumerate(tariff.windows):
        prices = _Prices(fare, 1 << at)
        if prices.km > day.km or prices.base > day.base:
            night, window = prices, candidate
            break
    since = tariff.valid_from
    free = tariff.free_ms // 1000
    initial = next((row[4] for row in tariff.flagfalls if not row[0]), 0)

    def money(minor):
        return number(minor * 100 // 10**tariff.minor_digits, 2)

    def km(x):
        return number(x // _HUNDREDTH_KM, 2)

    def minute(of_day):
        return from_int(of_day % 1440 // 60 * 100 + of_day % 60, 2)

    none = number(0, 2)
    if tariff.mode == form.MODE_WAITING:
        initial = 0
    return b"".join(
        (
            stamp(since + tariff.local_time.offset_s(since), 5),
            money(day.km),
            money(night.km),
            money(day.one_way),
            money(night.one_way),
            none,
            none,
            money(day.base),
            money(night.base),
            km(day.step),
            km(initial),
            km(day.one_way_from),
            none,
            money(day.wait),
            money(night.wait),
            number(free // 60, 1) + number(free % 60, 1),
            none,
            minute(window[0]) if window else none,
            minute(window[1]) if window else none,
            bytes(_RESERVED),
        )
    )
