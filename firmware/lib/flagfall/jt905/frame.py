# Frames of the peripheral line of JT/T 905-2014: 55 AA, length, type, vendor, command, data, XOR,
# 55 AA. 9600 8N1, integers big-endian.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# There is no byte stuffing: 55 AA may stand in the data, so a frame is found by its length and
# never by its end.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


ISU = const(0x00)
TAXIMETER = const(0x02)

MAX_DATA = const(512)  # bytes; the longest known body, a tariff, has 127
_MARK = b"\x55\xaa"
_HEAD = const(4)  # type, vendor, command: counted by the length
_AROUND = const(7)  # both marks, length, XOR: not counted


class FrameError(ValueError):
    """The data do not fit a frame."""


def encode(command, data=b"", type=TAXIMETER, vendor=0):
    """One frame. `command` is 16 bit, `data` at most MAX_DATA bytes. Raises FrameError."""
    n = len(data)
    if n > MAX_DATA or not 0 <= command <= 0xFFFF:
        raise FrameError("command %04X with %d bytes" % (command, n))
    n += _HEAD
    out = bytearray(n + _AROUND)
    out[0:2] = out[-2:] = _MARK
    out[2] = n >> 8
    out[3] = n & 0xFF
    out[4] = type
    out[5] = vendor
    out[6] = command >> 8
    out[7] = command & 0xFF
    out[8 : 4 + n] = data
    out[-3] = _xor(out, 2, 4 + n)
    return bytes(out)


def _xor(data, start, end):
    x = 0
    for at in range(start, end):
        x ^= data[at]
    return x


class Parser:
    """Finds frames in what comes in. Holds at most one frame's worth of bytes."""

    def __init__(self):
        self._held = bytearray()
        self.skipped = 0  # bytes that belonged to no good frame

    def feed(self, data):
        """Take bytes; return the list of (type, vendor, command, data) that they complete."""
        found = []
        for at in range(0, len(data), MAX_DATA):
            self._held.extend(data[at : at + MAX_DATA])
            self._find(found)
        return found

    def silence(self):
        """Nothing has come for a while: what seemed to begin a frame did not. Return the frames
        that stand behind it, as `feed` does."""
        found = []
        while self._held:
            self.skipped += 1
            self._held = self._held[1:]
            self._find(found)
        return found

    def _find(self, found):
        held = self._held
        n = len(held)
        at = 0
        while at < n:
            size = self._size(held, at, n)
            if size is None:
                break
            if size:
                end = at + size - 3
                command = held[at + 6] << 8 | held[at + 7]
                found.append((held[at + 4], held[at + 5], command, bytes(held[at + 8 : end])))
                at += size
                continue
            # Go on at the next byte that may begin a frame.
            start = at
            at = held.find(b"\x55", at + 1)
            if at < 0:
                at = n
            self.skipped += at - start
        self._held = held[at:]

    def _size(self, held, at, n):
        """Bytes of the good frame at `at`; 0 if there is none, None if it may yet be one."""
        left = n - at
        if held[at] != 0x55 or left > 1 and held[at + 1] != 0xAA:
            return 0
        if left < 4:
            return None
        length = held[at + 2] << 8 | held[at + 3]
        if not _HEAD <= length <= _HEAD + MAX_DATA:
            return 0
        if left < length + _AROUND:
            return None
        end = at + 4 + length
        good = held[end + 1 : end + 3] == _MARK and _xor(held, at + 2, end) == held[end]
        return length + _AROUND if good else 0
