# A 5 x 4 matrix keypad: digits build a number, a function key sends it with its name.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Rows are pulled low one at a time, columns have pull-ups. The matrix has no diodes: with three
# keys down a fourth one appears, so only a single key counts.

import asyncio

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_SCAN_MS = const(10)
_STEADY = const(3)  # equal scans that make a press or a release: contacts bounce up to 20 ms
_LONG = const(200)  # scans: two seconds
_WAITING = const(16)  # keys; more than a driver can press before the unit looks
_DIGITS = const(16)  # longest number

CLEAR = "CLEAR"
LONG = "LONG_"  # in front of the name of a key that is held; it was sent by itself before
LAYOUT = (
    ("1", "2", "3", "FOR_HIRE"),
    ("4", "5", "6", "HIRED"),
    ("7", "8", "9", "STOP"),
    (CLEAR, "0", "EXTRA", "CASH"),
    ("SIGN", "PRINT", "", "CARD"),
)


class PinMatrix:
    """Rows and columns on pins, as machine.Pin: rows open drain, columns with a pull-up."""

    def __init__(self, rows, columns):
        self._rows = rows
        self._columns = columns

    def down(self):
        """(row, column) of the only key that is down, or None."""
        found = None
        for i, row in enumerate(self._rows):
            row.value(0)
            low = [j for j, column in enumerate(self._columns) if not column.value()]
            row.value(1)
            if len(low) > 1 or low and found is not None:
                return None
            if low:
                found = (i, low[0])
        return found


class ExpanderMatrix:
    """The same on a PCF8575: `rows` and `columns` are its line numbers.

    With all rows low, one reading says whether any key is down at all; only then are the rows
    looked at one by one, which costs five times as much of the bus.
    """

    def __init__(self, chip, rows, columns):
        self._chip = chip
        self._rows = [1 << n for n in rows]
        self._columns = [1 << n for n in columns]
        self._all_rows = sum(self._rows)

    def down(self):
        """(row, column) of the only key that is down, or None."""
        chip = self._chip
        chip.set(self._all_rows, 0)
        if not self._low(chip.read()):
            return None
        found = None
        several = False
        for i, row in enumerate(self._rows):
            chip.set(self._all_rows, self._all_rows & ~row)
            low = self._low(chip.read())
            several = several or len(low) > 1 or bool(low and found is not None)
            if low:
                found = (i, low[0])
        chip.set(self._all_rows, 0)
        return None if several else found

    def _low(self, levels):
        return [j for j, column in enumerate(self._columns) if not levels & column]


class Keypad:
    """`key()` waits for (name, digits typed before it). `typed(text)` is told of each digit.

    A function key that is held for two seconds sends a second name, with LONG in front.
    """

    def __init__(self, matrix, typed):
        self._matrix = matrix
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
        place = self._matrix.down()
        down = LAYOUT[place[0]][place[1]] if place else None
        if down != self._seen:
            self._seen = down
            self._steady = 0
            return
        if self._steady <= _LONG:
            self._steady += 1
        if self._steady == _LONG and self._held and not self._held.isdigit():
            self._send(LONG + self._held, "")
        if self._steady < _STEADY or down == self._held:
            return
        self._held = down
        if down:
            self._press(down)

    def _press(self, name):
        if name.isdigit():
            self._text = (self._text + name)[:_DIGITS]
        elif name == CLEAR:
            self._text = ""
        else:
            if not self._send(name, self._text):
                return
            self._text = ""
        self._typed(self._text)

    def _send(self, name, text):
        if len(self._keys) >= _WAITING:
            self.dropped += 1
            return False
        self._keys.append((name, text))
        self._some.set()
        return True
