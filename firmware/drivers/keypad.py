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
_CONFIRM_MS = const(4)  # to the second look at a key that has just gone down
# Equal scans after the first. A press counts as soon as it is no glitch; a release only when no
# contact bounces any more, which takes up to 20 ms, so that one press is never two.
_STEADY_DOWN = const(1)
_STEADY_UP = const(3)
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

    With all rows low, one reading says whether any key is down, and in which column. The
    expander's lines have no direction: with all columns low, another one says in which row.
    """

    def __init__(self, chip, rows, columns):
        self._chip = chip
        self._rows = [1 << n for n in rows]
        self._columns = [1 << n for n in columns]
        self._all_rows = sum(self._rows)
        self._all_columns = sum(self._columns)

    def down(self):
        """(row, column) of the only key that is down, or None."""
        chip = self._chip
        every = self._all_rows | self._all_columns
        chip.set(every, self._all_columns)
        levels = chip.read()
        if levels & self._all_columns == self._all_columns:
            return None
        columns = _low(levels, self._columns)
        chip.set(every, self._all_rows)
        rows = _low(chip.read(), self._rows)
        chip.set(every, self._all_columns)
        return (rows[0], columns[0]) if len(rows) == len(columns) == 1 else None


def _low(levels, lines):
    return [i for i, line in enumerate(lines) if not levels & line]


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
            await asyncio.sleep_ms(_CONFIRM_MS if self.scan() else _SCAN_MS)

    async def key(self):
        """The next function key: (name, digits)."""
        while not self._keys:
            self._some.clear()
            await self._some.wait()
        return self._keys.pop(0)

    def scan(self):
        """Look once at the whole matrix. True if a key was seen that was not down before."""
        place = self._matrix.down()
        down = LAYOUT[place[0]][place[1]] if place else None
        if down != self._seen:
            self._seen = down
            self._steady = 0
            return down is not None
        if self._steady <= _LONG:
            self._steady += 1
        if self._steady == _LONG and self._held and not self._held.isdigit():
            self._send(LONG + self._held, "")
        if self._steady < (_STEADY_DOWN if down else _STEADY_UP) or down == self._held:
            return False
        self._held = down
        if down:
            self._press(down)
        return False

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
