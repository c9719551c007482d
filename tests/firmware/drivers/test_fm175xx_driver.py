"""The FM175xx driver: both types in turn on one antenna, and type B's own ways to go wrong."""

import asyncio
import contextlib
import os
import random
from dataclasses import replace

import pytest
from drivers.fm175xx import FM175xx
from drivers.mfrc522_spi import RegisterBus
from drivers.reader import CardLost, ReaderError, SeveralCards
from flagfall.iso14443b import crc_b
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.fm175xx import FM175xxChip
from flagfall_host.bench.reader.picc import Frame
from flagfall_host.bench.reader.spi_bus import FakeSPI
from hypothesis import given, settings
from hypothesis import strategies as st

SOAK = 50 if os.environ.get("FLAGFALL_SOAK") else 1
OK = b"\x90\x00"


class Echo(Card):
    name = "echo"

    def __init__(self, kind, uid="B1A2C3D4"):
        self.kind = kind
        self.uid = bytes.fromhex(uid)
        self.executed = []

    def apdu(self, command):
        self.executed.append(command)
        return command + OK


class Bench:
    """A reader that is open; `heard` are the frames to the cards: (milliseconds, kind, hex)."""

    def __init__(self, *cards, **settings):
        self.field = Field()
        self.chip = FM175xxChip(self.field)
        self.heard = []
        spi = FakeSPI(self.chip)
        self.reader = FM175xx(
            RegisterBus(spi, spi.cs), ticks_ms=self.ticks_ms, sleep_ms=self.sleep_ms, **settings
        )
        self.run(self.reader.open())
        for card in cards:
            self.field.place(card)
        real = self.chip._crc

        def listen(data, kind):
            self.heard.append((self.chip.now_us / 1000, kind, data.hex()))
            return real(data, kind)

        self.chip._crc = listen

    def ticks_ms(self):
        return int(self.chip.now_us / 1000)

    async def sleep_ms(self, ms):
        self.chip.advance(ms * 1000 + 10)

    def run(self, coroutine):
        return asyncio.run(coroutine)

    def activate(self, timeout_ms=0):
        return self.run(self.reader.activate(timeout_ms))

    def transceive(self, apdu):
        return self.run(self.reader.transceive(apdu))


