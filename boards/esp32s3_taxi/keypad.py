# A 5 x 4 matrix keypad: digits build a number, a function key sends it with its name.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Rows are pulled low one at a time, columns have the chip's pull-ups. The matrix has no diodes:
# with three keys down a fourth one appears, so only a single key counts.

import asyncio

from machine import Pin
from micropython import const

_SCAN_MS = const(10)
_STEADY = const(3)  # equal scans that make a press or a release: contacts bounce up to 20 ms
_WAITING = const(16)  # keys; more than a driver can press before the unit looks
_DIGITS = const(16)  # longest number

CLEAR = "CLEAR"
LAYOUT = (
    ("1", "2", "3", "FOR_HIRE"),
    ("4", "5", "6", "HIRED"),
    ("7", "8", "9", "STOP"),
    (CLEAR, "0", "EXTRA", "CASH"),
    ("SIGN", "PRINT", "", "CARD"),
)


class Keypad:
    """`key()` waits for (name, digits typed before it). `typed(text)` is told of each digit."""

    def __init__(self, rows, columns, typed):
        self._rows = [Pin(p, Pin.OPEN_DRAIN, value=1) for p in rows]
        self._columns = [Pin(p, Pin.IN, Pin.PULL_UP) for p in columns]
        self._typed = typed
        self._text = ""
        self._seen = self._held = None
        self._steady = 0
        self._keys = []
        self._some = asyncio.Event()
        self.dropped = 0  # keys pressed while 16 others waited

    async def run(self):
        """Scan for ever."""
        while True:
            self.scan()
            await asyncio.sleep_ms(_SCAN_MS)

    async def key(self):
        """The next function key: (name, digits)."""
        while not self._keys:
            self._some.clear()
            await self._some.wait()
        return self._keys.pop(0)

    def scan(self):
        """Look once at the whole matrix."""
        down = self._down()
        if down != self._seen:
            self._seen = down
            self._steady = 0
            return
        self._steady = min(self._steady + 1, _STEADY)
        if self._steady < _STEADY or down == self._held:
            return
        self._held = down
        if down:
            self._press(down)

    def _down(self):
        """The name of the only key that is down, or None."""
        found = None
        several = False
        for i, row in enumerate(self._rows):
            row.value(0)
            for j, column in enumerate(self._columns):
                if not column.value():
                    several = found is not None
                    found = LAYOUT[i][j]
                    if several:
                        break
            row.value(1)
            if several:
                return None
        return found

    def _press(self, name):
        if name.isdigit():
            self._text = (self._text + name)[:_DIGITS]
        elif name == CLEAR:
            self._text = ""
        elif len(self._keys) >= _WAITING:
            self.dropped += 1
            return
        else:
            self._keys.append((name, self._text))
            self._text = ""
            self._some.set()
        self._typed(self._text)
