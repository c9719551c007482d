# NOR flash on the bench, with the block protocol of esp32.Partition. Runs on both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# An erase sets a 4096-byte block to FF, a program only clears bits; a program that would have to
# set one raises NorViolation. The power can be cut at any operation, blocks can go bad, bits can
# stick and reads can come back wrong once. Device time is modelled after Espressif's own table
# (esp-idf components/nvs_flash/test_nvs_host/spi_flash_emulation.cpp).

BLOCK = 4096  # bytes

_PIECE = 256
_BLANK = b"\xff" * _PIECE

BEFORE = "before"  # the operation did not begin
TORN = "torn"  # half of it was done
GARBAGE = "garbage"  # half of it was done and the rest holds random bits
HALF_ERASE = "half-erase"  # an erase left each bit set or as it was; a program cleared a part
CUT_MODES = (BEFORE, TORN, GARBAGE, HALF_ERASE)

_ERASE_US = 37142
_PROGRAM_US = ((0, 7), (64, 106), (128, 205), (256, 417), (4096, 6367))  # (bytes, us)
_READ_US = ((0, 5), (4096, 459))
_EIO = 5


class PowerCut(Exception):
    """The power went. Nothing can be done with this flash before `power_on`."""


class NorViolation(Exception):
    """A program that would have to set a bit: this flash cannot do that."""


def _time_us(table, n):
    for i in range(1, len(table)):
        n1, us1 = table[i]
        if n <= n1 or i == len(table) - 1:
            n0, us0 = table[i - 1]
            return us0 + (us1 - us0) * (n - n0) // (n1 - n0)
    return 0


class _FileCells:
    """The cells of an image file, one block of them in RAM: a unit has no room for more."""

    def __init__(self, file, size):
        self._file = file
        self._size = size
        self._block = -1
        self._cells = bytearray(BLOCK)

    def __len__(self):
        return self._size

    def _offset(self, address):
        block = address // BLOCK
        if block != self._block:
            self._file.seek(block * BLOCK)
            self._file.readinto(self._cells)
            self._block = block
        return address % BLOCK

    def __getitem__(self, key):
        if isinstance(key, slice):
            at = self._offset(key.start)
            return self._cells[at : at + key.stop - key.start]
        return self._cells[self._offset(key)]

    def __setitem__(self, key, value):
        if isinstance(key, slice):
            at = self._offset(key.start)
            self._cells[at : at + len(value)] = value
        else:
            self._cells[self._offset(key)] = value


class Power:
    """The supply of one chip, or of several that lose it together."""

    def __init__(self):
        self.off = False
        self.mode = BEFORE
        self._cut_in = -1
        self._action = None

    def cut_after(self, operations, mode=BEFORE, action=None):
        """See NorFlash.cut_after; the operations of all chips count."""
        self._cut_in = operations
        self.mode = mode
        self._action = action

    def on(self):
        """Power is back; a cut that has not happened is cancelled."""
        self.off = False
        self._cut_in = -1

    def goes_now(self):
        """Called at each program and erase: whether it is the one that is cut."""
        if self._cut_in < 0:
            return False
        self._cut_in -= 1
        return self._cut_in < 0

    def go(self):
        """The power goes. Does not return."""
        self.off = True
        if self._action:
            self._action()
        raise PowerCut("the power went")


