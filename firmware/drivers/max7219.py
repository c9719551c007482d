# The MAX7219: up to eight seven-segment digits on three wires.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Maxim MAX7219/MAX7221 data sheet, 19-4452 rev 5 (DS): 16 bits a register, the highest first,
# taken at the rise of LOAD. The chip cannot answer. It is set up afresh with each whole figure:
# after a dip of its supply it would otherwise stay dark for good.

from drivers.seven_segment import encode

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_DIGIT_0 = const(0x01)  # the rightmost
_DECODE = const(0x09)
_INTENSITY = const(0x0A)
_SCAN_LIMIT = const(0x0B)
_SHUTDOWN = const(0x0C)  # 1: normal operation
_TEST = const(0x0F)  # 1: everything on, at full brightness


class MAX7219:
    """`clock`, `data` and `load` (CS on some boards) are output pins as machine.Pin.

    A figure is 208 bits, which is not worth one of the chip's SPI blocks.
    """

    levels = 16  # of brightness

    def __init__(self, clock, data, load, digits=8):
        self._clock = clock
        self._data = data
        self._load = load
        self._brightness = self.levels // 2
        self._cells = bytes(digits)  # as the chip has them
        self.digits = digits
        load.value(1)

    def show(self, text, whole=True):
        """Show `text`, the point without a place of its own; unless `whole`, only the digits
        that changed are sent, to a chip that still has the others."""
        if whole:
            self._set_up()
        cells = encode(text, self.digits)
        for i in range(self.digits):
            if whole or cells[i] != self._cells[i]:
                self._write(_DIGIT_0 + self.digits - 1 - i, _swapped(cells[i]))
        self._cells = cells

    def all_segments(self):
        """Light everything, until `show`."""
        self._set_up()
        self._write(_TEST, 1)

    def brightness(self, level):
        """0 to `levels` - 1."""
        self._brightness = max(0, min(level, self.levels - 1))
        self._write(_INTENSITY, self._brightness)

    def _set_up(self):
        self._write(_TEST, 0)
        self._write(_DECODE, 0)
        self._write(_SCAN_LIMIT, self.digits - 1)
        self._write(_INTENSITY, self._brightness)
        self._write(_SHUTDOWN, 1)

    def _write(self, register, value):
        clock, data = self._clock, self._data
        word = register << 8 | value
        self._load.value(0)
        for bit in range(15, -1, -1):
            clock.value(0)
            data.value(word >> bit & 1)
            clock.value(1)  # taken at the rise
        self._load.value(1)


def _swapped(cell):
    """DS table 6: the chip has a at bit 6 and g at bit 0; the point stays at bit 7."""
    out = cell & 0x80
    for i in range(7):
        if cell >> i & 1:
            out |= 0x40 >> i
    return out
