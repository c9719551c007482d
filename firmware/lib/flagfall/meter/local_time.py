# Local time of a tariff: an offset from UTC and, where there is one, a summer-time rule.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A rule names the two moments of a year in UTC: "the last Sunday of March, 01:00 UTC" is
# (3, 5, 6, 60): month, week (5 = last), weekday (0 = Monday), minutes after 00:00 UTC of that
# day. Minutes may be negative or more than 1440 where local and UTC dates differ.

from flagfall.clock import civil, seconds_from_civil

_DAY = 86400


class LocalTime:
    """`offset_min` minutes east of UTC, `shift_min` more in summer between the two moments."""

    def __init__(self, offset_min, shift_min=0, start=None, end=None):
        self.offset_min = offset_min
        self.shift_min = shift_min
        self.start = start
        self.end = end

    def offset_s(self, utc_s):
        """Seconds to add to UTC at this moment (UTC seconds since 2000)."""
        if not self.shift_min:
            return self.offset_min * 60
        year = civil(utc_s)[0]
        start = _moment(year, self.start)
        end = _moment(year, self.end)
        summer = start <= utc_s < end
        if end < start:  # the southern half of the world
            summer = not end <= utc_s < start
        return (self.offset_min + (self.shift_min if summer else 0)) * 60

    def next_change(self, utc_s):
        """(UTC second of the next change, minutes that the clock then jumps), or (None, 0)."""
        if not self.shift_min:
            return None, 0
        best = None
        jump = 0
        year = civil(utc_s)[0]
        for y in (year, year + 1):
            for rule, minutes in ((self.start, self.shift_min), (self.end, -self.shift_min)):
                at = _moment(y, rule)
                if at > utc_s and (best is None or at < best):
                    best = at
                    jump = minutes
        return best, jump


def _moment(year, rule):
    month, week, weekday, minutes = rule
    if week == 5:
        after = seconds_from_civil(year + 1, 1, 1) if month == 12 else 0
        last = (after or seconds_from_civil(year, month + 1, 1)) - _DAY
        day = last - (civil(last)[6] - weekday) % 7 * _DAY
    else:
        first = seconds_from_civil(year, month, 1)
        day = first + ((weekday - civil(first)[6]) % 7 + 7 * (week - 1)) * _DAY
    return day + minutes * 60
