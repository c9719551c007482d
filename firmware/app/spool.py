# A long file on its way in: on flash from its first byte, so that memory stays as it is.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# incoming.part holds what has come, incoming.json what was announced. Both outlive a loss of
# power: the push goes on at what flash holds. littlefs and POSIX both keep what was flushed.

import hashlib
import json
import os
from binascii import hexlify

from flagfall.link.messages import Busy, Refused
from flagfall.signed_file import SignedFileError
from micropython import const

MAX_LIST = const(1 << 21)  # bytes; a list of 100,000 entries has 600 to 800 kB
_FLUSH = const(16384)  # bytes between two flushes: what a loss of power may cost
_BLOCK = const(1024)
_ROOM_LEFT = const(65536)  # bytes of the file system that stay free


class Spool:
    """At most one file. `busy()`: a card is being read, and flash is left alone.

    Each kind has a `desk`: `judge(head, total)` looks at the first bytes, before the rest is sent,
    and raises Refused; `job(spool)` gives the steps that put the file in force; `not_now()` says
    why the kind has to wait ("" when it need not).
    """

    def __init__(self, folder, busy):
        self._folder = folder
        self._busy = busy
        self._desks = {}
        self._file = None  # open for what comes
        self._kind = ""
        self._total = self._offset = self._flushed = 0
        self._sha256 = b""
        self._hash = None  # of all that came since offset 0; None after a restart in between
        self._block = bytearray(_BLOCK)
        self._steps = None  # of the job in progress
        self._refusal = None  # how the last job ended: text
        self._done = b""  # SHA-256 of the file that was put in force last

    @property
    def path(self):
        return self._folder + "/incoming.part"

    def serve(self, kind, desk):
        """Take files of this kind for `desk`."""
        self._desks[kind] = desk

    def takes(self, kind):
        return kind in self._desks

    def _must_be_now(self, kind):
        why = self._desks[kind].not_now() if kind in self._desks else ""
        if why:
            raise Refused("%s: %s" % (kind, why))

    def begin(self, kind, total, sha256):
        """Take up a file; return the offset to go on from. Raises Refused, Busy."""
        if self._busy():
            raise Busy("a card is being read")
        self._must_be_now(kind)
        sha256 = bytes(sha256)
        if sha256 == self._done:
            self._kind, self._total, self._offset, self._sha256 = kind, total, total, sha256
            return total
        if (kind, total, sha256) == (self._kind, self._total, self._sha256):
            return self._offset
        if not 1 <= total <= MAX_LIST:
            raise Refused("a file of %d bytes; 1 to %d are taken" % (total, MAX_LIST))
        self._stop()
        said = {"kind": kind, "total": total, "sha256": hexlify(sha256).decode()}
        try:
            offset = self._kept(said, total)
            if offset is None:
                self._clear()
                self._check_room(total)
                self._file = open(self.path, "wb")  # noqa: SIM115
                with open(self._folder + "/incoming.json", "w") as f:
                    f.write(json.dumps(said))
                offset = 0
                self._hash = hashlib.sha256()
            else:
                self._hash = None
                self._file = open(self.path, "ab")  # noqa: SIM115
        except OSError as e:
            raise Refused("the file cannot be kept: %s" % e) from None
        self._kind, self._total, self._sha256 = kind, total, sha256
        self._offset = self._flushed = offset
        self._refusal = None
        return offset

    def part(self, offset, data):
        """Take a part if it is the next; return the offset to go on from. Raises Refused, Busy."""
        if self._busy():
            raise Busy("a card is being read")
        self._must_be_now(self._kind)
        if self._file is None:
            if self._kind:
                return self._offset
            raise Refused("no file was announced")
        if offset != self._offset:
            return self._offset
        if offset + len(data) > self._total:
            raise Refused("a part beyond the end of the file")
        if offset == 0:
            try:
                self._desks[self._kind].judge(bytes(data), self._total)
            except Refused:
                self.drop()
                raise
        try:
            self._file.write(data)
            self._offset += len(data)
            if self._hash is not None:
                self._hash.update(data)
            if self._offset - self._flushed >= _FLUSH or self._offset == self._total:
                self._file.flush()
                self._flushed = self._offset
            if self._offset == self._total:
                self._close()
        except OSError as e:
            self.drop()
            raise Refused("the file cannot be kept: %s" % e) from None
        return self._offset

    def must_be_whole(self, kind):
        """Raise Refused unless all of a file of this kind has come, and it may be now."""
        self._must_be_now(kind)
        if kind != self._kind:
            raise Refused("no file of kind %s was sent" % kind)
        if self._offset != self._total:
            raise Refused("%d of %d bytes have come" % (self._offset, self._total))

    def put(self, kind):
        """Begin or ask for the outcome: Busy while it is being worked on, Refused if the file is
        not accepted."""
        if self._sha256 == self._done:
            return
        if self._refusal is not None:
            text = self._refusal
            self.drop()
            raise Refused(text)
        if self._steps is None:
            self._close()
            self._steps = self._work()
        raise Busy("the file is being checked")

    def step(self):
        """One step of the work there is; False if there is none just now."""
        if self._steps is None or self._desks[self._kind].not_now():
            return False
        try:
            next(self._steps)
        except StopIteration:
            self._steps = None
            self._done = self._sha256
            self._clear()
        except Refused as e:
            self._steps = None
            self._refusal = str(e)
        except OSError as e:
            self._steps = None
            self._refusal = "flash: %s" % e
        return True

    def blocks(self, f):
        """What follows in `f`, as views of one buffer."""
        view = memoryview(self._block)
        while True:
            n = f.readinto(self._block)
            if not n:
                return
            yield view[:n]

    def content_check(self, f, header):
        """Steps that compare what stands behind a signed header with what was signed."""
        h = hashlib.sha256()
        f.seek(header.size)
        for block in self.blocks(f):
            h.update(block)
            yield
        if h.digest() != header.sha256:
            raise SignedFileError("the content is not what was signed")

    def drop(self):
        """Forget the file."""
        self._stop()
        self._clear()
        self._kind = ""
        self._total = self._offset = 0
        self._sha256 = b""
        self._refusal = None

    def _work(self):
        h = self._hash
        self._hash = None
        if h is None:
            h = hashlib.sha256()
            with open(self.path, "rb") as f:
                for block in self.blocks(f):
                    h.update(block)
                    yield
        if h.digest() != self._sha256:
            raise Refused("the file's SHA-256 is not the one announced; send it again")
        for _ in self._desks[self._kind].job(self):
            yield

    def _kept(self, said, total):
        """How much of this file was kept over a restart; None: nothing of it."""
        try:
            with open(self._folder + "/incoming.json") as f:
                if json.loads(f.read()) != said:
                    return None
            size = os.stat(self.path)[6]
        except (OSError, ValueError):
            return None
        return size if size <= total else None

    def _check_room(self, total):
        try:
            s = os.statvfs(self._folder)
        except (OSError, AttributeError):
            return
        if s[0] * s[3] < total + _ROOM_LEFT:
            raise Refused("no room for %d bytes: %d are free" % (total, s[0] * s[3]))

    def _close(self):
        if self._file is not None:
            self._file.close()
            self._file = None

    def _stop(self):
        if self._steps is not None:
            self._steps.close()
            self._steps = None
        self._close()

    def _clear(self):
        # What was announced first: a rest without it is never taken up again.
        self._remove("incoming.json")
        self._remove("incoming.part")

    def _remove(self, name):
        try:
            os.remove(self._folder + "/" + name)
        except OSError:
            pass
