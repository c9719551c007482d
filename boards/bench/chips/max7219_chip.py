# A simulated MAX7219 on its wires (Maxim data sheet 19-4452 rev 5, tables 2 to 10). Both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.


class _Wire:
    def __init__(self, rises):
        self.level = 0
        self._rises = rises

    def value(self, *level):
        if not level:
            return self.level
        rise = level[0] and not self.level
        self.level = int(level[0])
        if rise:
            self._rises()
        return None


class MAX7219Chip:
    """`clock`, `data`, `load`: the host's pins; `cells`: what eight digits show, a at bit 0."""

    def __init__(self):
        self.clock = _Wire(self._take)
        self.data = _Wire(lambda: None)
        self.load = _Wire(self._latch)
        self.power_up()

    def power_up(self):
        self.r = bytearray(16)
        self._shift = 0

    def _take(self):
        self._shift = (self._shift << 1 | self.data.level) & 0xFFFF

    def _latch(self):
        self.r[self._shift >> 8 & 0x0F] = self._shift & 0xFF

    # What is seen.

    @property
    def brightness(self):
        return self.r[0x0A] & 0x0F

    @property
    def cells(self):
        """Segments from the left, a at bit 0; None while it is shut down."""
        if self.r[0x0F] & 1:
            return b"\xff" * 8
        if not self.r[0x0C] & 1:
            return None
        if self.r[0x09]:
            raise ValueError("code B decoding is not simulated")
        shown = (self.r[0x0B] & 7) + 1
        out = bytearray(8)
        for i in range(shown):
            raw = self.r[1 + i]
            cell = raw & 0x80
            for bit in range(7):
                cell |= (raw >> 6 - bit & 1) << bit
            out[7 - i] = cell
        return bytes(out)
