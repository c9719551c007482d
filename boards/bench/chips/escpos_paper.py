# A simulated ESC/POS printer: bytes in, lines on paper and status bytes out. Both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# After the Epson ESC/POS command reference: DLE EOT is answered at once, GS r and everything else
# in its turn, and nothing in its turn is done while there is no paper or the cover is open.

_ESC = 0x1B
_GS = 0x1D
_FS = 0x1C
_DLE = 0x10


class EscPosPaper:
    """A port as the drivers want one (`read`, `write`, `discard`), and the printer at its end.

    `lines`: (bytes, whether they came in Chinese mode). `paper_left` in lines, None: plenty.
    """

    def __init__(self, realtime=True, paper_left=None):
        self.realtime = realtime  # whether it knows DLE EOT
        self.paper_left = paper_left
        self.powered = True
        self.cover_open = self.cutter_stuck = self.defect = False
        self.noise = b""  # comes instead of any answer
        self.lines = []
        self.cuts = self.fed = self.resets = 0
        self._chinese = False
        self._line = b""
        self._buffer = bytearray()
        self._answers = bytearray()

    # The port.

    async def write(self, data):
        if not self.powered:
            return
        data = bytes(data)
        while data:
            # DLE EOT is seen wherever it stands.
            at = data.find(b"\x10\x04") if self.realtime else -1
            if at < 0 or at + 2 >= len(data):
                self._buffer.extend(data)
                break
            self._buffer.extend(data[:at])
            self._say(self._now(data[at + 2]))
            data = data[at + 3 :]
        self._work()

    async def read(self, n, timeout_ms):
        out = bytes(self._answers[:n])
        self._answers = self._answers[n:]
        return out

    def discard(self):
        self._answers = bytearray()

    # What a person does.

    def put_paper_in(self, lines=None):
        """A new roll; what was waiting is printed."""
        self.paper_left = lines
        self.cover_open = False
        self._work()

    # Inside.

    def _say(self, byte):
        if self.noise:
            self._answers.extend(self.noise)
        else:
            self._answers.append(byte)

    @property
    def _no_paper(self):
        return self.paper_left == 0

    def _now(self, n):
        bits = 0x12
        if n == 2:
            bits |= (0x04 if self.cover_open else 0) | (0x20 if self._no_paper else 0)
        elif n == 3:
            bits |= (0x08 if self.cutter_stuck else 0) | (0x20 if self.defect else 0)
        elif n == 4:
            bits |= 0x60 if self._no_paper else 0
        return bits

    def _stuck(self):
        # Real printers queue behind their missing paper only what needs it; the queue is in order.
        if self.realtime:
            return self._no_paper or self.cover_open or self.cutter_stuck or self.defect
        return False

    def _work(self):
        while self._buffer and not self._stuck():
            used = self._one(self._buffer)
            if not used:
                return
            self._buffer = self._buffer[used:]

    def _one(self, b):
        """Do the command at the start of `b`; how many bytes it had, 0: not all there yet."""
        first = b[0]
        if first not in (_ESC, _GS, _FS, _DLE):
            self._character(first)
            return 1
        if len(b) < 2:
            return 0
        second = b[1]
        if first == _ESC and second == 0x40:
            self.resets += 1
            self._chinese = False
            self._line = b""
            return 2
        if first == _FS and second in (0x26, 0x2E):
            self._chinese = second == 0x26
            return 2
        if len(b) < 3:
            return 0
        if first == _ESC and second == 0x64:
            self.fed += b[2]
            return 3
        if first == _ESC and second == 0x74:
            self._chinese = b[2] == 255
            return 3
        if first == _GS and second == 0x72:
            self._say(0x0C if self._no_paper else 0)
            return 3
        if first == _GS and second == 0x56:
            if b[2] in (65, 66):
                if len(b) < 4:
                    return 0
                self.cuts += 1
                return 4
            self.cuts += 1
            return 3
        if first == _DLE and second == 0x04:
            return 3  # a printer without it swallows it
        raise ValueError("command %02x %02x" % (first, second))

    def _character(self, byte):
        if byte != 0x0A:
            self._line += bytes((byte,))
            return
        if not self._no_paper:
            self.lines.append((self._line, self._chinese))
            if self.paper_left:
                self.paper_left -= 1
        self._line = b""
