# The vehicle's supply through a divider on an analogue input.
# MIT licence, (c) 2026 The Flagfall contributors.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_READS = const(8)  # the alternator's ripple, averaged


class SupplyVoltage:
    """`adc` as machine.ADC (read_uv: calibrated by the factory). `above` and `below` are the two
    resistors of the divider in any unit, `below` the one to ground."""

    def __init__(self, adc, above, below):
        self._adc = adc
        self._above = above
        self._below = below

    def mv(self):
        """Millivolts at the supply, now."""
        total = 0
        for _ in range(_READS):
            total += self._adc.read_uv()
        return total // _READS // 1000 * (self._above + self._below) // self._below