def spoil(frame):
    data = bytearray(frame.data)
    data[len(data) // 2] ^= 0x10
    return replace(frame, data=bytes(data))


def lose(frame):
    return None


def cut(frame):
    return replace(frame, data=frame.data[: len(frame.data) // 2 + 1], bits=5)


def after(n, change):
    """Change the next `n` frames, then none."""
    left = n

    def pass_on(frame):
        nonlocal left
        left -= 1
        return change(frame) if left >= 0 else frame

    return pass_on


def test_each_poll_asks_both_types_and_keeps_the_time_given():
    b = Bench()
    start = b.ticks_ms()
    assert b.activate(300) is None
    assert 300 <= b.ticks_ms() - start < 350
    polls = [frame for _, kind, frame in b.heard if kind == "B"]
    assert len(polls) == b.chip.frames / 2 > 10, "WUPA, which has no CRC, once for each WUPB"
    assert set(polls) == {"050008"}


def test_the_other_types_modulation_waits_its_time():
    """EMV Contactless Book D, 9.2: at least 5.1 ms of carrier before each."""
    b = Bench()
    times = []
    transmit = b.chip._transmit

    def noted():
        times.append((b.chip.now_us, b.chip._modulation()))
        transmit()

    b.chip._transmit = noted
    b.activate(100)
    for (before, kind), (at, other) in zip(times, times[1:], strict=False):
        assert kind != other
        assert at - before > 5100


def test_the_registers_of_each_type():
    b = Bench(gain=3, gain_b=7, depth_b=0x12)
    b.field.place(Echo("B"))
    b.activate()
    registers = b.chip._registers
    # TxASK, TxMode, RxMode, RFCfg, TypeB, ModGsP
    wanted = [0x15, 0x12, 0x13, 0x26, 0x1E, 0x29]
    assert [registers[r] for r in wanted] == [0x00, 0x83, 0x83, 0x78, 0x02, 0x12]
    b.field.remove()
    b.field.place(Echo("A"))
    b.activate()
    assert [registers[r] for r in wanted] == [0x40, 0x80, 0x80, 0x38, 0x00, 0x20]


@pytest.mark.parametrize(
    "cards", [("B1A2C3D4", "B2A2C3D4"), ("B1A2C3D4", "A8A2C3D4")], ids=["two B", "B and A"]
)
def test_two_cards_of_any_types(cards):
    b = Bench(Echo("B", cards[0]), Echo("A" if cards[1][0] == "A" else "B", cards[1]))
    with pytest.raises(SeveralCards, match="present one"):
        b.activate()
    b.field.remove()
    assert b.activate() is None
    card = Echo("B")
    b.field.place(card)
    assert b.activate().uid == card.uid


@pytest.mark.parametrize("change", [lose, spoil, cut], ids=["lost", "damaged", "cut"])
@pytest.mark.parametrize("way", ["inbound", "outbound"])
@pytest.mark.parametrize("n", [1, 2])
def test_an_activation_survives_a_little_damage(change, way, n):
    b = Bench(Echo("B"))
    setattr(b.chip.manners, way, after(n, change))
    assert b.activate(100).kind == "B"
    assert b.transceive(b"12345") == b"12345" + OK


@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("fsci", range(9))
@pytest.mark.parametrize("length", [5, 13, 62, 261])
def test_apdus_cross_in_blocks_of_any_size(kind, fsci, length):
    card = Echo(kind)
    card.ats = bytes((5, 0x70 | fsci, 0x80, 0x70, 0x02))
    card.protocol_info = bytes((0x00, fsci << 4 | 1, 0x71))
    b = Bench(card)
    b.activate()
    command = random.Random(length).randbytes(length)
    assert b.transceive(command) == command + OK


def test_a_type_b_card_asks_for_time():
    b = Bench(Echo("B"))
    b.activate()
    b.chip.manners.wtx = [1, 59, 10]
    assert b.transceive(b"12345") == b"12345" + OK


def test_a_card_of_another_protocol_gets_hltb_at_its_release():
    card = Echo("B")
    card.protocol_info = bytes.fromhex("008070")
    b = Bench(card)
    assert not b.activate().takes_apdus
    with pytest.raises(CardLost):
        b.transceive(b"12345")
    b.run(b.reader.release())
    assert b.heard[-2][1:] == ("B", "50b1a2c3d4"), "then the card's 00 was checked"
    assert b.heard[-1][1:] == ("B", "00")


def test_a_card_that_went_without_release_is_forgotten():
    card = Echo("B")
    card.protocol_info = bytes.fromhex("008070")
    b = Bench(card)
    b.activate()
    b.field.remove()
    b.field.place(Echo("A"))
    b.activate()
    b.heard.clear()
    b.run(b.reader.release())
    assert [frame for _, _, frame in b.heard] == ["c2", "c2"], "S(DESELECT) and its answer only"


def test_an_atqb_without_sense_is_no_card_and_the_poll_goes_on():
    b = Bench(Echo("B"))

    def senseless(frame):
        data = b"\x51" + frame.data[1:-2]
        return replace(frame, data=data + crc_b(data))

    b.chip.manners.outbound = senseless
    assert b.activate(50) is None
    b.chip.manners.outbound = lambda frame: frame
    assert b.activate().kind == "B"


@settings(max_examples=60 * SOAK, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    one_in=st.integers(2, 12),
    fsci=st.integers(0, 8),
    chunk=st.integers(16, 64),
    lengths=st.lists(st.integers(1, 600), min_size=1, max_size=5),
)
def test_any_damage_ends_in_the_answer_or_a_typed_error(seed, one_in, fsci, chunk, lengths):
    dice = random.Random(seed)

    def hurt(frame):
        if dice.randrange(one_in):
            return frame
        return dice.choice((lose, spoil, cut))(frame)

    card = Echo("B")
    card.protocol_info = bytes((0x00, fsci << 4 | 1, 0x71))
    b = Bench(card)
    b.chip.manners.chunk = chunk
    b.activate()
    for number, length in enumerate(lengths):
        b.chip.manners.inbound = b.chip.manners.outbound = hurt
        command = number.to_bytes(2, "big") + random.Random(length).randbytes(length)
        try:
            assert b.transceive(command) == command + OK
        except ReaderError:
            b.chip.manners.inbound = b.chip.manners.outbound = lambda f: f
            assert b.activate().uid == card.uid
    assert len(card.executed) == len(set(card.executed)), "a command was executed twice"


@settings(max_examples=100 * SOAK, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=70), max_size=40), st.booleans())
def test_a_card_that_sends_anything_never_hangs_the_driver(blocks, with_crc):
    b = Bench(Echo("B"))
    left = list(blocks)

    def babble(frame):
        if not left:
            return None
        data = left.pop()
        return Frame(data + crc_b(data) if with_crc else data, kind="B")

    b.chip.manners.outbound = babble
    for _ in range(3):
        with contextlib.suppress(ReaderError):
            if b.activate() is not None:
                b.transceive(b"12345")
    assert b.chip.now_us < 60e6 + 2e6 * len(blocks)
