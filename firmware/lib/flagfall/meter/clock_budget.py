# How far the unit lets its clock be corrected: at most 2 minutes a week, never during a trip.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# MID Annex IX 22: the real-time clock keeps time to 0.02 %, corrections are limited to 2 min a
# week, none takes place during a trip. The unit applies this itself, whoever asks. The budget is
# that of the last seven days, forwards and backwards alike, so that a clock cannot be walked
# away in steps.

import struct

LIMIT_S = 120
WEEK_S = 604800
_SLOTS = 8  # corrections remembered
_LAYOUT = "<%s" % ("Ih" * _SLOTS)
SIZE = struct.calcsize(_LAYOUT)


class ClockRefused(Exception):
    """The correction may not be made. The message says why, and when it may."""


class ClockBudget:
    """Remembers the corrections of the last week. Times are UTC seconds since 2000."""

    def __init__(self, packed=None):
        self._made = []  # (time, seconds by which the clock was moved)
        if packed is not None:
            if len(packed) != SIZE:
                raise ValueError("a clock budget has %d bytes, not %d" % (SIZE, len(packed)))
            words = struct.unpack(_LAYOUT, packed)
            self._made = [(words[i], words[i + 1]) for i in range(0, len(words), 2) if words[i]]

    def pack(self):
        """SIZE bytes to keep through power loss."""
        words = []
        for made in self._made:
            words.extend(made)
        return struct.pack(_LAYOUT, *(words + [0] * (2 * _SLOTS - len(words))))

    def used_s(self, now_s):
        """Seconds of correction made in the week before `now_s`, either way."""
        return sum([abs(by) for at, by in self._made if now_s - at < WEEK_S])

    def correct(self, now_s, right_s, for_hire):
        """Allow a correction from `now_s` to `right_s`; return the seconds to move, or raise.

        `for_hire`: True in that position. The correction is booked as made.
        """
        by = right_s - now_s
        if by == 0:
            return 0
        if not for_hire:
            raise ClockRefused("the clock is not corrected during a trip: end it first")
        used = self.used_s(now_s)
        if used + abs(by) > LIMIT_S:
            raise ClockRefused(
                "%d s is more than the %d s left of 120 s a week: only under the seal"
                % (by, LIMIT_S - used)
            )
        recent = [made for made in self._made if now_s - made[0] < WEEK_S]
        if len(recent) >= _SLOTS:
            raise ClockRefused("%d corrections this week: wait until one is a week old" % _SLOTS)
        # Booked at the later of the two times, so that going back does not shorten the week.
        recent.append((max(now_s, right_s), by))
        self._made = recent
        return by

    def set_under_seal(self):
        """The clock was set with the seal open (first setting, or a permit): start anew."""
        self._made = []
