# Frames between a host and the PN532 (NXP UM0701-02, 6.2.1), the same on HSU, I2C and SPI.
# MIT licence, (c) 2026 The Flagfall contributors.
#
#   normal    00 00 FF LEN LCS            TFI PD0.. DCS 00     LEN = TFI and data, 1 to 255
#   extended  00 00 FF FF FF LENM LENL LCS TFI PD0.. DCS 00    LEN 1 to 265
#   ACK       00 00 FF 00 FF 00           NACK  00 00 FF FF 00 00
#   error     00 00 FF 01 FF 7F 81 00
#
# Preamble and postamble are any number of 00 bytes, so a receiver hunts for the start code
# 00 FF and lets everything else pass.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# What `Decoder.decode` found.
DATA = const(0)  # a whole frame; its payload starts with the TFI
ACK_FRAME = const(1)
NACK_FRAME = const(2)
ERROR_FRAME = const(3)  # the chip found a syntax error in the command
DAMAGED = const(4)  # a start code whose length or checksum does not hold

TO_CHIP = const(0xD4)  # TFI of a command
TO_HOST = const(0xD5)  # TFI of a response

MAX_PAYLOAD = const(265)  # bytes with the TFI, extended frames (UM0701-02, 6.2.1.2)
ACK = b"\x00\x00\xff\x00\xff\x00"
NACK = b"\x00\x00\xff\xff\x00\x00"
ERROR = b"\x00\x00\xff\x01\xff\x7f\x81\x00"

_NORMAL_MAX = const(255)  # bytes with the TFI
_CAPACITY = const(320)  # longest extended frame from its start code on, and room to hunt


class FrameTooLong(ValueError):
    """A payload that no PN532 frame can hold."""


def encode(payload, extended=False):
    """Return the frame that carries `payload` (TFI first, 1 to 265 bytes).

    More than 255 bytes always travel in an extended frame; `extended` forces one for fewer.
    Raises FrameTooLong.
    """
    n = len(payload)
    if not 1 <= n <= MAX_PAYLOAD:
        raise FrameTooLong("a PN532 frame carries 1 to 265 bytes, not %d" % n)
    if extended or n > _NORMAL_MAX:
        high = n >> 8
        low = n & 0xFF
        head = bytes((0, 0, 0xFF, 0xFF, 0xFF, high, low, -(high + low) & 0xFF))
    else:
        head = bytes((0, 0, 0xFF, n, -n & 0xFF))
    return head + payload + bytes((-sum(payload) & 0xFF, 0))


def whole(data):
    """The payload of the one normal frame that `data` is, from preamble to postamble, or None.

    What a chip on a clean line sends comes like that, and takes no hunting. None says nothing
    about what `data` is instead: an acknowledgement, a longer, damaged or shifted frame.
    """
    end = len(data) - 2
    if end < 6 or data[2] != 0xFF or data[3] != end - 5:
        return None
    if data[0] or data[1] or data[end + 1] or (data[3] + data[4]) & 0xFF:
        return None
    payload = data[5:end]
    return None if (sum(payload) + data[end]) & 0xFF else payload


def missing(data):
    """How many bytes are still to come of the normal frame that `data` begins with; 0 if it is
    whole, or begins with something else."""
    if len(data) < 5 or data[2] != 0xFF or data[0] or data[1] or (data[3] + data[4]) & 0xFF:
        return 0
    return max(data[3] + 7 - len(data), 0)


class Decoder:
    """Finds frames in a stream of bytes that may hold noise, in a buffer of fixed size.

    A false or damaged start is reported as DAMAGED and the hunt goes on one byte after it, so
    that a good frame behind it is still found.

    With `postamble` a frame must also be followed by its 00, which the chip always sends: the
    checksum, a plain sum, cannot see that a UART lost a zero byte of the data.
    """

    def __init__(self, postamble=False):
        self._after = 1 if postamble else 0
        self._buffer = bytearray(_CAPACITY)
        self._end = 0

    @property
    def pending(self):
        """True while the beginning of a frame is held and the rest has not come."""
        return self._end > 1  # a single 00 is a postamble as likely as a start

    def reset(self):
        """Forget what is held."""
        self._end = 0

    def decode(self, data):
        """Take the next bytes of the stream; return a list of (kind, payload or b"")."""
        found = []
        view = memoryview(data)
        at = 0
        while at < len(data):
            n = min(len(data) - at, _CAPACITY - self._end)
            self._buffer[self._end : self._end + n] = view[at : at + n]
            self._end += n
            at += n
            self._hunt(found)
        return found

    def gap(self):
        """The line fell silent: a frame that is still incomplete is a false start."""
        found = []
        while self._end > 1:
            found.append((DAMAGED, b""))
            self._keep_from(1)
            self._hunt(found)
        self._end = 0
        return found

    def _hunt(self, found):
        at = 0
        while True:
            at = self._buffer.find(b"\x00\xff", at, self._end)
            if at < 0:
                # The last byte may be the 00 of a start code.
                last = self._end - 1
                self._keep_from(last if last >= 0 and self._buffer[last] == 0 else self._end)
                return
            size = self._frame_at(at, found)
            if size == 0:
                self._keep_from(at)
                return
            at += size

    def _frame_at(self, at, found):
        # Returns how many bytes to go on by, or 0 when the rest has to come first.
        b = self._buffer
        have = self._end - at
        if have < 4:
            return 0
        n = b[at + 2]
        check = b[at + 3]
        if n == 0 and check == 0xFF:
            found.append((ACK_FRAME, b""))
            return 4
        if n == 0xFF and check == 0:
            found.append((NACK_FRAME, b""))
            return 4
        head = 4
        if n == 0xFF and check == 0xFF:
            head = 7
            if have < 7:
                return 0
            n = b[at + 4] << 8 | b[at + 5]
            check = b[at + 6] + b[at + 4]
        if (n + check) & 0xFF or not 1 <= n <= MAX_PAYLOAD:
            found.append((DAMAGED, b""))
            return 1
        size = head + n + 1
        if have < size + self._after:
            return 0
        payload = bytes(memoryview(b)[at + head : at + head + n])
        if (sum(payload) + b[at + size - 1]) & 0xFF or (self._after and b[at + size]):
            found.append((DAMAGED, b""))
            return 1
        if n == 1 and payload[0] == 0x7F:
            found.append((ERROR_FRAME, b""))
        else:
            found.append((DATA, payload))
        return size

    def _keep_from(self, at):
        if at:
            n = self._end - at
            self._buffer[:n] = bytes(memoryview(self._buffer)[at : self._end])
            self._end = n
