# The unit's face as text on an SSD1306, 128 x 64 dots: 8 lines of 16 characters.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Only lines that changed are sent, 3 ms each at 400 kHz. A display that is missing or was
# unplugged costs nothing but its picture: the next change sets it up again.

import framebuf
from micropython import const

_ADDRESS = const(0x3C)
_WIDTH = const(128)
_LINES = const(8)
_COLUMNS = const(16)

# SSD1306 data sheet, section 9 (commands) and the flow chart of its application note.
_SET_UP = bytes(
    (
        0x00,  # control byte: commands follow
        0xAE,  # display off
        0xD5, 0x80,  # clock
        0xA8, 0x3F,  # 64 lines
        0xD3, 0x00,  # no offset
        0x40,  # start line 0
        0x8D, 0x14,  # charge pump on
        0x20, 0x02,  # page addressing
        0xA1, 0xC8,  # the connector's side is up
        0xDA, 0x12,  # COM pins of a 128 x 64 panel
        0x81, 0xCF,  # contrast
        0xD9, 0xF1,  # pre-charge
        0xDB, 0x40,  # VCOMH
        0xA4, 0xA6,  # show the RAM, not inverted
        0xAF,  # display on
    )
)  # fmt: skip
_DATA = b"\x40"  # control byte: data follow


class TextDisplay:
    """`show(face)` puts the face of app/screen.py on the panel; `typed(text)` echoes keys."""

    def __init__(self, i2c):
        self._i2c = i2c
        self._dots = bytearray(_WIDTH)
        self._line = framebuf.FrameBuffer(self._dots, _WIDTH, 8, framebuf.MONO_VLSB)
        self._shown = None  # None: the panel is not set up
        self._face = {}
        self._text = ""
        self.faults = 0  # times that the panel did not answer

    def show(self, face):
        self._face = face
        self._draw()

    def typed(self, text):
        self._text = text
        self._draw()

    def _draw(self):
        lines = compose(self._face, self._text)
        try:
            if self._shown is None:
                self._i2c.writeto(_ADDRESS, _SET_UP)
                self._shown = [None] * _LINES
            for i in range(_LINES):
                if lines[i] != self._shown[i]:
                    self._shown[i] = None  # until the panel has it
                    self._send(i, lines[i])
                    self._shown[i] = lines[i]
        except OSError:
            self.faults += 1
            self._shown = None

    def _send(self, page, text):
        self._line.fill(0)
        self._line.text(text, 0, 0)
        self._i2c.writeto(_ADDRESS, bytes((0x00, 0xB0 | page, 0x00, 0x10)))
        self._i2c.writevto(_ADDRESS, (_DATA, self._dots))


def compose(face, typed=""):
    """The 8 lines of 16 characters for a face (dict) and the digits typed so far."""
    lines = [""] * _LINES
    lines[0] = _row(face.get("position", ""), face.get("clock", ""))
    if "fare" in face:
        digits = face.get("minor_digits", 2)
        lines[1] = _row("FARE", _money(face["fare"], digits))
        if face.get("supplements"):
            lines[2] = _row("EXTRA", _money(face["supplements"], digits))
        lines[3] = _row("KM", "%d.%02d" % divmod(face.get("distance_mm", 0) // 10000, 100))
        minutes, seconds = divmod(face.get("waiting_s", 0), 60)
        lines[4] = _row("WAIT", "%d:%02d" % (minutes, seconds))
    message = _plain(face.get("message", ""))
    for i in range(2):
        lines[5 + i] = message[i * _COLUMNS : (i + 1) * _COLUMNS]
    lines[7] = "> " + typed if typed else message[2 * _COLUMNS : 3 * _COLUMNS]
    return lines


def _row(left, right):
    gap = max(1, _COLUMNS - len(left) - len(right))
    return (left + " " * gap + right)[:_COLUMNS]


def _money(minor, digits):
    if not digits:
        return "%d" % minor
    return "%d.%0*d" % (minor // 10**digits, digits, minor % 10**digits)


def _plain(text):
    # The panel's font is ASCII.
    return "".join(c if " " <= c <= "~" else "?" for c in text)
