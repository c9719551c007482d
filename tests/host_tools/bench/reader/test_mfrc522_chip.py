"""The simulated MFRC522, register by register, without any driver of ours."""

import pytest
from flagfall.iso14443a import crc_a
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader import mfrc522 as chips
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.picc import Frame
from flagfall_host.bench.reader.spi_bus import FakeSPI
from hypothesis import given
from hypothesis import strategies as st


class Plain(Card):
    def apdu(self, command):
        return b"\x6d\x00"


@pytest.fixture
def field():
    return Field()


@pytest.fixture
def chip(field):
    chip = MFRC522Chip(field)
    chip.advance(1000)
    chip.write(chips.TX_CONTROL, 0x83)
    chip.write(chips.MODE, 0x3D)
    chip.write(chips.T_MODE, 0x80)
    chip.write(chips.T_PRESCALER, 0xA9)
    chip.write(chips.T_RELOAD_HIGH, 0x03)
    chip.write(chips.T_RELOAD_LOW, 0xE8)
    return chip


def send(chip, data, bits=0, crc=False):
    chip.write(chips.COMMAND, chips.IDLE)
    chip.write(chips.COM_IRQ, 0x7F)
    chip.write(chips.FIFO_LEVEL, 0x80)
    for byte in data:
        chip.write(chips.FIFO_DATA, byte)
    chip.write(chips.TX_MODE, 0x80 if crc else 0)
    chip.write(chips.RX_MODE, 0x80 if crc else 0)
    chip.write(chips.BIT_FRAMING, bits)
    chip.write(chips.COMMAND, chips.TRANSCEIVE)
    chip.write(chips.BIT_FRAMING, 0x80 | bits)


def fifo(chip):
    return bytes(chip.read(chips.FIFO_DATA) for _ in range(chip.read(chips.FIFO_LEVEL)))


def test_reset_values_and_the_version(field):
    chip = MFRC522Chip(field)
    assert chip.read(chips.COMMAND) == 0x30  # receiver off, still starting
    chip.advance(200)
    assert chip.read(chips.COMMAND) == 0x20
    assert chip.read(chips.COM_IRQ) == 0x14
    assert chip.read(chips.VERSION) == 0x92
    assert chip.read(chips.MODE) == 0x3F
    assert chip.read(chips.STATUS1) == 0x21
    chip.write(chips.VERSION, 0x00)
    assert chip.read(chips.VERSION) == 0x92
    chip.write(chips.MODE, 0x3D)
    chip.write(chips.COMMAND, chips.SOFT_RESET)
    assert chip.read(chips.MODE) == 0x3F


def test_the_interrupt_bits_are_set_and_cleared_as_asked(chip):
    chip.write(chips.COM_IRQ, 0x7F)
    assert chip.read(chips.COM_IRQ) == 0
    chip.write(chips.COM_IRQ, 0x80 | 0x21)
    assert chip.read(chips.COM_IRQ) == 0x21
    chip.write(chips.COM_IRQ, 0x01)
    assert chip.read(chips.COM_IRQ) == 0x20


def test_the_fifo_holds_64_bytes(chip):
    for i in range(64):
        chip.write(chips.FIFO_DATA, i)
    assert chip.read(chips.ERROR) == 0
    chip.write(chips.FIFO_DATA, 64)
    assert chip.read(chips.ERROR) == chips.ERR_OVERFLOW
    assert chip.read(chips.FIFO_LEVEL) == 64
    assert fifo(chip) == bytes(range(64))
    chip.write(chips.FIFO_DATA, 1)
    chip.write(chips.FIFO_LEVEL, 0x80)
    assert chip.read(chips.FIFO_LEVEL) == 0
    assert chip.read(chips.ERROR) == 0


def test_the_checksum_unit(chip):
    for byte in b"\x12\x34":
        chip.write(chips.FIFO_DATA, byte)
    chip.write(chips.COMMAND, chips.CALC_CRC)
    assert chip.read(chips.DIV_IRQ) & 0x04
    assert (chip.read(chips.CRC_LOW), chip.read(chips.CRC_HIGH)) == (0x26, 0xCF)


def test_an_answer_comes_when_it_is_due(chip, field):
    field.place(Plain())
    send(chip, b"\x52", bits=7)
    assert chip.read(chips.COM_IRQ) == 0
    chip.advance(90)
    assert chip.read(chips.COM_IRQ) == chips.IRQ_TX
    assert chip.read(chips.STATUS1) & 0x08  # the timer runs
    chip.advance(95)
    assert chip.read(chips.STATUS1) & 0x08 == 0  # stopped by the first bit
    assert chip.read(chips.COM_IRQ) == chips.IRQ_TX
    chip.advance(200)
    assert chip.read(chips.COM_IRQ) == chips.IRQ_TX | chips.IRQ_RX
    assert fifo(chip) == b"\x04\x00"


def test_silence_ends_with_the_timer(chip, field):
    send(chip, b"\x52", bits=7)
    chip.advance(24_000)
    assert chip.read(chips.COM_IRQ) == chips.IRQ_TX
    count = chip.read(chips.T_COUNTER_HIGH) << 8 | chip.read(chips.T_COUNTER_LOW)
    assert 30 < count < 60
    chip.advance(2_000)
    assert chip.read(chips.COM_IRQ) == chips.IRQ_TX | chips.IRQ_TIMER
    assert fifo(chip) == b""


def test_no_field_no_answer(chip, field):
    field.place(Plain())
    chip.write(chips.TX_CONTROL, 0x80)
    assert not field.on
    send(chip, b"\x52", bits=7)
    chip.advance(30_000)
    assert chip.read(chips.COM_IRQ) == chips.IRQ_TX | chips.IRQ_TIMER


