# Another program for this unit: taken from a signed bundle, tried, confirmed or given up.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/update.md. The bundle (flagfall.bundle) comes to flash like any long file (app/spool.py). It
# is written into the slot that does not run, read back and compared, and only then marked whole.
# The trial begins with a restart, For Hire; the chooser (firmware/boot) counts its starts.

import hashlib
import os
from binascii import hexlify

from app import metrology
from flagfall import bundle, permit
from flagfall.bundle import BundleError, Head
from flagfall.journal import schema
from flagfall.link.messages import Refused
from flagfall.meter import identity
from flagfall.meter.taximeter import FOR_HIRE
from flagfall.signed_file import MAX_HEADER, Header, SignedFileError
from micropython import const

_HEALTHY_MS = const(10000)  # a program on trial that has run so long is confirmed
_LOOK_MS = const(2000)
_ROOM_LEFT = const(65536)  # bytes of the program's file system that stay free
_DIGITS = const(6)  # hex digits of the metrology hash in words


class Update:
    """Takes bundles for the slot that does not run. `chooser`: the module that started this
    program (firmware/boot/chooser.py)."""

    def __init__(self, chooser, board, files, public_key, seal, booking, meter, screen):
        self._chooser = chooser
        self._board = board
        self._files = files
        self._public_key = public_key
        self._seal = seal
        self._booking = booking
        self._meter = meter
        self._screen = screen
        self._running = chooser.program(chooser.running)
        self._metrology = None
        self.wanted = None  # called when the unit is to start anew
        self._restart = False
        self._ready = chooser.state()["ready"] != ""  # a program waits for its trial

    @property
    def release(self):
        """Of the running program; 0: put there by a cable in the workshop."""
        return 0 if self._running is None else self._running["release"]

    @property
    def metrology(self):
        """Hash of the running metrology files, hex."""
        if self._metrology is None:
            self._metrology = metrology.describe()["sha256"]
        return self._metrology

    def describe(self):
        """What INFO says of the programs (docs/formats.md, section 6)."""
        chooser = self._chooser
        state = chooser.state()
        out = {"slot": chooser.running, "release": self.release, "trial": chooser.trial}
        if state["ready"]:
            waiting = chooser.program(state["ready"])
            if waiting is not None:
                out["waiting"] = {
                    "slot": state["ready"],
                    "release": waiting["release"],
                    "version": waiting["version"],
                    "metrology": waiting["metrology"],
                }
        if state["failed"]:
            out["given_up"] = state["failed"]
        return out

    # A bundle comes in (app/spool.py).

    def not_now(self):
        """Why a bundle is not taken at this moment."""
        if self._meter.position != FOR_HIRE:
            return "never while hired: try again when the unit is For Hire"
        if self._chooser.trial:
            return "the program on trial is not confirmed yet: try again in a minute"
        return ""

    def judge(self, head, total):
        """Refuse what will not be taken before all of it is sent."""
        try:
            header, found = self._checked(head)
            if header.size + header.length != total:
                raise BundleError("%d bytes of content are signed, not these" % header.length)
        except (SignedFileError, BundleError) as e:
            raise Refused("firmware: %s" % e) from None
        self._must_be_permitted(found)

    def job(self, spool):
        """Steps that put the program into the slot that does not run. Raises Refused."""
        try:
            with open(spool.path, "rb") as f:
                header, found = self._checked(f.read(MAX_HEADER + bundle.HEAD_ROOM))
                yield from spool.content_check(f, header)
            if header.version == self.release:
                return  # it runs already
            self._must_be_permitted(found)
            slot = self._chooser.other(self._chooser.running)
            yield from self._clear(slot)
            yield from self._unpacked(spool, header, found, slot)
            yield from self._proved(spool, header, found, slot)
        except (SignedFileError, BundleError) as e:
            raise Refused("firmware: %s" % e) from None
        except OSError as e:
            raise Refused("firmware: flash: %s" % e) from None
        self._whole(header, found, slot)

    def _checked(self, data):
        """(header, head) of a bundle that this unit may take."""
        header = Header(data)
        header.check(self._public_key, bundle.KIND, self._files.unit_id)
        newest = max(self.release, self._files.newest(bundle.KIND))
        if header.version < newest:
            raise SignedFileError("release %d is older than %d" % (header.version, newest))
        head = Head(data[header.size :])
        if head.board != self._board.model:
            raise BundleError("made for %s, this is %s" % (head.board, self._board.model))
        return header, head

    def _must_be_permitted(self, head):
        if hexlify(head.metrology).decode() == self.metrology:
            return
        try:
            self._seal.require(permit.METROLOGY, head.metrology)
        except Refused as e:
            raise Refused(
                "firmware: it changes the metrology files from %s to %s: %s"
                % (self.metrology[:_DIGITS], hexlify(head.metrology).decode()[:_DIGITS], e)
            ) from None

    # Into the slot.

    def _clear(self, slot):
        """Take away what the slot holds, its mark first."""
        self._ready = False
        now = self._chooser.state()
        if now["ready"]:
            now["ready"] = now["audit"] = ""
            self._chooser.put(now)
        self._chooser.mark(slot, None)
        yield from _emptied(self._chooser.root + "/" + slot)

    def _rows(self, f, header, head):
        f.seek(header.size + head.size)
        return bundle.rows(head, f.read)

    def _unpacked(self, spool, header, head, slot):
        root = self._chooser.root + "/" + slot
        with open(spool.path, "rb") as table, open(spool.path, "rb") as content:
            total = 0
            for _path, length, _sha256, _measuring in self._rows(table, header, head):
                total += length
            at = table.tell()
            if at + total != header.size + header.length:
                raise BundleError("bundle: its files have %d bytes" % total)
            _check_room(root, total)
            content.seek(at)
            block = bytearray(1024)
            for path, length, _sha256, _measuring in self._rows(table, header, head):
                _make_folders(root, path)
                with open(root + "/" + path, "wb") as out:
                    while length:
                        n = content.readinto(memoryview(block)[: min(length, len(block))])
                        if not n:
                            raise BundleError("bundle: cut off")
                        out.write(memoryview(block)[:n])
                        length -= n
                        yield

    def _proved(self, spool, header, head, slot):
        """Read every file back and compare it with its row, the metrology set also as a whole."""
        root = self._chooser.root + "/" + slot
        names = []
        with open(spool.path, "rb") as table:
            for path, _length, sha256, measuring in self._rows(table, header, head):
                h = hashlib.sha256()
                with open(root + "/" + path, "rb") as f:
                    for block in spool.blocks(f):
                        h.update(block)
                        yield
                if h.digest() != sha256:
                    raise BundleError("bundle: %s is not what was signed" % path)
                if measuring:
                    names.append(bundle.module(path))

        def pieces(name):
            with open(root + "/" + bundle.METROLOGY + name + bundle.SUFFIX, "rb") as f:
                yield from spool.blocks(f)

        if identity.fingerprint(pieces, names) != head.metrology:
            raise BundleError("bundle: its metrology files are not those that it names")

    def _whole(self, header, head, slot):
        """The slot is whole and verified: mark it, and let it wait for its trial."""
        fields = {
            "release": header.version,
            "version": head.version,
            "board": head.board,
            "metrology": hexlify(head.metrology).decode(),
        }
        now = self._chooser.state()
        now["ready"] = slot
        if fields["metrology"] != self.metrology:
            now["audit"] = "metrology %s to %s" % (
                self.metrology[: 2 * _DIGITS],
                fields["metrology"][: 2 * _DIGITS],
            )
        self._files.note_version(bundle.KIND, header.version)
        self._chooser.mark(slot, fields)
        self._chooser.put(now)
        self._ready = True
        text = "release %d (%s) is whole in slot %s" % (header.version, head.version, slot)
        self._booking.event(schema.PROGRAM, text)
        self._settle_audit()

    def _settle_audit(self):
        """What was permitted is in the audit trail before it can be in force."""
        now = self._chooser.state()
        if now["audit"]:
            self._seal.changed(schema.METROLOGY_CHANGED, now["audit"])
            now["audit"] = ""
            self._chooser.put(now)

    # The trial.

    async def run(self):
        """Confirm a program on trial that is healthy; ask for the restart that begins a trial."""
        chooser = self._chooser
        self._settle_audit()
        self._tell_given_up()
        if chooser.trial:
            await self._board.sleep_ms(_HEALTHY_MS)
            self._confirm()
        while True:
            if self._ready and not self._restart and self.not_now() == "":
                self._restart = True
                self._screen.say("Update: starting anew")
                self.wanted()
            await self._board.sleep_ms(_LOOK_MS)

    def _tell_given_up(self):
        now = self._chooser.state()
        if now["failed"] and not now["told"]:
            text = "release %d did not start three times: back to release %d"
            self._booking.event(schema.PROGRAM, text % (now["failed"], self.release))
            now["told"] = True
            self._chooser.put(now)

    def _confirm(self):
        if self._running is None or self._running["metrology"] != self.metrology:
            # The files are not those that were permitted: the chooser goes back.
            self._chooser.restart()
        self._chooser.confirm()
        text = "release %d (%s) in force, metrology %s"
        text %= (self.release, self._running["version"], self.metrology[: 2 * _DIGITS])
        self._booking.event(schema.PROGRAM, text)
        shown = (self.release, self.metrology[:_DIGITS])
        self._screen.say("Program release %d in force, metrology %s", *shown)

    def begin_trial(self):
        """For Hire, and nobody talks to the unit: start the program that waits. Returns only if
        there is none."""
        now = self._chooser.state()
        if not now["ready"] or now["audit"] or self._meter.position != FOR_HIRE:
            return
        now["trial"] = now["ready"]
        now["ready"] = ""
        now["tries"] = 0
        now["failed"] = 0
        now["told"] = True
        self._chooser.put(now)
        self._chooser.restart()


def _check_room(folder, size):
    s = os.statvfs(folder)
    if s[0] * s[3] < size + _ROOM_LEFT:
        raise Refused("firmware: no room for %d bytes: %d are free" % (size, s[0] * s[3]))


def _make_folders(root, path):
    parts = path.split("/")
    for i in range(1, len(parts)):
        try:
            os.mkdir(root + "/" + "/".join(parts[:i]))
        except OSError:
            pass  # it is there


def _emptied(folder):
    """Steps that leave `folder` there and empty."""
    try:
        names = os.listdir(folder)
    except OSError:
        os.mkdir(folder)
        return
    for name in names:
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            yield from _emptied(path)
            os.rmdir(path)
        else:
            os.remove(path)
        yield
