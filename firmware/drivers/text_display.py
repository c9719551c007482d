# The unit's face as text on an SSD1306, 128 x 64 dots: 8 lines of 16 characters.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A key wants its answer at once: only lines that changed are made, since a text costs MicroPython
# a search through all the names it knows, and of a line only the half that changed is sent,
# 1.5 ms at 400 kHz. A display that is missing or was unplugged costs nothing but its picture: the
# next change sets it up again.

import framebuf
from drivers.fare_display import amount_text
from drivers.ssd1306 import WIDTH
from micropython import const

_LINES = const(8)
_COLUMNS = const(16)
_HALF = const(64)  # dots


class TextDisplay:
    """`show(face)` puts the face of app/screen.py on `panel`; `typed(text)` echoes keys."""

    def __init__(self, panel):
        self._panel = panel
        self._dots = bytearray(WIDTH)
        self._halves = _halves(self._dots)
        self._sent = [_halves(bytearray(WIDTH)) for _ in range(_LINES)]
        self._line = framebuf.FrameBuffer(self._dots, WIDTH, 8, framebuf.MONO_VLSB)
        self._shown = [None] * _LINES  # what each line is made of
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
        if text != self._text:
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
        lines = _parts(self._face, self._text)
        try:
            self._panel.open()
            if self._panel.set_ups != self._set_ups:
                self._set_ups = self._panel.set_ups
                self._shown = [None] * _LINES
            for i in range(_LINES):
                if lines[i] != self._shown[i]:
                    whole, self._shown[i] = self._shown[i] is None, None  # until the panel has it
                    self._line.fill(0)
                    self._line.text(_made(lines[i]), 0, 0)
                    self._send(i, whole)
                    self._shown[i] = lines[i]
        except OSError:
            self._shown = [None] * _LINES

    def _send(self, line, whole):
        """Send the dots of a line, or the half of them that changed."""
        left, right = self._halves
        sent_left, sent_right = self._sent[line]
        if whole or right != sent_right:
            if whole or left != sent_left:
                self._panel.page(line, self._dots)
                sent_left[:] = left
            else:
                self._panel.page(line, right, _HALF)
            sent_right[:] = right
        elif left != sent_left:
            self._panel.page(line, left)
            sent_left[:] = left


def _halves(dots):
    view = memoryview(dots)
    return view[:_HALF], view[_HALF:]


def compose(face, typed=""):
    """The 8 lines of 16 characters for a face (dict) and the digits typed so far."""
    return [_made(part) for part in _parts(face, typed)]


def _parts(face, typed):
    """For each line what makes it, cheap to compare: a function and its arguments, or nothing."""
    parts = [()] * _LINES
    parts[0] = (_row, face.get("position", ""), face.get("clock", ""))
    if "fare" in face:
        digits = face.get("minor_digits", 2)
        parts[1] = (_amount, "FARE", face["fare"], digits)
        if face.get("supplements"):
            parts[2] = (_amount, "EXTRA", face["supplements"], digits)
        parts[3] = (_split, "KM", "%d.%02d", face.get("distance_mm", 0) // 10000, 100)
        parts[4] = (_split, "WAIT", "%d:%02d", face.get("waiting_s", 0), 60)
    # A warning stands where the driver is told nothing else.
    message = face.get("message", "") or face.get("warning", "")
    parts[5] = (_piece, message, 0)
    parts[6] = (_piece, message, 1)
    if typed:
        parts[7] = (_typed, len(typed) if face.get("secret") else typed)
    else:
        parts[7] = (_piece, message, 2)
    return parts


def _made(part):
    return part[0](*part[1:]) if part else ""


def _row(left, right):
    if len(left) + len(right) < _COLUMNS:
        return "%s%*s" % (left, _COLUMNS - len(left), right)
    return (left + " " + right)[:_COLUMNS]


def _amount(name, minor, digits):
    return _row(name, amount_text(minor, digits))


def _split(name, form, number, by):
    return _row(name, form % divmod(number, by))


def _piece(message, i):
    return _plain(message[i * _COLUMNS : (i + 1) * _COLUMNS])


def _typed(digits):
    return "> " + ("*" * digits if isinstance(digits, int) else digits)


def _plain(text):
    # The panel's font is ASCII.
    for byte in text.encode():
        if not 0x20 <= byte <= 0x7E:
            return "".join(c if " " <= c <= "~" else "?" for c in text)
    return text