def activate(chip, uid):
    send(chip, b"\x52", bits=7)
    chip.advance(5000)
    send(chip, b"\x93\x20")
    chip.advance(5000)
    part = fifo(chip)
    assert part[:4] == uid
    send(chip, b"\x93\x70" + part, crc=True)
    chip.advance(5000)
    assert fifo(chip) == b"\x20"


def test_the_way_to_the_ats_with_the_chips_own_checksum(chip, field):
    field.place(Plain())
    activate(chip, Plain.uid)
    send(chip, b"\xe0\x50", crc=True)
    chip.advance(5000)
    assert fifo(chip) == Plain.ats
    send(chip, b"\x02\x00\xa4", crc=True)
    chip.advance(5000)
    assert fifo(chip) == b"\x02\x6d\x00"
    assert chip.read(chips.ERROR) == 0


def test_the_way_to_the_ats_with_the_hosts_checksum(chip, field):
    field.place(Plain())
    activate(chip, Plain.uid)
    send(chip, b"\xe0\x50" + crc_a(b"\xe0\x50"))
    chip.advance(5000)
    assert fifo(chip) == Plain.ats + crc_a(Plain.ats)


def test_damage_shows_in_the_error_register(chip, field):
    field.place(Plain())
    activate(chip, Plain.uid)
    chip.manners.outbound = lambda f: Frame(b"\xff" + f.data[1:])
    send(chip, b"\xe0\x50", crc=True)
    chip.advance(5000)
    assert chip.read(chips.ERROR) == chips.ERR_CRC
    assert chip.read(chips.COM_IRQ) & chips.IRQ_ERR
    chip.manners.outbound = lambda f: Frame(f.data, 0, parity_ok=False)
    send(chip, b"\x02\x00\xa4", crc=True)
    chip.advance(5000)
    assert chip.read(chips.ERROR) == chips.ERR_PARITY
    chip.manners.outbound = lambda f: Frame(f.data, 4)
    send(chip, b"\xb3", crc=True)
    chip.advance(5000)
    assert chip.read(chips.CONTROL) & 7 == 4


def test_an_answer_longer_than_the_fifo_overflows_it(chip, field):
    field.place(Plain())
    activate(chip, Plain.uid)
    chip.manners.outbound = lambda f: Frame(bytes(80))
    send(chip, b"\xe0\x50" + crc_a(b"\xe0\x50"))
    chip.advance(10000)
    assert chip.read(chips.ERROR) == chips.ERR_OVERFLOW
    assert chip.read(chips.FIFO_LEVEL) == 64


@pytest.mark.parametrize(
    ("other", "position"),
    [("09A1B2C3", 1), ("0AA1B2C3", 2), ("08A1B2C2", 25), ("08A1B243", 0)],
)
def test_two_cards_collide_at_the_first_bit_that_differs(chip, field, other, position):
    second = Plain()
    second.uid = bytes.fromhex(other)
    field.place(Plain())
    field.place(second)
    send(chip, b"\x52", bits=7)
    chip.advance(5000)
    assert chip.read(chips.ERROR) == 0
    assert fifo(chip) == b"\x04\x00"
    chip.write(chips.COLL, 0)
    send(chip, b"\x93\x20")
    chip.advance(5000)
    assert chip.read(chips.ERROR) == chips.ERR_COLLISION
    assert chip.read(chips.COLL) & 0x3F == position
    known = (position or 32) - 1
    mine, got = int.from_bytes(Plain.uid, "little"), int.from_bytes(fifo(chip)[:4], "little")
    assert got == mine & ((1 << known) - 1)


def test_a_collision_is_resolved_bit_by_bit(chip, field):
    second = Plain()
    second.uid = bytes.fromhex("0CA1B2C3")  # 08 against 0C: bit 3
    field.place(Plain())
    field.place(second)
    send(chip, b"\x52", bits=7)
    chip.advance(5000)
    for bit, uid in ((0x04, second.uid), (0x00, Plain.uid)):
        send(chip, b"\x93\x23" + bytes((bit,)), bits=3)
        chip.advance(5000)
        assert chip.read(chips.ERROR) == 0
        answer = fifo(chip)
        assert bytes((answer[0] | bit,)) + answer[1:4] == uid


def test_a_card_that_is_put_down_again_has_forgotten(chip, field):
    card = Plain()
    field.place(card)
    activate(chip, card.uid)
    field.remove()
    field.place(card)
    send(chip, b"\xe0\x50", crc=True)
    chip.advance(30_000)
    assert fifo(chip) == b""


def test_spi_bursts(chip, field):
    spi = FakeSPI(chip)
    spi.cs(0)
    spi.write(bytes((chips.FIFO_DATA << 1, 1, 2, 3)))
    spi.cs(1)
    spi.cs(0)
    into = bytearray(4)
    read = 0x80 | chips.FIFO_DATA << 1
    spi.write_readinto(bytes((read, read, read, 0)), into)
    spi.cs(1)
    assert into[1:] == b"\x01\x02\x03"
    spi.cs(0)
    spi.write(bytes((0x80 | chips.VERSION << 1,)))
    one = bytearray(1)
    spi.readinto(one)
    spi.cs(1)
    assert one == b"\x92"
    with pytest.raises(RuntimeError):
        spi.write(b"\x00")


@given(st.lists(st.tuples(st.integers(0, 0x3F), st.integers(0, 255)), max_size=200))
def test_any_writes_are_survived(writes):
    field = Field()
    field.place(Plain())
    chip = MFRC522Chip(field)
    for register, value in writes:
        chip.write(register, value)
        chip.advance(300)
        assert 0 <= chip.read(register) <= 255
