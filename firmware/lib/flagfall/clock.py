# Calendar arithmetic in integers, and the one place where a runtime's epoch becomes ours.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Every stored or sent time is UTC in whole seconds since 2000-01-01T00:00:00Z, unsigned 32 bit
# (good until 2136). That is MicroPython's own epoch on ESP32; the unix port and CPython count
# from 1970.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_UNIX_TO_2000 = const(946684800)  # seconds from 1970-01-01 to 2000-01-01
_DAYS_2000 = const(730425)  # days from 0000-03-01 (proleptic Gregorian) to 2000-01-01
_DAY = const(86400)


def seconds_2000(runtime_seconds, epoch_year):
    """Convert `time.time()` of a runtime whose epoch is 1 January `epoch_year` (1970 or 2000)."""
    if epoch_year == 2000:
        return int(runtime_seconds)
    if epoch_year == 1970:
        return int(runtime_seconds) - _UNIX_TO_2000
    raise ValueError("epoch_year must be 1970 or 2000")


def from_unix(unix_seconds):
    """UTC seconds since 1970 to seconds since 2000."""
    return int(unix_seconds) - _UNIX_TO_2000


def to_unix(seconds):
    """UTC seconds since 2000 to seconds since 1970."""
    return seconds + _UNIX_TO_2000


def civil(seconds):
    """Return (year, month 1..12, day 1..31, hour, minute, second, weekday 0 = Monday)."""
    days, rest = divmod(seconds, _DAY)
    weekday = (days + 5) % 7  # 2000-01-01 was a Saturday
    # Count from 1 March, so that the leap day is the last day of a year.
    d = days + _DAYS_2000
    era, doe = divmod(d, 146097)  # 400 years
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    year = yoe + era * 400 + (1 if month <= 2 else 0)
    day = doy - (153 * mp + 2) // 5 + 1
    return year, month, day, rest // 3600, rest // 60 % 60, rest % 60, weekday


def seconds_from_civil(year, month, day, hour=0, minute=0, second=0):
    """The inverse of `civil`. Raises ValueError for a date or time that does not exist."""
    if not (1 <= month <= 12 and 0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        raise ValueError("no such date or time")
    y = year - 1 if month <= 2 else year
    era, yoe = divmod(y, 400)
    doy = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days = era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - _DAYS_2000
    result = days * _DAY + hour * 3600 + minute * 60 + second
    if civil(result)[:3] != (year, month, day):
        raise ValueError("no such date or time")
    return result


def iso8601(seconds):
    """Text such as 2026-11-24T21:37:55Z."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % civil(seconds)[:6]
