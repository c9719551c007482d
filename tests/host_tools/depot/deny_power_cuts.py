# The power goes at every flash operation of a push, on MicroPython's own littlefs over bench NOR.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Run by test_deny_power_cuts.py: prints cuts, and how often the old and the new list were found.

import gc
import hashlib
import os
import sys

import vfs
from app.deny import Deny
from dying_chip import DyingChip
from flagfall.emv import deny_list as dl
from flagfall.link.messages import Busy, Refused
from nor_flash import CUT_MODES, NorFlash, PowerCut
from signing_office import PUBLIC_KEY, signed

SALT = bytes(16)
BLOCKS = 48
PART = 700


class Events:
    def __init__(self, chip):
        self.chip = chip

    def event(self, code, text):
        # Without power nothing is written any more; else no list is ever out of force.
        assert self.chip.dead, text


def pan(n):
    return "62109480%08d" % n


def hashes(pans):
    return sorted([dl.pan_hash(SALT, p, 6) for p in pans])


def whole(pans, version):
    body = b"".join(hashes(pans))
    digest = hashlib.sha256(body).digest()
    return dl.whole_header(version, 6, len(pans), 0, SALT, digest) + body


def delta(old, new, version, content):
    added, gone = set(new) - set(old), set(old) - set(new)
    head = dl.make_header(
        1, 6, version, version - 1, len(added), 0, len(gone), SALT, dl.Header(content).digest
    )
    return head + b"".join(hashes(added)) + b"".join(hashes(gone))


def mounted(flash):
    chip = DyingChip(flash)
    vfs.mount(vfs.VfsLfs2(chip), "/lists")
    deny = Deny(
        "/lists", "U-1", PUBLIC_KEY, Events(chip), lambda: False, lambda: 0, lambda v: None
    )
    deny.chip = chip
    deny.load()
    return deny


def let_go(deny):
    # The power is off: nothing of the run before may touch the flash again.
    for close in (deny._close, deny.spool._close):
        try:
            close()
        except OSError:
            assert deny.chip.dead
    vfs.umount("/lists")
    gc.collect()


def push(deny, data):
    spool = deny.spool
    offset = spool.begin("deny", len(data), hashlib.sha256(data).digest())
    resumed = offset
    while offset < len(data):
        offset = spool.part(offset, data[offset : offset + PART])
    spool.must_be_whole("deny")
    while True:
        try:
            spool.put("deny")
            return resumed
        except Busy:
            spool.step()


def check(deny, pans):
    for _step in deny._list.check_in_steps():
        pass
    for n in (0, 1, 57, 299, 340):
        assert deny.denied(pan(n)) == (pan(n) in pans), n


def main(every):
    old = [pan(n) for n in range(300)]
    new = [pan(n) for n in range(1, 341)]
    one, two = whole(old, 1), whole(new, 2)
    flash = NorFlash(BLOCKS * 4096)
    vfs.VfsLfs2.mkfs(DyingChip(flash))
    deny = mounted(flash)
    push(deny, signed("deny", one, 1))
    check(deny, old)
    let_go(deny)
    start = bytes(flash.data)
    cuts = found_old = found_new = resumed = 0
    for data in (signed("deny", two, 2), signed("deny", delta(old, new, 2, two), 2)):
        operations = 0
        while True:
            ended = True
            for mode in CUT_MODES:
                flash = NorFlash(BLOCKS * 4096)
                flash.data[:] = start
                deny = mounted(flash)
                flash.cut_after(operations, mode)
                try:
                    push(deny, data)
                except (PowerCut, OSError, Refused):
                    # A file closed on the way out of the cut has its own complaint.
                    assert deny.chip.dead
                    ended = False
                    cuts += 1
                let_go(deny)
                flash.power_on()
                deny = mounted(flash)
                assert deny.version in (1, 2)
                check(deny, old if deny.version == 1 else new)
                found_old += deny.version == 1
                found_new += deny.version == 2
                resumed += push(deny, data) > 0
                check(deny, new)
                # What is older stays out, and what is left over takes no room for ever.
                try:
                    push(deny, signed("deny", one, 1))
                    raise AssertionError("an older list was taken")
                except Refused:
                    pass
                assert deny.version == 2 and os.listdir("/lists") == ["deny.list"]
                let_go(deny)
            if ended:
                break
            operations += every
    print(cuts, found_old, found_new, resumed)


main(int(sys.argv[1]))
