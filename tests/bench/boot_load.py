# What bench_boot.py runs in MicroPython: `micropython boot_load.py FOLDER MARK`: the firmware from
# its first import to the face that says FOR HIRE, on flash and files as a power cut left them.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# With MARK `count` callgrind dumps its counters at each call of stack_use. What the NOR model does
# in Python is marked apart: a chip does it in C and in hardware, whose time the model tells. The
# last line printed is JSON: labels, flash time, and what it takes to read the program's own files.

import asyncio
import json
import os
import sys

import micropython
import vfs
from nor_flash import NorFlash

_FOLDER = sys.argv[1]
_COUNT = sys.argv[2] == "count"
_PIECE = 256  # bytes that MicroPython reads of a module at once, or fewer
_labels = []
_label = ""


def mark(label):
    global _label
    before, _label = _label, label
    if _COUNT:
        _labels.append(label)
        micropython.stack_use()
    return before


class ForHire(Exception):
    pass


class Flash(NorFlash):
    def readblocks(self, block, buf, offset=0):
        before = mark("model")
        NorFlash.readblocks(self, block, buf, offset)
        mark(before)

    def writeblocks(self, block, buf, offset=None):
        before = mark("model")
        NorFlash.writeblocks(self, block, buf, offset)
        mark(before)

    def ioctl(self, op, arg):
        before = mark("model")
        found = NorFlash.ioctl(self, op, arg)
        mark(before)
        return found


class Port:
    bauds = (115200, 921600)

    def set_baud(self, baud):
        pass

    def discard(self):
        pass

    async def read(self, n, timeout_ms):
        await asyncio.sleep_ms(max(timeout_ms, 1))
        return b""

    async def write(self, data):
        pass


class Board:
    model = "bench"

    def __init__(self):
        self.journal_flash = Flash(path=_FOLDER + "/journal.flash")
        self.trips_flash = Flash(path=_FOLDER + "/trips.flash")
        self.files_root = _FOLDER + "/files"
        self.lists_root = self.files_root + "/lists"
        self.display = self.buzzer = self.printer = self
        self._ms = 0

    def show(self, face):
        if face["position"] == "FOR HIRE":
            raise ForHire

    def tone(self, name):
        pass

    async def print(self, lines):
        pass

    async def key(self):
        await asyncio.sleep_ms(100000)

    async def tick(self):
        self._ms += 50
        await asyncio.sleep_ms(0)

    async def sleep_ms(self, ms):
        await asyncio.sleep_ms(ms)

    def ticks_ms(self):
        return self._ms

    def pulses(self):
        return 0

    def utc_s(self):
        return 825900000

    def set_utc_s(self, utc_s):
        pass

    def seal_open(self):
        return False

    def random(self, n):
        return os.urandom(n)

    def reader_port(self):
        return Port()

    def cable_port(self):
        return Port()

    def isu_port(self):
        return Port()

    def modem_port(self):
        return None


def reading(names):
    """(bytes, flash microseconds) of reading these files of the program from its littlefs."""
    flash = NorFlash(path=_FOLDER + "/program.flash")
    vfs.mount(vfs.VfsLfs2(flash), "/unit")
    flash.reset_counters()
    buf = bytearray(_PIECE)
    total = 0
    for name in names:
        with open("/unit/a/" + name, "rb") as f:
            n = 1
            while n:
                n = f.readinto(buf)
                total += n
    return total, flash.time_us


def _apart(module, name, label):
    # Long integers: their loops run at another speed than the interpreter's.
    real = getattr(module, name)

    def marked(*args):
        before = mark(label)
        result = real(*args)
        mark(before)
        return result

    setattr(module, name, marked)


mark("nothing")
mark("nothing")
known = set(sys.modules)
mark("import")
from drivers.pn532 import PN532  # noqa: E402
from drivers.pn532_hsu import HSU  # noqa: E402
from flagfall import seal  # noqa: E402
from unit import Unit  # noqa: E402

mark("start")
_apart(seal, "oaep_encrypt", "rsa")
board = Board()


async def run():
    await Unit(board, lambda port: PN532(HSU(port, 921600), type_b=True)).run()


try:
    asyncio.run(run())
except ForHire:
    mark("done")
files = []
for name in sys.modules:
    path = getattr(sys.modules[name], "__file__", "")
    if name not in known and path and path.endswith(".mpy"):
        files.append(path)
root = os.getenv("MICROPYPATH").split(":")[1]
size, us = reading([path[len(root) + 1 :] for path in files])
print(
    json.dumps(
        {
            "labels": _labels,
            "journal_us": board.journal_flash.time_us,
            "trips_us": board.trips_flash.time_us,
            "reads": board.journal_flash.reads + board.trips_flash.reads,
            "read_bytes": board.journal_flash.read_bytes + board.trips_flash.read_bytes,
            "erases": board.journal_flash.erases + board.trips_flash.erases,
            "files": len(files),
            "program_bytes": size,
            "program_us": us,
        }
    )
)
