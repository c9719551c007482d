# The deny list on flash: the one in force, and how a new one or a delta takes its place.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# deny.list is a signed header and a whole list behind it (flagfall.emv.deny_list). A new list is
# checked where it came in and renamed over the old one; a delta is worked into deny.new, which is
# then renamed. A rename is whole or not at all, so a loss of power leaves the old or the new.

import asyncio
import os
from binascii import hexlify

from app.spool import Spool
from flagfall.emv.deny_list import DenyList, DenyListError, apply_delta_in_steps
from flagfall.emv.deny_list import Header as ListHeader
from flagfall.journal import schema
from flagfall.link.messages import Refused
from flagfall.signed_file import MAX_HEADER, Header, SignedFileError
from micropython import const

KIND = "deny"
_PAUSE_MS = const(50)  # while a card is read
_IDLE_MS = const(250)  # between two looks for work


class Deny:
    """The unit's deny list. `denied(pan)` is the kernel's question; no list denies nobody.

    `busy()`: a card is being read, so flash is left alone. `newest()`: the highest version that
    this unit ever had; `changed(version)` is called when another list is in force.
    """

    def __init__(self, folder, unit_id, public_key, booking, busy, newest, changed):
        self._folder = folder
        self._unit_id = unit_id
        self._public_key = public_key
        self._booking = booking
        self._busy = busy
        self._newest = newest
        self._changed = changed
        self._file = None
        self._start = 0  # where the list begins in the file
        self._list = None
        self._header = None
        self._check = None  # steps of the check after a start
        self.spool = Spool(folder, busy)
        self.spool.serve(KIND, self)

    @property
    def version(self):
        """Of the list in force; 0: there is none."""
        return self._list.version if self._list is not None else 0

    def load(self):
        """Take up what is on flash: its head now, its body while the unit runs."""
        try:
            self._open()
        except (OSError, DenyListError, SignedFileError) as e:
            self._close()
            if "deny.list" in os.listdir(self._folder):
                self._damaged(e)
            return
        self._check = self._list.check_in_steps()

    def describe(self):
        """What is in force, for the office; None: nothing."""
        if self._list is None:
            return None
        return {
            "version": self._list.version,
            "made": self._header.made,
            "sha256": hexlify(self._list.header.digest).decode(),
            "entries": self._list.header.entries,
            "ranges": self._list.header.ranges,
        }

    def denied(self, pan):
        """Whether `pan` (digits) is on the list."""
        if self._list is None:
            return False
        try:
            return pan in self._list
        except (OSError, DenyListError) as e:
            # Flash that cannot be read is no reason to insult a passenger, nor to be silent.
            self._damaged(e)
            return False

    async def run(self):
        """Work on what has come, in small steps between everything else, never beside a card."""
        while True:
            if self._busy():
                await asyncio.sleep_ms(_PAUSE_MS)
            elif self.spool.step() or self._check_step():
                await asyncio.sleep_ms(0)
            else:
                await asyncio.sleep_ms(_IDLE_MS)

    # The list in force.

    def _open(self):
        self._close()
        path = self._folder + "/deny.list"
        size = os.stat(path)[6]
        self._file = open(path, "rb")  # noqa: SIM115
        header = Header(self._file.read(MAX_HEADER))
        self._start = header.size
        held = DenyList(self._read, True)
        if header.size + held.header.length() != size:
            raise DenyListError("deny list: cut off")
        self._list, self._header = held, header

    def _read(self, offset, size):
        self._file.seek(self._start + offset)
        data = self._file.read(size)
        if len(data) != size:
            raise DenyListError("deny list: cut off")
        return data

    def _close(self):
        if self._file is not None:
            self._file.close()
        self._file = self._list = self._header = self._check = None

    def _check_step(self):
        if self._check is None:
            return False
        try:
            next(self._check)
        except StopIteration:
            self._check = None
        except (OSError, DenyListError) as e:
            self._damaged(e)
        return True

    def _damaged(self, why):
        """It is out of force from here on; the office sees that there is none, and why."""
        self._close()
        self._booking.event(schema.DAMAGED_RECORD, "%s: no deny list in force" % why)

    # A new one.

    def not_now(self):
        """A list may come at any time."""
        return ""

    def judge(self, head, total):
        """Refuse what will not be taken before all of it is sent."""
        try:
            header = self._checked(head)
        except SignedFileError as e:
            raise Refused("deny: %s" % e) from None
        if header.size + header.length != total:
            raise Refused("deny: %d bytes of content are signed, not these" % header.length)

    def _checked(self, head):
        header = Header(head)
        header.check(self._public_key, KIND, self._unit_id)
        newest = max(self.version, self._newest())
        if header.version < newest:
            raise SignedFileError("version %d is older than %d" % (header.version, newest))
        return header

    def job(self, spool):
        """Steps that put the file in `spool` in force. Raises Refused; the old one stays then."""
        try:
            with open(spool.path, "rb") as f:
                path = yield from self._made(f, spool.path)
            # Closed before it is renamed: littlefs keeps no hold on a file that moves.
            if path is not None:
                self._swap(path)
        except (DenyListError, SignedFileError) as e:
            raise Refused("deny: %s" % e) from None
        except OSError as e:
            raise Refused("deny: flash: %s" % e) from None

    def _made(self, f, path):
        """Steps that check it and, of a delta, make the list; return the path of what is to be
        in force, None if it is already."""
        header = self._checked(f.read(MAX_HEADER))
        start = header.size

        def read(offset, size):
            f.seek(start + offset)
            return f.read(size)

        content = ListHeader(read(0, 112))
        if content.length() != header.length:
            raise DenyListError("deny list: cut off, or with bytes after its end")
        if content.version != header.version:
            raise DenyListError("deny list: its version is not the one that was signed")
        yield from self.spool.content_check(f, header)
        if header.version == self.version:
            if content.digest != self._list.header.digest:
                raise DenyListError("deny list: another list has version %d" % self.version)
            return None
        if content.delta:
            yield from self._merge(read, header)
            return self._folder + "/deny.new"
        yield from DenyList(read, True).check_in_steps()
        return path

    def _merge(self, read, header):
        if self._list is None:
            raise DenyListError("deny list: a delta, and no list it could change")
        with open(self._folder + "/deny.new", "wb") as out:
            out.write(header.raw)
            yield from apply_delta_in_steps(self._list, read, out.write)
            out.flush()

    def _swap(self, path):
        self._close()  # littlefs must not be asked for a file that is renamed away
        try:
            os.rename(path, self._folder + "/deny.list")
        finally:
            self._reopen()
        self._changed(self.version)

    def _reopen(self):
        try:
            self._open()
        except (OSError, DenyListError, SignedFileError) as e:
            self._damaged(e)
