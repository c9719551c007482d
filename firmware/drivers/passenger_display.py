# The passenger's display: the fare as large as an SSD1306 allows, its currency and position above.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# 128 x 64 dots: one line of small text, then figures of 40 dots in height drawn as seven segments,
# so that no large font is needed. Only pages that changed are sent.

import framebuf
from drivers.fare_display import fare_text
from drivers.seven_segment import ALL, POINT, encode
from drivers.ssd1306 import PAGES, WIDTH
from micropython import const

_DIGITS = const(6)
_STEP = const(21)  # from digit to digit
_WIDE = const(15)
_HIGH = const(40)
_TOP = const(18)
_STROKE = const(4)
_CODES = {156: "CNY", 344: "HKD", 446: "MOP", 978: "EUR"}


class PassengerDisplay:
    """`show(face)` with the face of app/screen.py on `panel`, an SSD1306."""

    def __init__(self, panel):
        self._panel = panel
        self._dots = bytearray(WIDTH * PAGES)
        self._picture = framebuf.FrameBuffer(self._dots, WIDTH, 8 * PAGES, framebuf.MONO_VLSB)
        self._sent = None  # the dots that the panel has
        self._set_ups = 0
        self._text = None
        self._face = {}
        self._testing = False

    @property
    def faults(self):
        """Times that the panel did not answer."""
        return self._panel.faults

    def show(self, face):
        self._face = face
        if not self._testing:
            self._put(fare_text(face), face.get("position", ""), _currency(face))

    def all_segments(self, on):
        """Light every dot, until it is called again with False."""
        self._testing = on
        self._text = None
        if not on:
            self.show(self._face)
            return
        self._picture.fill(1)
        self._send()

    def _put(self, fare, left, right):
        text = (fare, left, right)
        if text == self._text and self._sent is not None:
            return
        self._text = text
        cells = encode(fare, _DIGITS)
        picture = self._picture
        picture.fill(0)
        picture.text(left, 0, 0)
        picture.text(right, WIDTH - 8 * len(right), 0)
        for i in range(_DIGITS):
            if cells[i]:
                self._digit(1 + i * _STEP, cells[i] & ALL)
        self._send()

    def _digit(self, x, cell):
        rect = self._picture.fill_rect
        half = _HIGH // 2
        bars = (
            (0, 0, _WIDE, _STROKE),  # a
            (_WIDE - _STROKE, 0, _STROKE, half),  # b
            (_WIDE - _STROKE, half, _STROKE, half),  # c
            (0, _HIGH - _STROKE, _WIDE, _STROKE),  # d
            (0, half, _STROKE, half),  # e
            (0, 0, _STROKE, half),  # f
            (0, half - _STROKE // 2, _WIDE, _STROKE),  # g
        )
        for i in range(7):
            if cell >> i & 1:
                left, top, wide, high = bars[i]
                rect(x + left, _TOP + top, wide, high, 1)
        if cell & POINT:
            rect(x + _WIDE + 1, _TOP + _HIGH - _STROKE, _STROKE, _STROKE, 1)

    def _send(self):
        try:
            self._panel.open()
            if self._panel.set_ups != self._set_ups:
                self._set_ups = self._panel.set_ups
                self._sent = None
            for page in range(PAGES):
                dots = memoryview(self._dots)[page * WIDTH : (page + 1) * WIDTH]
                if self._sent is None or self._sent[page * WIDTH : (page + 1) * WIDTH] != dots:
                    self._panel.page(page, dots)
            self._sent = bytes(self._dots)
        except OSError:
            self._sent = None


def _currency(face):
    return _CODES.get(face.get("currency"), "")
