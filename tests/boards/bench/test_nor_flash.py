# The NOR model keeps flash's rules, on both runtimes.

from expect import raises
from nor_flash import (
    BEFORE,
    BLOCK,
    CUT_MODES,
    GARBAGE,
    HALF_ERASE,
    TORN,
    NorFlash,
    NorViolation,
    PowerCut,
)


def read(flash, block=0, offset=0, n=64):
    buf = bytearray(n)
    flash.readblocks(block, buf, offset)
    return bytes(buf)


def test_geometry():
    flash = NorFlash(16 * BLOCK)
    assert flash.ioctl(4, 0) == 16 and flash.ioctl(5, 0) == BLOCK


def test_program_clears_bits_only():
    flash = NorFlash(2 * BLOCK)
    flash.writeblocks(1, b"\xf0", 5)
    assert read(flash, 1, 4, 3) == b"\xff\xf0\xff"
    flash.writeblocks(1, b"\x30", 5)
    assert read(flash, 1, 5, 1) == b"\x30"
    raises(NorViolation, flash.writeblocks, 1, b"\x31", 5)
    assert read(flash, 1, 5, 1) == b"\x30"


def test_erase_and_the_call_without_offset():
    flash = NorFlash(2 * BLOCK)
    flash.writeblocks(1, b"\0" * 64, 0)
    flash.ioctl(6, 1)
    assert read(flash, 1) == b"\xff" * 64
    flash.writeblocks(1, b"\0" * 64, 0)
    flash.writeblocks(1, b"\x55" * BLOCK)
    assert read(flash, 1) == b"\x55" * 64
    assert flash.erases_by_block == [0, 2]


def test_outside():
    flash = NorFlash(2 * BLOCK)
    raises(OSError, read, flash, 2)
    raises(OSError, read, flash, 1, BLOCK - 10, 11)
    raises(OSError, flash.writeblocks, -1, b"\0", 0)
    raises(OSError, flash.ioctl, 6, 2)


def cut_program(mode):
    flash = NorFlash(BLOCK)
    flash.writeblocks(0, b"\0" * 8, 0)
    flash.cut_after(0, mode)
    raises(PowerCut, flash.writeblocks, 0, b"\0" * 64, 64)
    raises(PowerCut, read, flash)
    raises(PowerCut, flash.ioctl, 6, 0)
    flash.power_on()
    assert read(flash, 0, 0, 8) == b"\0" * 8
    assert read(flash, 0, 128, 8) == b"\xff" * 8
    return read(flash, 0, 64, 64)


def test_cut_programs():
    assert cut_program(BEFORE) == b"\xff" * 64
    assert cut_program(TORN) == b"\0" * 32 + b"\xff" * 32
    garbage = cut_program(GARBAGE)
    assert garbage[:32] == b"\0" * 32 and garbage[32:] not in (b"\0" * 32, b"\xff" * 32)
    assert cut_program(HALF_ERASE) not in (b"\0" * 64, b"\xff" * 64)


def cut_erase(mode):
    flash = NorFlash(BLOCK)
    flash.writeblocks(0, b"\0" * BLOCK, 0)
    flash.cut_after(0, mode)
    raises(PowerCut, flash.ioctl, 6, 0)
    flash.power_on()
    return read(flash, 0, 0, BLOCK)


def test_cut_erases():
    assert cut_erase(BEFORE) == b"\0" * BLOCK
    assert cut_erase(TORN) == b"\xff" * 2048 + b"\0" * 2048
    garbage = cut_erase(GARBAGE)
    assert garbage[:2048] == b"\xff" * 2048 and len(set(garbage[2048:])) > 100
    assert len(set(cut_erase(HALF_ERASE))) > 100


def test_the_cut_counts_programs_and_erases():
    for mode in CUT_MODES:
        flash = NorFlash(BLOCK)
        flash.cut_after(2, mode)
        flash.writeblocks(0, b"\0", 0)
        flash.ioctl(6, 0)
        raises(PowerCut, flash.writeblocks, 0, b"\0", 0)


def test_cut_calls_an_action():
    def action():
        raise ValueError("as killed")

    flash = NorFlash(BLOCK)
    flash.cut_after(0, BEFORE, action)
    raises(ValueError, flash.writeblocks, 0, b"\0", 0)


def test_bad_blocks():
    flash = NorFlash(4 * BLOCK)
    flash.bad_program.add(0)
    raises(OSError, flash.writeblocks, 0, b"\0", 0)
    flash.bad_erase.add(1)
    raises(OSError, flash.ioctl, 6, 1)
    flash.silent_program.add(2)
    flash.writeblocks(2, b"\0", 0)
    assert read(flash, 2, 0, 1) == b"\xff"
    flash.writeblocks(3, b"\0", 0)
    flash.silent_erase.add(3)
    flash.ioctl(6, 3)
    assert read(flash, 3, 0, 1) == b"\0"


def test_stuck_bits():
    flash = NorFlash(BLOCK)
    flash.stick(3, 0x0F, 0x05)
    assert read(flash, 0, 3, 1) == b"\xf5"
    flash.writeblocks(0, b"\0" * 8, 0)
    assert read(flash, 0, 0, 8) == b"\0\0\0\x05\0\0\0\0"
    flash.ioctl(6, 0)
    assert read(flash, 0, 2, 3) == b"\xff\xf5\xff"


def test_a_read_that_comes_back_wrong_once():
    flash = NorFlash(BLOCK)
    flash.wrong_read_after(1)
    assert read(flash) == b"\xff" * 64
    assert read(flash) != b"\xff" * 64
    assert read(flash) == b"\xff" * 64


def test_counters_and_time():
    flash = NorFlash(2 * BLOCK)
    flash.writeblocks(0, b"\0" * 64, 0)
    assert (flash.programs, flash.program_bytes, flash.time_us) == (1, 64, 106)
    flash.writeblocks(0, b"\0" * 256, 64)
    assert flash.time_us == 106 + 417
    flash.ioctl(6, 1)
    assert flash.time_us == 106 + 417 + 37142
    flash.reset_counters()
    read(flash, 0, 0, BLOCK)
    assert (flash.reads, flash.read_bytes, flash.time_us) == (1, BLOCK, 459)


def test_file_keeps_what_was_programmed():
    import os

    path = "nor-flash-test.%d.bin" % id(object())
    try:
        flash = NorFlash(2 * BLOCK, path)
        flash.writeblocks(1, b"kept", 100)
        other = NorFlash(BLOCK, path)  # without closing the first: as after kill -9
        assert other.blocks == 2 and read(other, 1, 100, 4) == b"kept"
        other.ioctl(6, 1)
        other.close()
        flash.close()
        again = NorFlash(2 * BLOCK, path)
        assert read(again, 1, 100, 4) == b"\xff" * 4
        again.close()
    finally:
        os.remove(path)
