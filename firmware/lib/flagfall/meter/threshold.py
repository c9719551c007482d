# Slow or not: the decision below which speed time counts, from pulse intervals with hysteresis.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Let the lead be the time that has passed less the time in which the distance would have been
# driven at the threshold speed. It falls while the cab is faster than the threshold and rises
# while it is slower, so a crossing of the threshold is a turning point of the lead, whatever the
# speeds around it were. The lead is known at each pulse; between two pulses it is at least
# what it would be if the next pulse came now.
#
# - Fast: the meter remembers the lowest lead. When the lead stands above it by more than the
#   hysteresis, the cab has been slow since that lowest point, and all time since then counts.
# - Slow: each new highest lead proves the time up to it to be slow. When a pulse finds the lead
#   below the highest by more than the hysteresis, the cab has been fast since that highest point.
#
# The hysteresis is what the moment of a pulse may be wrong by (the time between the calls that saw
# it, shared by its pulses) and 1/32 of a pulse's time at the threshold for a wheel that is not
# quite even. So a change is taken only when it is sure, and then from the crossing itself: the
# response time delays what is shown, not what is charged. Response time to a standstill: 1.03
# times the time of a pulse at the threshold speed. Pulse counts in a time window decide nothing
# (they are biased where pulses are few).
#
# The lead is scaled by `_den` so that the time of a pulse at threshold speed, `_num / _den` ms, is
# exact, or within 2 in 10^6 where that would need more than 15 bits.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_MAX_DEN = const(32768)
_CEILING = const(1 << 28)


class SpeedThreshold:
    """Tells slow time. `slow` is the decision; `slow_x` the distance of the last confirmation."""

    def __init__(self):
        self.slow = True
        self.slow_x = 0
        self.pending_ms = 0
        self.pending_x = 0
        self.undecided_ms = 0  # of the pending time, what lies before the last pulse
        self.lead = 0
        self.inclusive = False
        self._num = 0
        self._den = 1
        self._margin = 0  # part of the hysteresis, scaled as the lead is
        self._doubt = 0  # ms that the turning point in memory may be wrong by

    def set_pulse_time(self, num, den):
        """Set the time of one pulse at the threshold speed, num / den ms. num 0: never slow."""
        if den > _MAX_DEN:
            num = (num * _MAX_DEN + den // 2) // den
            den = _MAX_DEN
        if den != self._den:
            self.lead = self.lead * den // self._den
        # `lead` allows for the pulse that is due: keep that allowance right.
        self.lead += self._num * den // self._den - num
        self._num = num
        self._den = den
        self._margin = num >> 5

    def begin(self):
        """The cab stands at the start of a hire, or is taken to."""
        self.slow = self._num > 0
        self.pending_ms = 0
        self.pending_x = 0
        self.undecided_ms = 0
        self._doubt = 0
        self.lead = -self._num

    def time(self, ms):
        """`ms` pass without a pulse. Return the time now known to be slow.

        `slow_x` is then the distance driven in it.
        """
        if not self._num:
            return 0
        lead = self.lead + ms * self._den
        self.pending_ms += ms
        if self.slow:
            if lead > 0:
                self.lead = 0
                return self._confirm()
        elif lead > self._margin:
            self.slow = True
            self.lead = 0
            return self._confirm()
        self.lead = lead if lead < _CEILING else _CEILING
        return 0

    def pulses(self, count, x, ms):
        """`count` >= 1 pulses, `x` in 0.1 mm, evenly over `ms`, the last at the end.

        Return the time now known to be slow; `slow_x` is the distance driven in it.
        """
        num = self._num
        if not num:
            return 0
        if count == 1:
            return self._pulse(x, ms, ms)
        # Between evenly spaced pulses the lead is monotonic: its turning points are the ends.
        first_ms = ms // count
        first_x = x // count
        if not self.slow:
            lead = self.lead + first_ms * self._den
            if lead < 0 and (ms - first_ms) * self._den < (count - 1) * num:
                # Faster all along: both ends are new lowest points.
                self.pending_ms = 0
                self.pending_x = 0
                self.lead = -num
                return 0
        slow_ms = self._pulse(first_x, first_ms, first_ms + 1)
        slow_x = self.slow_x
        self.lead -= (count - 2) * num
        more_ms = self._pulse(x - first_x, ms - first_ms, first_ms + 1)
        if slow_ms:
            self.slow_x = slow_x + self.slow_x if more_ms else slow_x
        return slow_ms + more_ms

    def _pulse(self, x, ms, doubt):
        lead = self.lead + ms * self._den
        slow_ms = 0
        if self.slow:
            self.pending_ms += ms
            self.pending_x += x
            if lead > 0 or (lead == 0 and self.inclusive):
                slow_ms = self._confirm()
                lead = 0
                self._doubt = doubt
            elif lead < -self._doubt * self._den - self._margin:
                self.slow = False
                self.pending_ms = 0
                self.pending_x = 0
                self.undecided_ms = 0
                lead = 0
                self._doubt = doubt
            elif lead < 0 or self._doubt:
                self.undecided_ms = self.pending_ms
        elif lead < 0 or (lead == 0 and not self.inclusive):
            self.pending_ms = 0
            self.pending_x = 0
            lead = 0
        else:
            self.pending_ms += ms
            self.pending_x += x
            if lead > doubt * self._den + self._margin:
                self.slow = True
                slow_ms = self._confirm()
                lead = 0
        self.lead = lead - self._num
        return slow_ms

    def settle(self):
        """Decide what is pending at Stopped, where nothing more will come.

        A cab that was slow and has not proved to be fast was slow to its last pulse; one that was
        fast and stands or has slowed down has been slow since. Return the time now known to be
        slow; `slow_x` is the distance driven in it.
        """
        self.slow_x = 0
        slow_ms = 0
        if not self.slow and self.lead > 0:
            slow_ms = self._confirm()
        elif self.slow and self.undecided_ms:
            self.pending_ms = self.undecided_ms
            slow_ms = self._confirm()
        self.begin()
        return slow_ms

    def _confirm(self):
        ms = self.pending_ms
        self.slow_x = self.pending_x
        self.pending_ms = 0
        self.pending_x = 0
        self.undecided_ms = 0
        return ms
