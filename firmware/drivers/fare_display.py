# The fare in seven segments, on whichever chip is fitted.
# MIT licence, (c) 2026 The Flagfall contributors.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# A chip may have lost its supply: after so many faces the whole figure is sent again, an unchanged
# one first; between, only the digits that changed, so that a key has its answer sooner.
_AGAIN = const(10)
_AT_LEAST = const(30)


class FareDisplay:
    """`show(face)` with the face of app/screen.py; `chip` is a TM1637 or MAX7219."""

    def __init__(self, chip):
        self._chip = chip
        self._face = {}
        self._shown = None
        self._since = 0  # faces since the whole figure was sent
        self._testing = False
        self.faults = 0  # times that the chip did not answer

    def show(self, face):
        self._face = face
        if not self._testing:
            self._put(fare_text(face))

    def all_segments(self, on):
        """Light every segment, until it is called again with False (JJG 517: the self-test)."""
        self._testing = on
        self._shown = None
        if not on:
            self.show(self._face)
            return
        try:
            self._chip.all_segments()
        except OSError:
            self.faults += 1

    def brightness(self, level):
        """0 to `chip.levels` - 1."""
        try:
            self._chip.brightness(level)
        except OSError:
            self.faults += 1

    def _put(self, text):
        self._since += 1
        if text == self._shown and self._since < _AGAIN:
            return
        whole = text == self._shown or self._shown is None or self._since >= _AT_LEAST
        if whole:
            self._since = 0
        try:
            self._chip.show(text, whole)
            self._shown = text
        except OSError:
            self.faults += 1
            self._shown = None


def fare_text(face):
    """What the fare display shows for a face: the fare, or dashes where there is none."""
    if "fare" not in face:
        return "----"
    return amount_text(face["fare"], face.get("minor_digits", 2))


def amount_text(minor, digits):
    """Minor units of a currency with so many digits behind its point, as text."""
    if digits == 2:
        return "%d.%02d" % (minor // 100, minor % 100)
    if not digits:
        return "%d" % minor
    return "%d.%0*d" % (minor // 10**digits, digits, minor % 10**digits)
