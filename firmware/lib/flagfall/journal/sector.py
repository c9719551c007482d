# A sector of the journal: its header, and the walk over its records.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md 2.1 and 2.3.

import binascii
import struct

from .medium import SECTOR
from .record import SLOT, length_at, mac_good, seq_at

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


HEADER = const(32)  # bytes at offset 0; records follow
UNTOLD = const(0xFFFFFFFF)  # an acked seq that format 1 does not carry

# What a place in the partition holds, by its first 32 bytes.
BLANK = const(0)  # all FF
GOOD = const(1)
DAMAGED = const(2)  # neither: rotten, or being opened or erased when the power went
RETIRED = const(3)  # failed once, not to be used again

_TRIES = const(4)  # reads of what does not check
_MAGIC = b"FFJ"
_NORMAL = const(0xFF)
_MOVED = const(0x4D)  # "M": begins with records moved out of a failing sector
_RETIRED = const(0x52)  # "R"
_BLANK_HEADER = b"\xff" * HEADER
_BLANK_SLOT = b"\xff" * SLOT


class Header:
    """A sector header: state, format, generation, first_seq, epoch, acked, retired, moved.

    `acked` is UNTOLD and `retired` 0 in format 1.
    """

    def __init__(self, raw):
        self.format = raw[3] - 0x30
        self.moved = raw[4 + 1] == _MOVED
        self.state = DAMAGED
        self.generation = self.first_seq = self.epoch = self.retired = 0
        self.acked = UNTOLD
        if raw[:] == _BLANK_HEADER:
            self.state = BLANK
            return
        if raw[:3] != _MAGIC or self.format not in (1, 2) or raw[4] != self.format:
            return
        if binascii.crc32(raw[:28]) & 0xFFFFFFFF != struct.unpack_from("<I", raw, 28)[0]:
            return
        self.generation, self.first_seq, self.epoch = struct.unpack_from("<III", raw, 8)
        if self.format == 2:
            self.acked, self.retired = struct.unpack_from("<IH", raw, 20)
        self.state = RETIRED if raw[5] == _RETIRED else GOOD


def build_header(
    buf, generation, first_seq, epoch, acked, retired, moved=False, mark_retired=False
):
    """Write a format 2 header into `buf` (32 bytes)."""
    flag = _RETIRED if mark_retired else _MOVED if moved else _NORMAL
    struct.pack_into("<4sBBBB", buf, 0, b"FFJ2", 2, flag, 0xFF, 0xFF)
    struct.pack_into("<IIIIHH", buf, 8, generation, first_seq, epoch, acked, retired, 0xFFFF)
    struct.pack_into("<I", buf, 28, binascii.crc32(memoryview(buf)[:28]) & 0xFFFFFFFF)


def read_header(medium, place, buf):
    """The Header of sector `place`; `buf` is scratch of at least 32 bytes.

    A header that does not check is read once more: a bit may come back wrong once.
    """
    view = memoryview(buf)[:HEADER]
    medium.read(place, 0, view)
    header = Header(view)
    if header.state == DAMAGED:
        medium.read(place, 0, view)
        header = Header(view)
    return header


def blank_slot(buf, offset):
    """Whether the slot at `offset` reads FF."""
    return memoryview(buf)[offset : offset + SLOT] == _BLANK_SLOT


def tail(buf):
    """Offset of the first slot after which the sector in `buf` reads FF to its end."""
    offset = SECTOR
    while offset > HEADER and blank_slot(buf, offset - SLOT):
        offset -= SLOT
    return offset


def walk(buf, key, medium=None, place=0):
    """The offsets of the records in the sector in `buf`, in their order, as a list.

    A record counts by marker, length and CRC; one found after remains must also have the right
    MAC, so that bytes inside the body of a damaged record are not taken for one (`key` None
    skips that). Of two records with the same seq the later counts: the earlier was being
    programmed when the power went. One with a lower seq than those before it is a stray and does
    not count. With `medium`, what does not check is read again until two reads agree.
    """
    found, bad = _walk(buf, key)
    tries = _TRIES if medium else 0
    while bad and tries:
        tries -= 1
        medium.read(place, bad, memoryview(buf)[bad:SECTOR])
        before = found
        found, bad = _walk(buf, key)
        if found == before:
            break
    return found


def _walk(buf, key):
    """The offsets of the records, and that of the first slot that holds anything else or 0."""
    found = []
    offset = HEADER
    bad = 0
    lost = False  # whether the slot before was not the end of a record
    while offset < SECTOR:
        n = length_at(buf, offset, SECTOR)
        if n and (not lost or key is None or mac_good(key, memoryview(buf)[offset : offset + n])):
            seq = seq_at(buf, offset)
            if not found or seq > seq_at(buf, found[-1]):
                found.append(offset)
            elif seq == seq_at(buf, found[-1]):
                found[-1] = offset
            offset += (n + SLOT - 1) // SLOT * SLOT
            lost = False
        else:
            if not bad and not blank_slot(buf, offset):
                bad = offset
            offset += SLOT
            lost = True
    return found, bad
