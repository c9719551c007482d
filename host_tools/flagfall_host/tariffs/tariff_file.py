"""A checked tariff file, ready to compile, and the words that may stand in one."""

import datetime
from dataclasses import dataclass, field
from typing import Any

from flagfall.meter.local_time import LocalTime

MODES = {"S": 0, "D": 1, "partial-D": 2, "waiting": 3}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
SURCHARGED = {"flagfall": 1, "distance": 2, "time": 4, "initial": 8}
ROUNDING = {"down": 0, "nearest": 1, "up": 2}
CURRENCIES = {  # ISO 4217: numeric code, digits of the minor unit as the trade uses it
    "CNY": (156, 2),
    "EUR": (978, 2),
    "GBP": (826, 2),
    "HKD": (344, 2),
    "JPY": (392, 0),
    "KRW": (410, 0),
    "SGD": (702, 2),
    "TWD": (901, 0),
    "USD": (840, 2),
}
CERTAINTY = ("V", "S", "U")
EPOCH = datetime.date(2000, 1, 1)


@dataclass
class TariffFile:
    """A checked tariff, ready to compile. Tables hold tuples in the order of the unit's rows."""

    name: str = ""
    title: str = ""
    version: int = 1
    valid_from: datetime.datetime | None = None
    valid_until: datetime.datetime | None = None
    currency: str = ""
    minor_digits: int = 2
    utc_offset_min: int = 0
    summer_time: str = "none"
    mode: int = 0
    threshold_m_h: int = 0
    flags: int = 0
    free_ms: int = 0
    cap_percent: int = 0
    round_to: int = 1
    round_rule: int = 0
    discount_above: int = 0
    discount_percent: int = 0
    windows: list[tuple[int, ...]] = field(default_factory=list)
    window_names: list[str] = field(default_factory=list)
    holidays: list[int] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    flagfalls: list[tuple[int, ...]] = field(default_factory=list)
    distances: list[tuple[int, ...]] = field(default_factory=list)
    times: list[tuple[int, ...]] = field(default_factory=list)
    surcharges: list[tuple[int, ...]] = field(default_factory=list)
    fees: list[tuple[int, ...]] = field(default_factory=list)
    fee_names: list[str] = field(default_factory=list)
    supplements: dict[str, int] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)
    certainties: set[str] = field(default_factory=set)

    def summer_rule(self) -> tuple[int, ...]:
        """Shift, then month, week, weekday and UTC minutes of the two moments of a year."""
        if self.summer_time == "EU":  # Directive 2000/84/EC: last Sundays, 01:00 UTC
            return (60, 3, 5, 6, 60, 10, 5, 6, 60)
        if self.summer_time == "US":  # 15 U.S.C. 260a: 02:00 of the time in force
            at = 120 - self.utc_offset_min
            return (60, 3, 2, 6, at, 11, 1, 6, at - 60)
        return (0,) * 9

    def local_time(self) -> LocalTime:
        rule = self.summer_rule()
        return LocalTime(self.utc_offset_min, rule[0], rule[1:5], rule[5:9])
