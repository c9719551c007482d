# A simulated PCF8563 (NXP data sheet rev 11, table 4). Runs on both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.

from chips.clock_registers import ClockRegisters

_STOP = 0x20


class PCF8563Chip(ClockRegisters):
    """As after its first power: voltage-low flag set, unused bits as they happen to be."""

    size = 0x10
    second, minute, hour, day, weekday, month, year = range(2, 9)
    first_weekday = 0

    def __init__(self, unused=0xFF):
        super().__init__()
        self.battery = True
        self._unused = unused
        self.first_power()

    def first_power(self):
        """Power came to a chip without a living battery."""
        self.r[:] = bytes(self.size)
        self.r[self.second] = 0x80
        self.r[self.day] = self.r[self.month] = 1
        self.r[0x0D] = 0x80

    def read(self, n):
        # Bits without a meaning read as anything (DS table 4, marked "x" or "-").
        at = self._at
        out = bytearray(super().read(n))
        for i in range(n):
            mask = {3: 0x80, 4: 0xC0, 5: 0xC0, 6: 0xF8, 7: 0x60}.get((at + i) % self.size, 0)
            out[i] |= mask & self._unused
        return bytes(out)

    def running(self):
        return not self.r[0] & _STOP

    def dark(self, seconds):
        """The unit is off for so long."""
        if self.battery:
            self.tick(seconds)
        else:
            self.first_power()
