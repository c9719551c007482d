# A simulated DS3231 (Maxim data sheet 19-5170 rev 10, figure 1). Runs on both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.

from chips.clock_registers import ClockRegisters

_CONTROL = 0x0E
_STATUS = 0x0F


class DS3231Chip(ClockRegisters):
    """As it leaves the factory: 1900-01-01, stopped flag set. `battery` False: it has none."""

    size = 0x13
    second, minute, hour, weekday, day, month, year = range(7)

    def __init__(self):
        super().__init__()
        self.battery = True
        self.first_power()

    def first_power(self):
        """Power came to a chip without a living battery."""
        self.r[:] = bytes(self.size)
        self.r[self.weekday] = self.r[self.day] = self.r[self.month] = 1
        self.r[_CONTROL] = 0x1C
        self.r[_STATUS] = 0x88  # OSF and EN32kHz

    def store(self, register, byte):
        if register == _STATUS:
            # Flags can be cleared, not set; busy is the chip's own.
            byte = byte & 0x08 | self.r[_STATUS] & byte & 0x83 | self.r[_STATUS] & 0x04
        super().store(register, byte)

    def dark(self, seconds):
        """The unit is off for so long."""
        if not self.battery:
            self.first_power()
        elif self.r[_CONTROL] & 0x80:
            self.r[_STATUS] |= 0x80
        else:
            self.tick(seconds)

    def _count_hour(self):
        if not self.r[self.hour] & 0x40:
            return super()._count_hour()
        # 12-hour mode: 11 PM to 12 AM is midnight.
        pm = self.r[self.hour] & 0x20
        n = (self.r[self.hour] >> 4 & 1) * 10 + (self.r[self.hour] & 0x0F)
        midnight = False
        if n == 11:
            midnight = bool(pm)
            pm ^= 0x20
        n = 1 if n == 12 else n + 1
        self.r[self.hour] = 0x40 | pm | n // 10 << 4 | n % 10
        return midnight
