# The power goes at every flash operation of an update, from its first byte to the confirmation, on
# MicroPython's own littlefs over bench NOR, with the chooser that every unit has.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Run by test_update_power_cuts.py: prints cuts, how often the old and the new program were then
# started, and how often the push went on where it was.

import gc
import hashlib
import os
import sys
from binascii import hexlify

import chooser
import vfs
from app.spool import Spool
from app.update import Update, _make_folders
from dying_chip import DyingChip
from flagfall import bundle
from flagfall.link.messages import Busy, Refused
from flagfall.meter import identity
from flagfall.meter.taximeter import FOR_HIRE
from nor_flash import CUT_MODES, NorFlash, PowerCut
from signing_office import PUBLIC_KEY, signed

BLOCKS = 96
PART = 1500
ROOT = "/unit"


class Restarted(Exception):
    pass


def restart():
    raise Restarted


chooser.restart = restart


class World:
    # Board, files, seal, booking, meter and screen of the unit, as much of them as counts here.
    model = "bench"
    unit_id = "U-1"
    position = FOR_HIRE

    def __init__(self):
        self.audits = []
        self.newest_release = 0

    def newest(self, kind):
        return self.newest_release

    def note_version(self, kind, version):
        self.newest_release = max(self.newest_release, version)

    def require(self, action, content):
        assert action == "metrology" and len(content) == 32

    def changed(self, code, text):
        self.audits.append(text)

    def event(self, code, text):
        pass

    def say(self, template, *args):
        pass


def program(n):
    # {path: content}: the metrology set and some others, of different lengths.
    measuring = {}
    for i, name in enumerate(identity.FILES):
        measuring["flagfall/meter/%s.mpy" % name] = b"%d %s" % (n, name.encode()) * (7 * i)
    others = {"taximeter.mpy": b"main %d" % n * 40}
    for name in ("keys", "link", "unit"):
        others["app/%s.mpy" % name] = (b"%s %d " % (name.encode(), n)) * (500 if name > "l" else 5)
    return measuring, others


def metrology(measuring):
    def pieces(name):
        yield measuring["flagfall/meter/%s.mpy" % name]

    return identity.fingerprint(pieces)


def lay_down(slot, n):
    measuring, others = program(n)
    for files in (measuring, others):
        for path in files:
            _make_folders(ROOT + "/" + slot, path)
            with open("%s/%s/%s" % (ROOT, slot, path), "wb") as f:
                f.write(files[path])
    hashed = hexlify(metrology(measuring)).decode()
    chooser.mark(slot, {"release": n, "version": "v", "board": "bench", "metrology": hashed})


def check_whole(slot):
    # Every file of the program that is going to run is that of its release. Returns the release.
    mark = chooser.program(slot)
    measuring, others = program(mark["release"])
    for files in (measuring, others):
        for path in files:
            with open("%s/%s/%s" % (ROOT, slot, path), "rb") as f:
                assert f.read() == files[path], (slot, path)
    assert mark["metrology"] == hexlify(metrology(measuring)).decode()
    return mark["release"]


class Unit:
    # One start of the unit.
    def __init__(self, flash, world):
        self.chip = DyingChip(flash)
        vfs.mount(vfs.VfsLfs2(self.chip), ROOT)
        chooser.root = ROOT
        self.world = world

    def choose(self):
        chooser.running = chooser.choose()
        chooser.trial = chooser.state()["trial"] == chooser.running
        release = check_whole(chooser.running)
        w = self.world
        self.update = Update(chooser, w, w, PUBLIC_KEY, w, w, w, w)
        self.update._metrology = chooser.program(chooser.running)["metrology"]
        self.spool = Spool(ROOT + "/lists", lambda: False)
        self.spool.serve("firmware", self.update)
        return release

    def go_on(self, data):
        # As the unit's tasks and the office do; True once the new program is in force.
        if chooser.trial:
            chooser.confirm()
            return 0
        self.update._settle_audit()
        resumed = 0
        if chooser.program(chooser.running)["release"] == 1 and not chooser.state()["ready"]:
            resumed = self.push(data)
        try:
            self.update.begin_trial()
        except Restarted:
            self.choose()
            chooser.confirm()
        return resumed

    def push(self, data):
        spool = self.spool
        resumed = offset = spool.begin("firmware", len(data), hashlib.sha256(data).digest())
        while offset < len(data):
            offset = spool.part(offset, data[offset : offset + PART])
        spool.must_be_whole("firmware")
        while True:
            try:
                spool.put("firmware")
                return resumed
            except Busy:
                spool.step()

    def let_go(self):
        # Nothing of this start may touch the flash again.
        if hasattr(self, "spool"):
            try:
                self.spool._close()
            except OSError:
                assert self.chip.dead
        vfs.umount(ROOT)
        gc.collect()


def factory():
    flash = NorFlash(BLOCKS * 4096)
    vfs.VfsLfs2.mkfs(DyingChip(flash))
    vfs.mount(vfs.VfsLfs2(DyingChip(flash)), ROOT)
    chooser.root = ROOT
    for folder in ("a", "b", "lists"):
        os.mkdir(ROOT + "/" + folder)
    lay_down("a", 1)
    lay_down("b", 0)  # what ran before: it has to make room
    chooser.mark("b", {"release": 0, "version": "v", "board": "bench", "metrology": ""})
    vfs.umount(ROOT)
    return bytes(flash.data)


def main(every):
    measuring, others = program(2)
    data = bundle.pack("bench", "2.0", metrology(measuring), measuring, others)
    data = signed("firmware", data, 2)
    start = factory()
    cuts = old = new = resumed = 0
    operations = 0
    while True:
        ended = True
        for mode in CUT_MODES:
            flash = NorFlash(BLOCKS * 4096)
            flash.data[:] = start
            world = World()
            unit = Unit(flash, world)
            flash.cut_after(operations, mode)
            try:
                unit.choose()
                unit.go_on(data)
            except (PowerCut, OSError, Refused):
                # A file closed on the way out of the cut has its own complaint.
                assert unit.chip.dead
                ended = False
                cuts += 1
            unit.let_go()
            flash.power_on()
            for _start in range(3):
                unit = Unit(flash, world)
                release = unit.choose()
                assert release == 1 or world.audits, "in force without its audit entry"
                if not _start:
                    old += release == 1
                    new += release == 2
                resumed += unit.go_on(data) > 0
                unit.let_go()
            unit = Unit(flash, world)
            assert unit.choose() == 2 and not chooser.trial
            state = chooser.state()
            assert state["slot"] == "b" and not state["ready"] and not state["failed"]
            # The other slot still holds the program before it, whole.
            assert check_whole("a") == 1
            # What is left of the file that came makes room when the next one comes.
            assert set(os.listdir(ROOT + "/lists")) <= {"incoming.part", "incoming.json"}
            unit.let_go()
        if ended:
            break
        operations += every
    print(cuts, old, new, resumed)


main(int(sys.argv[1]))
