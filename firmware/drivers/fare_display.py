# The fare in seven segments, on whichever chip is fitted.
# MIT licence, (c) 2026 The Flagfall contributors.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_AGAIN = const(10)  # an unchanged figure is sent again so often: a chip may have lost its supply


class FareDisplay:
    """`show(face)` with the face of app/screen.py; `chip` is a TM1637 or MAX7219."""

    def __init__(self, chip):
        self._chip = chip
        self._face = {}
        self._shown = None
        self._equal = 0
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
        self._equal += 1
        if text == self._shown and self._equal < _AGAIN:
            return
        self._equal = 0
        try:
            self._chip.show(text)
            self._shown = text
        except OSError:
            self.faults += 1
            self._shown = None


def fare_text(face):
    """What the fare display shows for a face: the fare, or dashes where there is none."""
    if "fare" not in face:
        return "----"
    digits = face.get("minor_digits", 2)
    if not digits:
        return "%d" % face["fare"]
    return "%d.%0*d" % (face["fare"] // 10**digits, digits, face["fare"] % 10**digits)
