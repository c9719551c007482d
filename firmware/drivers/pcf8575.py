# The PCF8575 on I2C: sixteen more pins, for what is slow.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# NXP PCF8575 data sheet rev 4 (DS): no registers. Two bytes written are the levels of P00 to P07
# and P10 to P17, two bytes read are what the pins are at. A high level is only a weak pull-up of
# some 100 uA, so that a pin written 1 is an input; a low level sinks 25 mA: lamps hang between
# the supply and the pin.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


ADDRESS = const(0x20)  # A0 to A2 at ground
_ALL_HIGH = const(0xFFFF)


class PCF8575:
    """Sixteen lines. A chip that does not answer costs its lines and nothing else: inputs read 1,
    outputs are set again with the next change. `faults` counts.
    """

    def __init__(self, i2c, address=ADDRESS):
        self._i2c = i2c
        self._address = address
        self._levels = _ALL_HIGH
        self._known = False  # whether the chip has our levels
        self.faults = 0

    def line(self, number, lit_by=1):
        """Line 0 to 15 as a pin; `lit_by` 0 turns its sense round, for lamps at the supply."""
        return Line(self, number, lit_by)

    def set(self, mask, levels):
        """Set the lines in `mask` to `levels`."""
        wanted = self._levels & ~mask | levels & mask
        if wanted == self._levels and self._known:
            return
        self._levels = wanted
        try:
            self._i2c.writeto(self._address, bytes((wanted & 0xFF, wanted >> 8)))
            self._known = True
        except OSError:
            self.faults += 1
            self._known = False

    def read(self):
        """What the 16 lines are at."""
        if not self._known:
            self.set(0, 0)
        try:
            low, high = self._i2c.readfrom(self._address, 2)
        except OSError:
            self.faults += 1
            self._known = False
            return _ALL_HIGH
        return low | high << 8


class Line:
    """One line, used as a machine.Pin."""

    def __init__(self, chip, number, lit_by):
        self._chip = chip
        self._bit = 1 << number
        self._lit_by = lit_by

    def value(self, *level):
        """Read the line; with a level set it."""
        if not level:
            is_high = bool(self._chip.read() & self._bit)
            return int(is_high == bool(self._lit_by))
        high = bool(level[0]) == bool(self._lit_by)
        self._chip.set(self._bit, self._bit if high else 0)
        return None
