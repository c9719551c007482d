# A simulated SSD1306 in page addressing, strict about its commands. Runs on both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# SSD1306 data sheet rev 1.5, table 9-1.

_ARGUMENTS = {0x20: 1, 0x81: 1, 0x8D: 1, 0xA8: 1, 0xD3: 1, 0xD5: 1, 0xD9: 1, 0xDA: 1, 0xDB: 1}
_KNOWN = (0x40, 0xA1, 0xA4, 0xA6, 0xC8)


class SSD1306Chip:
    """`panel`: its memory, 8 pages of 128 columns, bit 0 on top."""

    def __init__(self):
        self.power_up()

    def power_up(self):
        self.panel = [bytearray(128) for _ in range(8)]
        self.on = self.pump = False
        self._page = self._column = self.pages_written = 0

    def dot(self, x, y):
        """Whether a dot is lit."""
        return self.on and self.pump and bool(self.panel[y // 8][x] >> y % 8 & 1)

    def read(self, n):
        raise ValueError("this panel is only written to")

    def write(self, data):
        if data[0] == 0x40:
            for byte in data[1:]:
                self.panel[self._page][self._column] = byte
                self._column = (self._column + 1) % 128
            self.pages_written += 1
            return
        if data[0] != 0x00:
            raise ValueError("control byte %02x" % data[0])
        i = 1
        while i < len(data):
            command = data[i]
            arguments = _ARGUMENTS.get(command, 0)
            if i + arguments >= len(data):
                raise ValueError("command %02x without its argument" % command)
            self._do(command, data[i + 1] if arguments else 0)
            i += 1 + arguments

    def _do(self, command, argument):
        if command in (0xAE, 0xAF):
            self.on = command == 0xAF
        elif command == 0x8D:
            self.pump = argument == 0x14
        elif 0xB0 <= command <= 0xB7:
            self._page = command & 7
        elif command <= 0x0F:
            self._column = self._column & 0xF0 | command
        elif command <= 0x1F:
            self._column = self._column & 0x0F | (command & 0x0F) << 4
        elif command not in _ARGUMENTS and command not in _KNOWN:
            raise ValueError("unknown command %02x" % command)
