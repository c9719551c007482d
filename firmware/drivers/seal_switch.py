# The seal switch: closed by the lid, to ground; open when the lid is off or the wire is cut.
# MIT licence, (c) 2026 The Flagfall contributors.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_STEADY = const(3)  # equal looks that make a change: a car shakes, contacts bounce


class SealSwitch:
    """`pin` as machine.Pin with a pull-up: 0 while the lid is on. Call `look` each 50 ms."""

    def __init__(self, pin):
        self._pin = pin
        self.open = bool(pin.value())  # as found at power-up
        self._seen = 0

    def look(self):
        """Look once; return whether the seal is open."""
        if bool(self._pin.value()) == self.open:
            self._seen = 0
        else:
            self._seen += 1
            if self._seen >= _STEADY:
                self.open = not self.open
                self._seen = 0
        return self.open
