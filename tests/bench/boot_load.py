# What bench_boot.py runs in MicroPython: `micropython boot_load.py FOLDER MARK`: a program of the
# reference board from the chooser to the face that says FOR HIRE, and on to the moment at which
# all of the unit is there, on flash and files as a power cut left them.
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


class Chip:
    """Stands for the modules of the chip while the board's own modules are imported."""

    def __getattr__(self, name):
        return Chip()

    def __call__(self, *args):
        return self


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


def flash_us(board):
    """Flash microseconds so far: rings, file systems."""
    rings = board.journal_flash.time_us + board.trips_flash.time_us
    return rings, board.config.time_us + board.lists.time_us


class Port:
    bauds = (115200, 921600)

    def set_baud(self, baud):
        pass

    def discard(self):
        pass

    heard = False

    async def read(self, n, timeout_ms):
        self.heard = True
        await asyncio.sleep_ms(max(timeout_ms, 1))
        return b""

    async def write(self, data):
        pass


class Board:
    model = "bench"

    def __init__(self):
        self.journal_flash = Flash(path=_FOLDER + "/journal.flash")
        self.trips_flash = Flash(path=_FOLDER + "/trips.flash")
        self.config = Flash(path=_FOLDER + "/config.flash")
        self.lists = Flash(path=_FOLDER + "/lists.flash")
        self.files_root = "/config"
        self.lists_root = "/lists"
        vfs.mount(vfs.VfsLfs2(self.config), self.files_root)
        vfs.mount(vfs.VfsLfs2(self.lists), self.lists_root)
        self.display = self.buzzer = self.printer = self
        self.for_hire = None
        self.cable = Port()
        self._ms = 0

    def show(self, face):
        if face["position"] == "FOR HIRE" and not self.for_hire:
            self.for_hire = flash_us(self)
            self.modules = set(sys.modules)
            mark("later")

    def tone(self, name):
        pass

    async def print(self, lines):
        pass

    async def key(self):
        await asyncio.sleep_ms(100000)

    async def tick(self):
        self._ms += 50
        await asyncio.sleep_ms(100000 if self.for_hire else 0)

    async def breathe(self):
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
        return self.cable

    def isu_port(self):
        return Port()

    def modem_port(self):
        return None


def reading(flash, names):
    """(bytes, flash microseconds) of reading these files of the program from its littlefs."""
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
for name in ("machine", "esp32", "network"):
    sys.modules[name] = Chip()
known = set(sys.modules)
mark("start")
program = Flash(path=_FOLDER + "/program.flash")
vfs.mount(vfs.VfsLfs2(program), "/unit")
import chooser  # noqa: E402

chooser.root = "/unit"
chooser.choose()
chooser.state()
chooser_us = program.time_us
mark("import")
import board as _real_board  # noqa: E402, F401 - what the board itself needs of the program
from unit import Unit  # noqa: E402

mark("start")
taxi = Board()


def make_reader(port):
    from drivers.pn532 import PN532
    from drivers.pn532_hsu import HSU

    return PN532(HSU(port, 921600), type_b=True)


async def run():
    unit = asyncio.create_task(Unit(taxi, make_reader).run())
    wrapped = False
    while not taxi.cable.heard:  # the last thing that waits for somebody
        await asyncio.sleep_ms(0)
        if unit.done():
            await unit  # raises what it died of
        if not wrapped and "flagfall.seal" in sys.modules:
            wrapped = True
            _apart(sys.modules["flagfall.seal"], "oaep_encrypt", "rsa")
    unit.cancel()


asyncio.run(run())
mark("done")
_COUNT = False  # what follows only asks the model for the time of the flash
root = os.getenv("MICROPYPATH").split(":")[1]


def files(names):
    paths = (getattr(sys.modules[name], "__file__", "") for name in names)
    return [path[len(root) + 1 :] for path in paths if path and path.startswith(root)]


at_first = files(taxi.modules - known)
later_us = sum(flash_us(taxi)) - sum(taxi.for_hire)
later_us += reading(program, files(set(sys.modules) - taxi.modules))[1]
size, us = reading(program, at_first)
rings_us, config_us = taxi.for_hire
print(
    json.dumps(
        {
            "labels": _labels,
            "rings_us": rings_us,
            "config_us": config_us + chooser_us,
            "later_us": later_us,
            "files": len(at_first),
            "all_files": len(files(set(sys.modules) - known)),
            "program_bytes": size,
            "program_us": us,
        }
    )
)
