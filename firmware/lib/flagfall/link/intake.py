# A pushed file on its way in: parts in order, resumed by offset, checked whole.
# MIT licence, (c) 2026 The Flagfall contributors.

import hashlib

from flagfall.hmac_sha256 import equal

from .messages import Refused

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAX_FILE = const(16384)  # bytes; the largest file a unit holds in memory


class Intake:
    """Holds at most one file. It outlives a session, so that a cut push goes on where it was.

    Long files never come into memory: where the unit has a `spool` (takes(kind), begin(kind,
    total, sha256) and part(offset, data), both as here, must_be_whole(kind), and put(kind), which
    puts the file in force), the kinds it takes go there.
    """

    def __init__(self, spool=None):
        self._spool = spool
        self._spooling = False  # the file announced last goes to the spool
        self.forget()

    def forget(self):
        self.kind = None
        self.offset = 0
        self._sha256 = b""
        self._file = None

    def spool_of(self, kind):
        """The spool if files of this kind go there, else None."""
        return self._spool if self._spool is not None and self._spool.takes(kind) else None

    def begin(self, kind, total, sha256):
        """Take up a file of `total` bytes; return the offset to go on from. Raises Refused."""
        spool = self.spool_of(kind)
        self._spooling = spool is not None
        if self._spooling:
            return spool.begin(kind, total, sha256)
        same = self._file is not None and kind == self.kind and total == len(self._file)
        if same and equal(sha256, self._sha256):
            return self.offset
        if not 1 <= total <= MAX_FILE:
            raise Refused("a file of %d bytes; 1 to %d are taken" % (total, MAX_FILE))
        self.forget()
        try:
            self._file = bytearray(total)
        except MemoryError:
            raise Refused("no memory for a file of %d bytes" % total) from None
        self.kind = kind
        self._sha256 = sha256
        return 0

    def part(self, offset, data):
        """Take a part if it is the next; return the offset to go on from. Raises Refused."""
        if self._spooling:
            return self._spool.part(offset, data)
        if self._file is None:
            raise Refused("no file was announced")
        if offset == self.offset:
            end = offset + len(data)
            if end > len(self._file):
                raise Refused("a part beyond the end of the file")
            self._file[offset:end] = data
            self.offset = end
        return self.offset

    def whole(self, kind):
        """Return the file (a bytearray, not copied).

        Raises Refused if it is not complete or not what was announced.
        """
        if self._file is None or kind != self.kind:
            raise Refused("no file of kind %s was sent" % kind)
        if self.offset != len(self._file):
            raise Refused("%d of %d bytes have come" % (self.offset, len(self._file)))
        if not equal(hashlib.sha256(self._file).digest(), self._sha256):
            self.forget()
            raise Refused("the file's SHA-256 is not the one announced; send it again")
        return self._file
