# The unit's face as text on an SSD1306, 128 x 64 dots: 8 lines of 16 characters.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Only lines that changed are sent, 3 ms each at 400 kHz. A display that is missing or was
# unplugged costs nothing but its picture: the next change sets it up again.

import framebuf
from drivers.ssd1306 import WIDTH
from micropython import const

_LINES = const(8)
_COLUMNS = const(16)


class TextDisplay:
    """`show(face)` puts the face of app/screen.py on `panel`; `typed(text)` echoes keys."""

    def __init__(self, panel):
        self._panel = panel
        self._dots = bytearray(WIDTH)
        self._line = framebuf.FrameBuffer(self._dots, WIDTH, 8, framebuf.MONO_VLSB)
        self._shown = [None] * _LINES
        self._set_ups = 0
        self._face = {}
        self._text = ""
        self._testing = False

    @property
    def faults(self):
        """Times that the panel did not answer."""
        return self._panel.faults

    def show(self, face):
        self._face = face
        self._draw()

    def typed(self, text):
        self._text = text
        self._draw()

    def all_segments(self, on):
        """Light every dot, until it is called again with False."""
        self._testing = on
        self._shown = [None] * _LINES
        if not on:
            self._draw()
            return
        for i in range(WIDTH):
            self._dots[i] = 0xFF
        try:
            for page in range(_LINES):
                self._panel.page(page, self._dots)
        except OSError:
            pass  # the panel counts it

    def _draw(self):
        if self._testing:
            return
        lines = compose(self._face, self._text)
        try:
            self._panel.open()
            if self._panel.set_ups != self._set_ups:
                self._set_ups = self._panel.set_ups
                self._shown = [None] * _LINES
            for i in range(_LINES):
                if lines[i] != self._shown[i]:
                    self._shown[i] = None  # until the panel has it
                    self._line.fill(0)
                    self._line.text(lines[i], 0, 0)
                    self._panel.page(i, self._dots)
                    self._shown[i] = lines[i]
        except OSError:
            self._shown = [None] * _LINES


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
    # A warning stands where the driver is told nothing else.
    message = _plain(face.get("message", "") or face.get("warning", ""))
    for i in range(2):
        lines[5 + i] = message[i * _COLUMNS : (i + 1) * _COLUMNS]
    if face.get("secret"):
        typed = "*" * len(typed)
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
