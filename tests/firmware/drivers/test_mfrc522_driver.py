"""The MFRC522 driver and our ISO-DEP against the simulated chip, with a clock that jumps."""

import asyncio
import contextlib
import os
import random

import pytest
from drivers.mfrc522 import MFRC522
from drivers.mfrc522_spi import RegisterBus
from drivers.reader import (
    CardLost,
    CardProtocolError,
    ReaderError,
    ReaderProtocolError,
    ReaderTimeout,
    SeveralCards,
)
from flagfall.iso14443a import crc_a
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.picc import Frame, Manners
from flagfall_host.bench.reader.spi_bus import FakeSPI
from hypothesis import given, settings
from hypothesis import strategies as st

SOAK = 50 if os.environ.get("FLAGFALL_SOAK") else 1


class Echo(Card):
    name = "echo"

    def __init__(self):
        self.executed = []

    def apdu(self, command):
        self.executed.append(command)
        return command + b"\x90\x00"


class Bench:
    def __init__(self, start=True, version=0x92, **manners):
        self.field = Field()
        self.manners = Manners(**manners)
        self.chip = MFRC522Chip(self.field, self.manners, version)
        self.spi = FakeSPI(self.chip)
        self.card = Echo()
        self.reader = MFRC522(
            RegisterBus(self.spi, self.spi.cs), ticks_ms=self.ticks_ms, sleep_ms=self.sleep_ms
        )
        if start:
            self.run(self.reader.open())
            self.field.place(self.card)
            self.run(self.reader.activate(100))

    def ticks_ms(self):
        return int(self.chip.now_us / 1000)

    async def sleep_ms(self, ms):
        self.chip.advance(ms * 1000 + 10)

    def run(self, coroutine):
        return asyncio.run(coroutine)

    def transceive(self, apdu):
        return self.run(self.reader.transceive(apdu))


def apdu(length):
    return random.Random(length).randbytes(length)


