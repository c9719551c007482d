# Flash as the journal uses it: read, program with a check, erase with a check.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# `flash` is anything with esp32.Partition's extended block protocol: readblocks(block, buf,
# offset), writeblocks(block, buf, offset) which only programs, ioctl(4, 0) the number of
# blocks, ioctl(5, 0) their size, ioctl(6, block) erase.

from .record import MAX_RECORD, JournalError

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


SECTOR = const(4096)  # bytes
_TRIES = const(2)  # a read that comes back wrong once must not cost a sector
_BLANK = b"\xff" * 256


class FlashError(JournalError):
    """The flash did not answer; nothing is known about what it holds."""


class Medium:
    """Counts what it does: programs, program_bytes, erases, reads, read_bytes, failures."""

    def __init__(self, flash):
        self._flash = flash
        self.sectors = flash.ioctl(4, 0)
        if flash.ioctl(5, 0) != SECTOR:
            raise FlashError("the journal needs 4096-byte sectors")
        if self.sectors < 3:
            raise FlashError("the journal needs 3 sectors, the partition has %d" % self.sectors)
        self._check = bytearray(MAX_RECORD)
        self.programs = self.program_bytes = self.erases = 0
        self.reads = self.read_bytes = self.failures = 0

    def read(self, place, offset, buf):
        """Fill `buf` from `offset` of sector `place`. Raises FlashError."""
        self.reads += 1
        self.read_bytes += len(buf)
        try:
            self._flash.readblocks(place, buf, offset)
        except OSError as e:
            raise FlashError("reading flash sector %d failed: %s" % (place, e)) from None

    def program(self, place, offset, buf):
        """Program `buf` (at most MAX_RECORD bytes) and read it back; True if it is there."""
        self.programs += 1
        self.program_bytes += len(buf)
        try:
            self._flash.writeblocks(place, buf, offset)
        except OSError:
            self.failures += 1
            return False
        check = memoryview(self._check)[: len(buf)]
        for _ in range(_TRIES):
            self.read(place, offset, check)
            if check == buf:
                return True
        self.failures += 1
        return False

    def erase(self, place):
        """Erase a sector and look at it; True if it reads blank."""
        self.erases += 1
        try:
            self._flash.ioctl(6, place)
        except OSError:
            self.failures += 1
            return False
        if self.blank(place):
            return True
        self.failures += 1
        return False

    def blank(self, place):
        """Whether the whole sector reads FF."""
        check = memoryview(self._check)[:256]
        for offset in range(0, SECTOR, 256):
            for attempt in range(_TRIES):
                self.read(place, offset, check)
                if check == _BLANK:
                    break
                if attempt == _TRIES - 1:
                    return False
        return True
