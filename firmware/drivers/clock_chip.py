# What every battery-backed clock chip shares: its errors, and BCD digits that may be garbage.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A clock chip offers `read()` (UTC, seconds since 2000) and `set(utc_s)`. ClockLost means that
# the chip works but its time does not count: the oscillator stood still. Such a unit takes no
# cards until the clock is set again.

from flagfall.clock import civil, seconds_from_civil


class ClockError(OSError):
    """The clock chip cannot be read or set; str() says why."""

    def __str__(self):
        return str(self.args[0]) if self.args else ""


class ClockLost(ClockError):
    """The chip answers, but its oscillator has stopped since it was set: the time is lost."""


def from_bcd(byte, lowest, highest):
    """The number of a BCD register. Raises ClockError for what is no such number."""
    tens, ones = byte >> 4, byte & 0x0F
    n = tens * 10 + ones
    if tens > 9 or ones > 9 or not lowest <= n <= highest:
        raise ClockError(
            "the clock chip holds 0x%02x where %d to %d belong" % (byte, lowest, highest)
        )
    return n


def to_bcd(n):
    return n // 10 << 4 | n % 10


def utc_seconds(year, month, day, hour, minute, second):
    """Seconds since 2000. Raises ClockError for a date that does not exist."""
    try:
        return seconds_from_civil(year, month, day, hour, minute, second)
    except ValueError:
        raise ClockError(
            "the clock chip holds %d-%d-%d, no such date" % (year, month, day)
        ) from None


def fields_of(utc_s):
    """(century bit, year 0..99, month, day, hour, minute, second, weekday 0 = Monday)."""
    year, month, day, hour, minute, second, weekday = civil(utc_s)
    if not 2000 <= year <= 2199:
        raise ClockError("the clock chip ends with the year 2199")
    return year // 100 - 20, year % 100, month, day, hour, minute, second, weekday
