# Frames: the envelope of every message on the cable and on TLS.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 5. Length-prefixed and not escaped: no loop over bytes is needed, so
# that the interpreter keeps up with 921,600 baud. Out of step, the reader hunts for the magic.

import binascii
import struct

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


HEADER = const(8)  # bytes before the payload
MAX_PAYLOAD = const(2048)
MAX_FRAME = const(2060)
_VERSION = const(1)
_CRC = const(4)
_MAGIC = b"\xa5\x5a"
_FALSE_STARTS = const(16)  # looked at in one call, so that garbage cannot hold up the caller


def seal(buf, type, seq, n):
    """Put header and CRC around the payload of `n` bytes at `buf[8:]`; return the frame's length.

    `buf` is a bytearray of at least n + 12 bytes. Raises ValueError if n is above MAX_PAYLOAD.
    """
    if n > MAX_PAYLOAD:
        raise ValueError("a payload of %d bytes; a frame takes %d" % (n, MAX_PAYLOAD))
    end = HEADER + n
    struct.pack_into("<2sBBHH", buf, 0, _MAGIC, _VERSION, type, seq, n)
    struct.pack_into("<I", buf, end, binascii.crc32(memoryview(buf)[:end]) & 0xFFFFFFFF)
    return end + _CRC


def encode(type, seq, payload):
    """The frame around `payload`, as new bytes."""
    buf = bytearray(HEADER + len(payload) + _CRC)
    buf[HEADER : HEADER + len(payload)] = payload
    seal(buf, type, seq, len(payload))
    return bytes(buf)


class FrameReader:
    """Finds the frames in a stream of bytes, whatever stands between them.

    After `next` has returned True, `type`, `seq` and `payload` (a memoryview, good until the
    next call of anything here) are those of one frame. `head` is the view of type and sequence
    as sent. Counters: `frames`, `bad_crc`, `skipped` (bytes that belong to no frame), `dropped`
    (bytes that found no room in the buffer of `size` bytes).
    """

    def __init__(self, size=2 * MAX_FRAME):
        self._buf = bytearray(size)
        self._view = memoryview(self._buf)
        self._start = 0
        self._end = 0
        self._partial = False
        self.type = 0
        self.seq = 0
        self.head = self._view[:0]
        self.payload = self._view[:0]
        self.frames = self.bad_crc = self.skipped = self.dropped = 0

    def feed(self, chunk):
        """Take bytes off the line. What finds no room is dropped and counted."""
        n = len(chunk)
        size = len(self._buf)
        if self._end + n > size and self._start:
            kept = self._end - self._start
            self._view[:kept] = self._view[self._start : self._end]
            self._start = 0
            self._end = kept
        room = size - self._end
        if n > room:
            self.dropped += n - room
            chunk = memoryview(chunk)[:room]
            n = room
        self._view[self._end : self._end + n] = chunk
        self._end += n

    def silence(self):
        """The line has been silent: the rest of an unfinished frame will not come."""
        if self._partial:
            self._skip(1)

    def clear(self):
        """Forget what was fed and not read."""
        self._start = self._end = 0
        self._partial = False

    def _skip(self, n):
        self._start += n
        self.skipped += n
        self._partial = False

    def next(self):
        """Find the next whole frame. False: more bytes are needed (or another call)."""
        buf = self._buf
        self._partial = False
        for _ in range(_FALSE_STARTS):
            at = buf.find(_MAGIC, self._start, self._end)
            if at < 0:
                # The last byte may be the first half of the magic.
                half = 1 if self._end > self._start and buf[self._end - 1] == 0xA5 else 0
                self._skip(self._end - self._start - half)
                return False
            self._skip(at - self._start)
            have = self._end - at
            if have > 2 and buf[at + 2] != _VERSION:
                self._skip(1)
                continue
            if have < HEADER:
                self._partial = True
                return False
            type, seq, n = struct.unpack_from("<BHH", buf, at + 3)
            if n > MAX_PAYLOAD:
                self._skip(1)
                continue
            stop = at + HEADER + n
            if stop + _CRC > self._end:
                self._partial = True
                return False
            crc = struct.unpack_from("<I", buf, stop)[0]
            if binascii.crc32(self._view[at:stop]) & 0xFFFFFFFF != crc:
                self.bad_crc += 1
                self._skip(1)
                continue
            self.frames += 1
            self.type = type
            self.seq = seq
            self.head = self._view[at + 3 : at + 6]
            self.payload = self._view[at + HEADER : stop]
            self._start = stop + _CRC
            return True
        return False
