# A simulated PCF8575 with a keypad on it, if wanted (NXP data sheet rev 4). Both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.


class PCF8575Chip:
    """`latch`: what was written. `low`: lines that something outside pulls down. `shorts`: pairs
    of lines that a pressed key connects."""

    def __init__(self):
        self.power_up()

    def power_up(self):
        self.latch = 0xFFFF
        self.low = set()
        self.shorts = set()
        self.reads = 0

    def level(self, line):
        """What a line is at."""
        return self._levels() >> line & 1

    def _levels(self):
        levels = self.latch
        for line in self.low:
            levels &= ~(1 << line)
        # A low level goes through every key that is down, as far as it gets.
        for _ in range(len(self.shorts)):
            for a, b in self.shorts:
                if not levels >> a & 1 or not levels >> b & 1:
                    levels &= ~(1 << a | 1 << b)
        return levels

    def write(self, data):
        if len(data) % 2:
            raise ValueError("half a word: port 1 would keep its levels")
        self.latch = data[-2] | data[-1] << 8

    def read(self, n):
        self.reads += 1
        levels = self._levels()
        return bytes((levels & 0xFF, levels >> 8) * n)[:n]