class NorFlash:
    """`size` bytes of flash in RAM, or in the file `path` (made, all FF, if it is not there).

    `power` is a Power that several chips share; without one the chip has its own. Counts programs,
    program_bytes, erases, reads, read_bytes, erases_by_block and time_us.
    """

    def __init__(self, size=1 << 20, path=None, seed=1, power=None):
        self._file = None
        self.path = path
        if path is None:
            self.data = bytearray(b"\xff" * size)
        else:
            self._open(path, size)
        self.blocks = len(self.data) // BLOCK
        self._seed = seed or 1
        self.power = power or Power()
        self.bad_program = set()  # blocks that take no program: OSError
        self.bad_erase = set()  # blocks that take no erase: OSError
        self.silent_program = set()  # blocks that take no program and do not say so
        self.silent_erase = set()
        self.stuck = {}  # address: (mask, value) bits that never change
        self.on_erase = None  # called with the block of each erase
        self._wrong_in = -1
        self.reset_counters()

    def _open(self, path, size):
        try:
            self._file = open(path, "r+b", 0)  # noqa: SIM115
        except OSError:
            self._file = open(path, "w+b", 0)  # noqa: SIM115
            for _ in range(size // BLOCK):
                self._file.write(b"\xff" * BLOCK)
        size = self._file.seek(0, 2)
        if size % BLOCK or not size:
            raise ValueError("%s is not a flash image: %d bytes" % (path, size))
        self.data = _FileCells(self._file, size)

    def close(self):
        """Close the image file, if there is one."""
        if self._file:
            self._file.close()
            self._file = None

    def reset_counters(self):
        self.programs = self.program_bytes = self.erases = self.reads = self.read_bytes = 0
        self.time_us = 0
        self.erases_by_block = [0] * self.blocks

    # The block protocol.

    def readblocks(self, block, buf, offset=0):
        """Fill `buf` from `offset` of `block`."""
        self._alive()
        start = self._range(block, offset, len(buf))
        self.reads += 1
        self.read_bytes += len(buf)
        self.time_us += _time_us(_READ_US, len(buf))
        memoryview(buf)[:] = self.data[start : start + len(buf)]
        if self._wrong_in >= 0:
            if self._wrong_in == 0 and len(buf):
                buf[self._random() % len(buf)] ^= 1 << self._random() % 8
            self._wrong_in -= 1
        return False

    def writeblocks(self, block, buf, offset=None):
        """Program `buf` at `offset` of `block`; without an offset erase the block first."""
        if offset is None:
            for i in range((len(buf) + BLOCK - 1) // BLOCK):
                self._erase(block + i)
            offset = 0
        self._alive()
        n = len(buf)
        start = self._range(block, offset, n)
        if not self.stuck:
            want = int.from_bytes(buf, "little")
            if want & int.from_bytes(self.data[start : start + n], "little") != want:
                raise NorViolation("a program of %d bytes at 0x%x sets bits" % (n, start))
        if self.power.goes_now():
            self._program(start, buf, self._cut_program(n))
            self.power.go()
        self.programs += 1
        self.program_bytes += n
        self.time_us += _time_us(_PROGRAM_US, n)
        if block in self.bad_program:
            raise OSError(_EIO)
        if block not in self.silent_program:
            self._program(start, buf, None)
        return False

    def ioctl(self, op, arg):
        """4 block count, 5 block size, 6 erase; 1 to 3 (init, deinit, sync) do nothing."""
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK
        if op == 6:
            self._erase(arg)
            return 0
        return 0 if op in (1, 2, 3) else None

    # What can go wrong.

    def cut_after(self, operations, mode=BEFORE, action=None):
        """Cut the power at the program or erase that follows `operations` more of them.

        `action` is called instead of raising PowerCut; it must not return.
        """
        self.power.cut_after(operations, mode, action)

    def power_on(self):
        """Let the flash be used again after a cut; cancels a cut that has not happened."""
        self.power.on()

    def wrong_read_after(self, reads):
        """Let the read that follows `reads` more of them come back with one bit wrong."""
        self._wrong_in = reads

    def stick(self, address, mask, value):
        """Hold the bits of `mask` at `address` at those of `value`, whatever is done."""
        self.stuck[address] = (mask, value & mask)
        self._put(address, self.data[address])
        self._flush(address, 1)

    # Inside.

    def _alive(self):
        if self.power.off:
            raise PowerCut("the power is off")

    def _range(self, block, offset, n):
        start = block * BLOCK + offset
        if block < 0 or offset < 0 or start + n > len(self.data):
            raise OSError(_EIO)
        return start

    def _random(self):
        # xorshift32: the same on both runtimes.
        x = self._seed
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._seed = x
        return x >> 3

    def _cut_program(self, n):
        """How each byte of a cut program ends: 0 untouched, 1 programmed, 2 random."""
        if self.power.mode == BEFORE:
            return lambda i: 0
        if self.power.mode == TORN:
            return lambda i: 1 if i < n // 2 else 0
        if self.power.mode == GARBAGE:
            return lambda i: 1 if i < n // 2 else 2
        return lambda i: 2

    def _program(self, start, buf, how):
        data = self.data
        n = len(buf)
        if how is None and not self.stuck:
            kept = int.from_bytes(data[start : start + n], "little")
            kept &= int.from_bytes(buf, "little")
            data[start : start + n] = kept.to_bytes(n, "little")
        else:
            for i in range(n):
                value = buf[i]
                kind = how(i) if how is not None else 1
                if kind == 0:
                    continue
                if kind == 2:
                    value |= self._random() & 0xFF
                self._put(start + i, data[start + i] & value)
        self._flush(start, n)

    def _erase(self, block):
        self._alive()
        start = self._range(block, 0, BLOCK)
        if self.power.goes_now():
            mode = self.power.mode
            half = BLOCK if mode == HALF_ERASE else BLOCK // 2
            if mode != BEFORE:
                for i in range(half if mode != GARBAGE else BLOCK):
                    set_bits = 0xFF
                    if mode == HALF_ERASE or i >= half:
                        set_bits = self._random() & 0xFF
                    self._put(start + i, self.data[start + i] | set_bits)
                self._flush(start, BLOCK)
            self.power.go()
        self.erases += 1
        self.erases_by_block[block] += 1
        self.time_us += _ERASE_US
        if self.on_erase is not None:
            self.on_erase(block)
        if block in self.bad_erase:
            raise OSError(_EIO)
        if block in self.silent_erase:
            return
        for at in range(start, start + BLOCK, _PIECE):
            self.data[at : at + _PIECE] = _BLANK
        for address in self.stuck:
            self._put(address, self.data[address])
        self._flush(start, BLOCK)

    def _put(self, address, value):
        stuck = self.stuck.get(address)
        if stuck:
            value = value & ~stuck[0] | stuck[1]
        self.data[address] = value

    def _flush(self, start, n):
        if self._file:
            # In pieces: a unit's heap may have no room for a whole block in one.
            self._file.seek(start)
            for at in range(start, start + n, _PIECE):
                self._file.write(self.data[at : min(at + _PIECE, start + n)])
