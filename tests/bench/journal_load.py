# What bench_journal.py runs in MicroPython: the same records into littlefs and into the journal,
# over the same NOR model. Prints one JSON object a line.
# MIT licence, (c) 2026 The Flagfall contributors.

import json

import vfs
from flagfall.journal import schema
from flagfall.journal.ring import Journal
from nor_flash import BLOCK, NorFlash

SECTORS = 256  # 1 MiB; four times that for a file per record, which takes a block each
RECORDS = 400
OVERHEAD = 36  # of a journal record


class Cost:
    # What each append costs the flash.
    def __init__(self, flash):
        self.flash = flash
        flash.reset_counters()
        self.worst = 0
        self.tap_erases = 0

    def start(self):
        self.us = self.flash.time_us
        self.erases = self.flash.erases

    def stop(self):
        self.worst = max(self.worst, self.flash.time_us - self.us)
        self.tap_erases += self.flash.erases - self.erases

    def say(self, scheme, size, records, mount_bytes):
        flash = self.flash
        print(
            json.dumps(
                {
                    "scheme": scheme,
                    "size": size,
                    "records": records,
                    "programmed": flash.program_bytes,
                    "erases": flash.erases,
                    "tap_erases": self.tap_erases,
                    "read": flash.read_bytes,
                    "us": flash.time_us,
                    "worst_us": self.worst,
                    "mount_bytes": mount_bytes,
                }
            )
        )


def littlefs(scheme, size):
    flash = NorFlash(SECTORS * BLOCK * (4 if scheme == "files" else 1))
    vfs.VfsLfs2.mkfs(flash)
    fs = vfs.VfsLfs2(flash)
    vfs.mount(fs, "/flash")
    data = bytes(range(size % 256)) + bytes(size - size % 256)
    cost = Cost(flash)
    f = open("/flash/journal", "ab") if scheme == "flush" else None  # noqa: SIM115
    for i in range(RECORDS):
        cost.start()
        if scheme == "flush":
            f.write(data)
            f.flush()
        elif scheme == "close":
            with open("/flash/journal", "ab") as g:
                g.write(data)
        else:
            with open("/flash/%06d" % i, "wb") as g:
                g.write(data)
        cost.stop()
    if f:
        f.close()
    vfs.umount("/flash")
    before = flash.read_bytes
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    with open("/flash/journal" if scheme != "files" else "/flash/000001", "rb") as g:
        g.seek(-size, 2)
        g.read(size)
    mount_bytes = flash.read_bytes - before
    vfs.umount("/flash")
    flash.read_bytes = before
    cost.say("littlefs, " + scheme, size, RECORDS, mount_bytes)


def ring(size):
    flash = NorFlash(SECTORS * BLOCK)
    journal = Journal(flash, bytes(32))
    journal.mount(1)
    body = bytes(size - OVERHEAD)
    cost = Cost(flash)
    for i in range(RECORDS):
        cost.start()
        journal.append(schema.EVENT, body, i)
        cost.stop()
        journal.idle()
    before = flash.read_bytes
    again = Journal(flash, bytes(32))
    again.mount(1)
    mount_bytes = flash.read_bytes - before
    flash.read_bytes = before
    cost.say("journal", size, RECORDS, mount_bytes)


for size in (64, 200, 500):
    for scheme in ("flush", "close", "files"):
        littlefs(scheme, size)
    ring(size)
