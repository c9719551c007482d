# Local time during a trip, and which windows of the tariff hold at it.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Set from UTC once, at the hire; from then on it follows the meter's ticks minute by minute, so
# that nothing done to the real-time clock reaches a trip (MID Annex IX 22).

from flagfall.meter.tariff import HOLIDAY

_MONTH_S = 30 * 86400


class TripClock:
    """`day` since 2000-01-01 and `minute` of the day, both local."""

    def __init__(self):
        self.day = 0
        self.minute = 0
        self.to_jump = -1  # minutes until summer time begins or ends, -1: not in this trip
        self.jump = 0

    def begin(self, local_time, utc_s):
        """Set the clock; return the milliseconds to the next full minute."""
        local = utc_s + local_time.offset_s(utc_s)
        self.day = local // 86400
        rest = local % 86400
        self.minute = rest // 60
        change, self.jump = local_time.next_change(utc_s)
        self.to_jump = -1
        if change is not None and change - utc_s < _MONTH_S:
            self.to_jump = (change - utc_s + 59) // 60
        return 60000 - rest % 60 * 1000

    def next_minute(self):
        """A full minute has passed."""
        minute = self.minute + 1
        if self.to_jump > 0:
            self.to_jump -= 1
            if self.to_jump == 0:
                minute += self.jump
        if minute >= 1440:
            minute -= 1440
            self.day += 1
        elif minute < 0:
            minute += 1440
            self.day -= 1
        self.minute = minute

    def windows(self, tariff):
        """Bit mask of the tariff's windows that hold now."""
        day = self.day
        minute = self.minute
        kind = 1 << (day + 5) % 7  # 2000-01-01 was a Saturday
        for holiday in tariff.holidays:
            if holiday[0] == day:
                kind = HOLIDAY
        mask = 0
        bit = 1
        for window in tariff.windows:
            start = window[0]
            end = window[1]
            if window[2] & kind and window[3] <= day <= window[4]:
                if start < end:
                    if start <= minute < end:
                        mask |= bit
                elif minute >= start or minute < end:
                    mask |= bit
            bit <<= 1
        return mask
