# The TM1637: up to six seven-segment digits on two wires.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Titan Micro TM1637 data sheet V2.4 (DS). Two open-drain wires, data to the chip while the clock
# is low, the lowest bit first; the chip pulls the data line down at the ninth clock. It is not
# I2C: there is no address.

import time

from drivers.seven_segment import ALL, encode

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_WRITE = const(0x40)  # data command: write, addresses go up by themselves (DS, "Data command")
_FIRST = const(0xC0)  # address of the first digit
_CONTROL = const(0x88)  # display on; bits 0 to 2 are the brightness
_HALF_US = const(2)  # half a clock: 500 kHz is the chip's limit, the pins' rise is slower


class DisplayError(OSError):
    """The display's chip does not answer."""


class TM1637:
    """`clock` and `data` are pins as machine.Pin, open drain with a pull-up.

    `order` is the chip's place of each digit from the left; common modules of six have
    (2, 1, 0, 5, 4, 3).
    """

    levels = 8  # of brightness

    def __init__(self, clock, data, order=(2, 1, 0, 5, 4, 3)):
        self._clock = clock
        self._data = data
        self._order = order
        self._wait = getattr(time, "sleep_us", _no_wait)
        self._brightness = self.levels - 1
        self._frame = bytearray(1 + len(order))  # as the chip has it
        self.digits = len(order)

    def show(self, text, whole=True):
        """Show `text`, the point without a place of its own; unless `whole`, only the digits
        that changed are sent, to a chip that still has the others. Raises DisplayError."""
        self._put(encode(text, self.digits), whole)

    def all_segments(self):
        """Light everything. Raises DisplayError."""
        self._put(bytes([ALL] * self.digits), True)

    def brightness(self, level):
        """0 to `levels` - 1. Raises DisplayError."""
        self._brightness = max(0, min(level, self.levels - 1))
        self._send((_CONTROL | self._brightness,))

    def _put(self, cells, whole):
        frame = self._frame
        first, last = (1, self.digits) if whole else (self.digits, 0)
        for i, place in enumerate(self._order):
            if frame[1 + place] != cells[i]:
                frame[1 + place] = cells[i]
                first, last = min(first, 1 + place), max(last, 1 + place)
        if last < first:
            return
        self._send((_WRITE,))
        before, frame[first - 1] = frame[first - 1], _FIRST + first - 1
        try:
            self._send(memoryview(frame)[first - 1 : last + 1])
        finally:
            frame[first - 1] = before
        if whole:
            self._send((_CONTROL | self._brightness,))

    def _send(self, frame):
        clock, data, wait = self._clock.value, self._data.value, self._wait
        clock(1)
        data(1)
        wait(_HALF_US)
        data(0)  # start: data falls while the clock is high
        answered = True
        for byte in frame:
            for _ in range(8):
                clock(0)
                data(byte & 1)
                wait(_HALF_US)
                clock(1)
                wait(_HALF_US)
                byte >>= 1
            clock(0)
            data(1)
            wait(_HALF_US)
            clock(1)
            wait(_HALF_US)
            answered = not data() and answered
            clock(0)
        data(0)
        wait(_HALF_US)
        clock(1)
        wait(_HALF_US)
        data(1)  # stop: data rises while the clock is high
        if not answered:
            raise DisplayError("the TM1637 does not answer")


def _no_wait(us):
    pass
