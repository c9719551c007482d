# A simulated TM1637 on its two wires (Titan Micro data sheet V2.4). Runs on both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.


class _Wire:
    """An open-drain wire between the host and the chip, as a machine.Pin of the host."""

    def __init__(self, changed):
        self.host = 1
        self.chip = 1
        self._changed = changed

    @property
    def level(self):
        return self.host & self.chip

    def value(self, *level):
        if not level:
            return self.level
        before = self.level
        self.host = int(level[0])
        if self.level != before:
            self._changed(self)
        return None


class TM1637Chip:
    """`clock` and `data`: the host's pins; `cells`: what six digits show, None while dark."""

    def __init__(self, plugged=True):
        self.clock = _Wire(self._changed)
        self.data = _Wire(self._changed)
        self.plugged = plugged
        self.power_up()

    def power_up(self):
        self.memory = bytearray(6)
        self.on = False
        self.brightness = 0
        self.frames = 0
        self._fixed = False
        self._at = 0
        self._bits = None  # None: no frame is open
        self._count = 0
        self._frame = bytearray()

    @property
    def cells(self):
        """The digits in the chip's own order, or None if the display is off."""
        return bytes(self.memory) if self.on else None

    def _changed(self, wire):
        if not self.plugged:
            self.data.chip = 1
            return
        if wire is self.data:
            if self.clock.level:
                if self.data.level:
                    self._stop()
                else:
                    self._start()
            elif self._count < 8 and self._bits is None:
                pass  # data may change at will while no frame is open
            return
        if self._bits is None:
            return
        if self.clock.level:
            if self._count < 8:
                self._bits |= self.data.level << self._count
            self._count += 1
        elif self._count == 8:
            self.data.chip = 0  # acknowledged from the eighth fall to the ninth
            self._frame.append(self._bits)
        elif self._count == 9:
            self.data.chip = 1
            self._bits = self._count = 0

    def _start(self):
        self._bits = self._count = 0
        self._frame = bytearray()

    def _stop(self):
        # The clock's rise before the stop belongs to it.
        frame, self._bits, self._count = self._frame, None, 0
        if not frame:
            return
        self.frames += 1
        command = frame[0] & 0xC0
        if command == 0x40:
            if frame[0] & 0x3B or len(frame) != 1:
                raise ValueError("data command %r" % bytes(frame))
            self._fixed = bool(frame[0] & 0x04)
        elif command == 0xC0:
            at = frame[0] & 0x07
            for byte in frame[1:]:
                if at > 5:
                    raise ValueError("there is no digit %d" % at)
                self.memory[at] = byte
                at += 0 if self._fixed else 1
        elif command == 0x80:
            self.on = bool(frame[0] & 0x08)
            self.brightness = frame[0] & 0x07
        else:
            raise ValueError("command %02x" % frame[0])
