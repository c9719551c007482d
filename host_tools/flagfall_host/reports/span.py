"""The days that a report is about, in the fleet's time zone."""

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flagfall import clock

from flagfall_host.errors import FlagfallError


class ReportError(FlagfallError):
    """A report that cannot be made."""


def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises ReportError."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as e:
        raise ReportError(
            f"--timezone {name}: no such time zone; an example is Asia/Shanghai"
        ) from e


def day(text: str | None, zone: ZoneInfo, now: int) -> datetime.date:
    """A date as YYYY-MM-DD, `today` or `yesterday`; None is today."""
    today = local(now, zone).date()
    if text in (None, "today"):
        return today
    if text == "yesterday":
        return today - datetime.timedelta(days=1)
    try:
        return datetime.date.fromisoformat(str(text))
    except ValueError as e:
        raise ReportError(f"{text}: a date is YYYY-MM-DD, today or yesterday") from e


def local(seconds: int, zone: ZoneInfo) -> datetime.datetime:
    """UTC seconds since 2000 as local time."""
    return datetime.datetime.fromtimestamp(clock.to_unix(seconds), zone)


@dataclass(frozen=True)
class Span:
    """`first` to `last` day, both included; or `exact`ly from one second to another in them."""

    first: datetime.date
    last: datetime.date
    zone: ZoneInfo
    exact: tuple[int, int] | None = None

    @property
    def within(self) -> tuple[int, int]:
        """The period as [start, end) in UTC seconds since 2000."""
        if self.exact:
            return self.exact
        return self._midnight(self.first), self._midnight(self.last + datetime.timedelta(days=1))

    @property
    def days(self) -> list[datetime.date]:
        count = (self.last - self.first).days + 1
        return [self.first + datetime.timedelta(days=n) for n in range(count)]

    def _midnight(self, date: datetime.date) -> int:
        midnight = datetime.datetime.combine(date, datetime.time(), self.zone)
        return clock.from_unix(int(midnight.timestamp()))
