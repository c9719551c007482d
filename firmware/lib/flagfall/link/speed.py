# The speed of the cable: up when the host asks, back by itself when nobody is heard.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 6, BAUD. The answer still goes at the old speed. Then both ends change
# and the host tries the line; if it likes it, it asks for the same speed again, which confirms it.
# Unconfirmed, or later when nothing good is heard, the unit goes back to its base speed, where
# the host will look for it.

from .messages import Refused

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


TRIAL_MS = const(3000)  # within which a new speed must be confirmed
SILENCE_MS = const(10000)  # without a good frame, after which a host is taken for gone
_TICKS_MASK = const(0x3FFFFFFF)  # MicroPython's ticks wrap at 2^30


class Speed:
    """Changes the carrier's speed through `unit`: bauds (rates it takes, the base rate first),
    set_baud(rate) (called when all bytes have been handed to the line; waits until they are out)
    and ticks_ms(). A unit without `bauds` stays at the speed it has.
    """

    def __init__(self, unit):
        self._unit = unit
        self._bauds = getattr(unit, "bauds", ())
        self._wanted = 0  # to change to once the answer is out
        self._rate = 0  # in force; 0: the base speed
        self._limit_ms = 0  # 0: at base speed
        self._heard_at = 0
        self.falls = 0  # times that the base speed was taken again for want of good frames

    def ask(self, rate):
        """The host wants `rate` bit/s. Raises Refused."""
        if rate not in self._bauds:
            raise Refused("%d baud is not a speed of this unit" % rate)
        if rate == self._rate:
            self._limit_ms = SILENCE_MS
            self._heard_at = self._unit.ticks_ms()
        elif self._rate or rate != self._bauds[0]:
            self._wanted = rate

    def end(self):
        """The session ends: base speed once the answer is out."""
        if self._limit_ms:
            self._wanted = self._bauds[0]

    def good_frame(self):
        """A frame with the right tag came: the speed works."""
        if self._limit_ms == SILENCE_MS:
            self._heard_at = self._unit.ticks_ms()

    def step(self):
        """Called when the line has taken everything: change what is to be changed."""
        if self._wanted:
            self._set(self._wanted)
        elif self._limit_ms:
            past = (self._unit.ticks_ms() - self._heard_at) & _TICKS_MASK
            if past > self._limit_ms:
                self.falls += 1
                self._set(self._bauds[0])

    def _set(self, rate):
        self._wanted = 0
        self._unit.set_baud(rate)
        self._heard_at = self._unit.ticks_ms()
        self._rate = 0 if rate == self._bauds[0] else rate
        self._limit_ms = TRIAL_MS if self._rate else 0
