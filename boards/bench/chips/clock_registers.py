# A simulated clock chip's registers: BCD digits that count as the chip's own logic does.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Deliberately without a calendar library: second by second, carry by carry, so that what a driver
# makes of the registers is compared with something that was made otherwise.

_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _number(byte):
    return (byte >> 4) * 10 + (byte & 0x0F)


def _digits(n):
    return n // 10 << 4 | n % 10


class ClockRegisters:
    """`r`: the registers. A chip's class says where the time stands and what stops it."""

    size = 0
    # index of each field, None where the chip has it elsewhere
    second = minute = hour = day = weekday = month = year = 0
    first_weekday = 1

    def __init__(self):
        self.r = bytearray(self.size)
        self._at = 0

    # I2C.

    def write(self, data):
        self._at = data[0] % self.size
        for byte in data[1:]:
            self.store(self._at, byte)
            self._at = (self._at + 1) % self.size

    def read(self, n):
        out = bytearray()
        for _ in range(n):
            out.append(self.r[self._at])
            self._at = (self._at + 1) % self.size
        return bytes(out)

    def store(self, register, byte):
        self.r[register] = byte

    # Time.

    def running(self):
        return True

    def tick(self, seconds=1):
        """Let time pass, one second after the other."""
        for _ in range(seconds):
            if self.running():
                self._carry()

    def _count(self, register, first, last, mask):
        """Count a field; True if it began again."""
        kept = self.r[register] & ~mask & 0xFF
        n = _number(self.r[register] & mask) + 1
        again = n > last
        self.r[register] = kept | _digits(first if again else n)
        return again

    def _carry(self):
        if not self._count(self.second, 0, 59, 0x7F):
            return
        if not self._count(self.minute, 0, 59, 0x7F):
            return
        if not self._count_hour():
            return
        weekday_last = self.first_weekday + 6
        self._count(self.weekday, self.first_weekday, weekday_last, 0x07)
        month = _number(self.r[self.month] & 0x1F)
        last = _DAYS[month - 1]
        if month == 2 and _number(self.r[self.year]) % 4 == 0:  # both chips: each fourth year
            last = 29
        if not self._count(self.day, 1, last, 0x3F):
            return
        if not self._count(self.month, 1, 12, 0x1F):
            return
        if self._count(self.year, 0, 99, 0xFF):
            self.r[self.month] ^= 0x80  # the century bit

    def _count_hour(self):
        return self._count(self.hour, 0, 23, 0x3F)