def spoil(frame):
    data = bytearray(frame.data)
    data[len(data) // 2] ^= 0x10
    return Frame(bytes(data), frame.bits)


def every(n, change, start=0):
    """Change each `n`-th frame."""
    count = start

    def pass_on(frame):
        nonlocal count
        count += 1
        return frame if count % n else change(frame)

    return pass_on


def lose(frame):
    return None


def cut(frame):
    """The frame breaks off within a byte. (CRC_A passes one frame in 256 that lacks a byte.)"""
    return Frame(frame.data[: len(frame.data) // 2 + 1], 5)


@pytest.mark.parametrize("version", [0x91, 0x92, 0x88])
def test_open_activate_and_the_field(version):
    b = Bench(start=False, version=version)
    b.run(b.reader.open())
    assert b.reader.version == version
    assert not b.field.on
    b.field.place(b.card)
    target = b.run(b.reader.activate(0))
    assert (target.uid, target.atqa, target.sak) == (b.card.uid, b"\x04\x00", 0x20)
    assert target.ats == b.card.ats
    assert b.field.on
    b.run(b.reader.field(False))
    assert not b.field.on
    with pytest.raises(CardLost):
        b.transceive(apdu(5))


@pytest.mark.parametrize("uid", ["04112233445566", "04112233445566778899"])
def test_longer_uids(uid):
    b = Bench(start=False)
    b.card.uid = bytes.fromhex(uid)
    b.run(b.reader.open())
    b.field.place(b.card)
    assert b.run(b.reader.activate(0)).uid == b.card.uid
    assert b.transceive(apdu(9)) == apdu(9) + b"\x90\x00"


def test_no_card_is_none_after_the_time_given():
    b = Bench(start=False)
    b.run(b.reader.open())
    start = b.ticks_ms()
    assert b.run(b.reader.activate(300)) is None
    assert 300 <= b.ticks_ms() - start < 350


def test_a_chip_that_is_not_there_is_a_time_out():
    b = Bench(start=False)
    b.chip.read = lambda register: 0x00
    with pytest.raises(ReaderTimeout, match="check its cable"):
        b.run(b.reader.open())
    b.chip.read = lambda register: 0xFF
    with pytest.raises(ReaderTimeout, match="reset"):
        b.run(b.reader.open())


def test_a_chip_that_forgets_is_refused():
    b = Bench(start=False)
    real = b.chip.read
    b.chip.read = lambda register: 0x3F if register == 0x11 else real(register)
    with pytest.raises(ReaderProtocolError, match="does not keep"):
        b.run(b.reader.open())


def test_a_chip_that_stops_is_a_time_out():
    b = Bench()
    real = b.chip.read
    b.chip.read = lambda register: 0x00 if register == 0x04 else real(register)
    with pytest.raises(ReaderTimeout, match="timer"):
        b.transceive(apdu(5))


def test_two_cards_are_a_typed_error():
    b = Bench(start=False)
    b.run(b.reader.open())
    other = Echo()
    other.uid = bytes.fromhex("08A1B2C4")
    b.field.place(b.card)
    b.field.place(other)
    with pytest.raises(SeveralCards):
        b.run(b.reader.activate(100))
    b.field.remove()
    b.field.place(other)
    assert b.run(b.reader.activate(0)).uid == other.uid


def test_a_card_that_takes_no_apdus_is_told_apart():
    b = Bench(start=False)
    b.card.sel_res = 0x08
    b.run(b.reader.open())
    b.field.place(b.card)
    target = b.run(b.reader.activate(0))
    assert (target.takes_apdus, target.ats) == (False, b"")
    with pytest.raises(CardLost):
        b.transceive(apdu(5))


@pytest.mark.parametrize("fsci", range(9))
@pytest.mark.parametrize("length", [5, 13, 14, 61, 62, 255, 261, 1000])
def test_apdus_cross_intact_in_blocks_of_any_size(fsci, length):
    b = Bench(start=False)
    b.card.ats = bytes((5, 0x70 | fsci, 0x80, 0x70, 0x02))
    b.run(b.reader.open())
    b.field.place(b.card)
    b.run(b.reader.activate(0))
    assert b.transceive(apdu(length)) == apdu(length) + b"\x90\x00"
    assert b.card.executed == [apdu(length)]


def test_a_card_that_answers_in_small_blocks():
    b = Bench(chunk=16)
    assert b.transceive(apdu(261)) == apdu(261) + b"\x90\x00"


def test_a_slow_card_asks_for_time():
    b = Bench(wtx=[1, 59, 10])
    assert b.transceive(apdu(5)) == apdu(5) + b"\x90\x00"
    b.manners.wtx = [10] * 20
    assert b.transceive(apdu(6)) == apdu(6) + b"\x90\x00"
    b.manners.wtx = [1] * 21
    with pytest.raises(CardProtocolError, match="waiting time"):
        b.transceive(apdu(7))
    assert b.run(b.reader.activate(0)).uid == b.card.uid


def test_a_card_slower_than_it_says_is_asked_again_and_then_lost():
    b = Bench()
    b.manners.delay_us = lambda command: 60_000.0  # its FWI 7 promises 38.7 ms
    assert b.transceive(apdu(5)) == apdu(5) + b"\x90\x00"
    b.manners.delay_us = lambda command: 200_000.0
    with pytest.raises(CardLost):
        b.transceive(apdu(6))
    assert b.card.executed == [apdu(5), apdu(6)]


def test_the_longest_waiting_time_fits_the_chips_timer():
    b = Bench(start=False)
    b.card.ats = bytes.fromhex("0578 80 E0 02".replace(" ", ""))  # FWI 14
    b.manners.delay_us = lambda command: 4_900_000.0
    b.run(b.reader.open())
    b.field.place(b.card)
    b.run(b.reader.activate(0))
    assert b.transceive(apdu(5)) == apdu(5) + b"\x90\x00"


def test_presence_and_release():
    b = Bench()
    assert b.run(b.reader.present())
    b.transceive(apdu(5))
    assert b.run(b.reader.present())
    assert b.transceive(apdu(6)) == apdu(6) + b"\x90\x00"
    b.run(b.reader.release())
    assert not b.run(b.reader.present())
    assert b.run(b.reader.activate(0)).uid == b.card.uid
    b.field.remove()
    assert not b.run(b.reader.present())
    b.run(b.reader.release())
    b.field.place(b.card)
    assert b.run(b.reader.activate(0)).uid == b.card.uid
    b.field.remove()
    b.run(b.reader.release())


def test_a_card_is_activated_again_without_release():
    b = Bench()
    b.transceive(apdu(5))
    assert b.run(b.reader.activate(0)).uid == b.card.uid
    assert b.transceive(apdu(6)) == apdu(6) + b"\x90\x00"


@pytest.mark.parametrize(("moment", "executed"), [("request", 1), ("answer", 2)])
def test_a_card_that_leaves_is_lost(moment, executed):
    b = Bench()
    b.field.tear(lambda command, index: index == 1, moment)
    b.transceive(apdu(5))
    with pytest.raises(CardLost):
        b.transceive(apdu(100))
    assert len(b.card.executed) == executed
    assert not b.run(b.reader.present())
    b.field.place(b.card)
    assert b.run(b.reader.activate(0)).uid == b.card.uid


@pytest.mark.parametrize("change", [lose, spoil], ids=["lost", "damaged"])
@pytest.mark.parametrize("way", ["inbound", "outbound"])
@pytest.mark.parametrize("length", [5, 61, 130, 261])
def test_one_frame_in_ten_is_recovered(change, way, length):
    b = Bench()
    for start in range(10):
        setattr(b.manners, way, every(10, change, start))
        assert b.transceive(apdu(length)) == apdu(length) + b"\x90\x00"
        assert b.card.executed.pop() == apdu(length)
        assert b.card.executed == []
    assert b.reader.retries >= 1


def test_every_length_crosses_with_one_frame_in_ten_damaged():
    dice = random.Random(1)
    b = Bench()
    b.manners.outbound = lambda f: spoil(f) if dice.randrange(10) == 0 else f
    lost = 0
    for length in range(5, 262, 1 if SOAK > 1 else 4):
        while True:
            try:
                assert b.transceive(apdu(length)) == apdu(length) + b"\x90\x00"
                break
            except CardLost:
                lost += 1  # three damaged in a row
                b.manners.outbound, held = (lambda f: f), b.manners.outbound
                b.run(b.reader.activate(0))
                b.manners.outbound = held
    assert lost < 5


def test_a_card_that_is_only_damage_is_lost_and_a_poll_goes_on():
    b = Bench()
    b.manners.outbound = spoil
    with pytest.raises(CardLost):
        b.transceive(apdu(5))
    assert b.run(b.reader.activate(50)) is None
    b.manners.outbound = lambda f: f
    assert b.run(b.reader.activate(0)).uid == b.card.uid


def test_a_senseless_ats_is_a_card_error():
    b = Bench(start=False)
    b.card.ats = b"\x02\x70"
    b.run(b.reader.open())
    b.field.place(b.card)
    with pytest.raises(CardProtocolError, match="ATS"):
        b.run(b.reader.activate(0))


@settings(max_examples=60 * SOAK, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    one_in=st.integers(2, 12),
    fsci=st.integers(0, 8),
    chunk=st.integers(16, 64),
    lengths=st.lists(st.integers(1, 600), min_size=1, max_size=5),
)
def test_any_damage_on_the_air_ends_in_the_answer_or_a_typed_error(
    seed, one_in, fsci, chunk, lengths
):
    dice = random.Random(seed)

    def hurt(frame):
        if dice.randrange(one_in):
            return frame
        return dice.choice((lose, spoil, cut))(frame)

    b = Bench(start=False)
    b.card.ats = bytes((5, 0x70 | fsci, 0x80, 0x70, 0x02))
    b.manners.chunk = chunk
    b.run(b.reader.open())
    b.field.place(b.card)
    b.run(b.reader.activate(0))
    for number, length in enumerate(lengths):
        b.manners.inbound = b.manners.outbound = hurt
        b.manners.wtx = [dice.randrange(1, 60) for _ in range(dice.randrange(3))]
        command = number.to_bytes(2, "big") + apdu(length)
        try:
            assert b.transceive(command) == command + b"\x90\x00"
        except ReaderError:
            b.manners.inbound = b.manners.outbound = lambda f: f
            b.manners.wtx = []
            assert b.run(b.reader.activate(0)).uid == b.card.uid
    assert len(b.card.executed) == len(set(b.card.executed)), "a command was executed twice"


@settings(max_examples=100 * SOAK, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=70), max_size=40), st.booleans())
def test_a_card_that_sends_anything_never_hangs_the_driver(blocks, with_crc):
    b = Bench()
    left = list(blocks)

    def babble(frame):
        if not left:
            return None
        data = left.pop()
        return Frame(data + crc_a(data) if with_crc else data)

    b.manners.outbound = babble
    for _ in range(3):
        try:
            b.transceive(apdu(100))
        except ReaderError:
            with contextlib.suppress(ReaderError):
                b.run(b.reader.activate(0))
    assert b.chip.now_us < 60e6 + 2e6 * len(blocks)
