"""The PN532 driver against the simulated chip, in one process and with a clock that jumps."""

import asyncio
import os
import random

import pytest
from drivers.pn532 import PN532
from drivers.pn532_hsu import HSU
from drivers.reader import (
    CardLost,
    CardProtocolError,
    ReaderError,
    ReaderProtocolError,
    ReaderTimeout,
    SeveralCards,
)
from flagfall.pn532_frame import ACK
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.faults import Faults
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.bench.reader.wire import Wire
from hypothesis import given, settings
from hypothesis import strategies as st

SOAK = 50 if os.environ.get("FLAGFALL_SOAK") else 1


class Echo(Card):
    name = "echo"

    def __init__(self, answer=None):
        self.executed = []
        self.answer = answer

    def apdu(self, command):
        self.executed.append(command)
        return self.answer or command + b"\x90\x00"


class Bench:
    """A chip, a field and the driver, all set up unless `start` is False."""

    def __init__(self, card=None, start=True, **options):
        self.field = Field()
        self.chip = PN532Chip(self.field)
        self.wire = Wire(self.chip)
        self.reader = PN532(HSU(self.wire), ticks_ms=self.wire.ticks_ms, **options)
        self.card = card or Echo()
        if start:
            self.run(self.reader.open())
            self.field.place(self.card)
            self.run(self.reader.activate(100))
            self.wire.now_ms = 0

    def faults(self, **knobs):
        self.chip.faults = Faults(**knobs)

    def run(self, coroutine):
        return asyncio.run(coroutine)

    def transceive(self, apdu):
        return self.run(self.reader.transceive(apdu))


def apdu(length):
    return random.Random(length).randbytes(length)


def test_open_leaves_the_chip_awake_and_the_field_off():
    b = Bench(start=False)
    b.run(b.reader.open())
    assert b.reader.firmware == (1, 6)
    assert b.chip.mode == "normal"
    assert not b.field.on
    b.field.place(b.card)
    target = b.run(b.reader.activate(0))
    assert (target.uid, target.atqa, target.sak) == (b.card.uid, b"\x04\x00", 0x20)
    assert target.ats == b.card.ats
    assert target.takes_apdus
    assert b.field.on


def test_no_card_is_none_after_the_time_given():
    b = Bench(start=False)
    b.run(b.reader.open())
    start = b.wire.now_ms
    assert b.run(b.reader.activate(300)) is None
    assert 300 <= b.wire.now_ms - start < 400


def test_a_chip_that_is_not_there_is_a_time_out():
    b = Bench(start=False)
    b.faults(deaf=10_000)
    with pytest.raises(ReaderTimeout, match="check its cable"):
        b.run(b.reader.open())
    assert b.wire.now_ms < 5_000


def test_another_chip_is_told_apart():
    b = Bench(start=False)
    b.chip._handlers[0x02] = lambda data: bytes.fromhex("33010607")
    with pytest.raises(ReaderProtocolError, match="not a PN532"):
        b.run(b.reader.open())


def test_a_chip_that_lost_its_supply_is_opened_again():
    b = Bench()
    b.chip.power_cycle()
    with pytest.raises(ReaderTimeout):
        b.transceive(apdu(5))
    b.run(b.reader.open())
    assert b.run(b.reader.activate(100)).uid == b.card.uid
    assert b.transceive(apdu(5)) == apdu(5) + b"\x90\x00"


@pytest.mark.parametrize("length", [5, 6, 54, 55, 59, 60, 64, 252, 253, 254, 255, 256, 260, 261])
def test_a_short_apdu_crosses_intact(length):
    b = Bench()
    assert b.transceive(apdu(length)) == apdu(length) + b"\x90\x00"
    assert b.card.executed == [apdu(length)]


@pytest.mark.parametrize("length", [262, 263, 522, 523, 1000, 5000, 65_000])
def test_longer_apdus_are_chained_both_ways(length):
    b = Bench()
    assert b.transceive(apdu(length)) == apdu(length) + b"\x90\x00"
    assert b.card.executed == [apdu(length)]


def test_presence_and_release():
    b = Bench()
    assert b.run(b.reader.present())
    b.field.remove()
    assert not b.run(b.reader.present())
    b.field.place(b.card)
    b.run(b.reader.release())
    assert not b.run(b.reader.present())
    with pytest.raises(CardLost):
        b.transceive(apdu(5))
    assert b.run(b.reader.activate(0)).uid == b.card.uid


def test_two_cards_are_a_typed_error():
    b = Bench()
    b.field.place(Echo())
    with pytest.raises(SeveralCards):
        b.run(b.reader.activate(100))
    with pytest.raises(CardLost):
        b.transceive(apdu(5))


def test_a_card_beside_one_that_takes_no_apdus_is_found():
    b = Bench(start=False)
    b.run(b.reader.open())
    plain = Echo()
    plain.sel_res = 0x08
    b.field.place(plain)
    assert not b.run(b.reader.activate(0)).takes_apdus
    b.field.place(b.card)
    assert b.run(b.reader.activate(0)).takes_apdus
    assert b.transceive(apdu(7)) == apdu(7) + b"\x90\x00"
    assert plain.executed == []


@pytest.mark.parametrize(("moment", "executed"), [("request", 1), ("answer", 2)])
def test_a_card_that_leaves_is_lost(moment, executed):
    b = Bench()
    b.field.tear(lambda command, index: index == 1, moment)
    b.transceive(apdu(5))
    with pytest.raises(CardLost, match="left the field"):
        b.transceive(apdu(6))
    assert len(b.card.executed) == executed
    assert not b.run(b.reader.present())
    assert [e.response is None for e in b.field.log] == [False, True]


@pytest.mark.parametrize("status", [0x02, 0x0B, 0x13])
def test_damage_on_the_air_is_a_card_error(status):
    b = Bench()
    b.chip._handlers[0x40] = lambda data: bytes((status,))
    with pytest.raises(CardProtocolError, match="%02X" % status):
        b.transceive(apdu(5))


def test_an_endless_chain_ends():
    b = Bench()
    b.chip._handlers[0x40] = lambda data: b"\x40" + bytes(262)
    with pytest.raises(ReaderProtocolError, match="without end"):
        b.transceive(apdu(5))
    b = Bench()
    b.chip._handlers[0x40] = lambda data: b"\x40"
    with pytest.raises(ReaderProtocolError, match="without end"):
        b.transceive(apdu(5))


def test_lists_of_cards_that_end_too_early_are_refused():
    good = bytes.fromhex("0101000420 04 08A1B2C3 0578807002")
    for end in range(len(good)):
        b = Bench(start=False)
        b.run(b.reader.open())
        b.chip._handlers[0x4A] = lambda data, end=end: good[:end]
        with pytest.raises(ReaderProtocolError, match="too early"):
            b.run(b.reader.activate(0))


def test_an_answer_without_a_status_is_refused():
    b = Bench()
    b.chip._handlers[0x40] = lambda data: b""
    with pytest.raises(ReaderProtocolError, match="no status"):
        b.transceive(apdu(5))


def test_a_type_b_card_is_found_when_asked_for():
    b = Bench(start=False, type_b=True)
    b.run(b.reader.open())
    real = b.chip._handlers[0x4A]
    atqb = bytes.fromhex("50 11223344 00000000 008171")
    b.chip._handlers[0x4A] = lambda data: (
        b"\x01\x01" + atqb + b"\x01\x00" if data[1] == 3 else real(data)
    )
    target = b.run(b.reader.activate(0))
    assert (target.kind, target.uid, target.takes_apdus) == ("B", bytes.fromhex("11223344"), True)


# Faults on the wire: the right answer or a typed error, the card never asked twice.

RECOVERED = [
    {"drop_acks": 1},
    {"garbage_before_ack": 1},
    {"garbage_before_ack": 1, "garbage": bytes.fromhex("00FF02FE")},
    {"garbage_before_ack": 1, "drop_acks": 1},
    {"bad_checksums": 1},
    {"bad_checksums": 3},
    {"truncations": 1, "truncate_to": 5},
    {"truncations": 3, "truncate_to": 12},
    {"deaf": 1},
    {"deaf": 2},
    {"drop_acks": 1, "silences": 1},
]
# What looks like a slow card for as long as a card may be slow.
RECOVERED_LATE = [
    {"bad_checksums": 1, "drop_acks": 1},
    {"silences": 1},
    {"truncations": 1, "truncate_to": 1},
]


@pytest.mark.parametrize(
    ("knobs", "limit_ms"),
    [(k, 1_000) for k in RECOVERED] + [(k, 6_000) for k in RECOVERED_LATE],
    ids=str,
)
def test_faults_that_are_recovered(knobs, limit_ms):
    b = Bench()
    b.transceive(apdu(9))
    b.faults(**knobs)
    assert b.transceive(apdu(20)) == apdu(20) + b"\x90\x00"
    assert b.card.executed == [apdu(9), apdu(20)]
    assert b.wire.now_ms < limit_ms
    assert b.transceive(apdu(30)) == apdu(30) + b"\x90\x00"


LOST = [
    ({"deaf": 99}, ReaderTimeout, 1_000),
    ({"silences": 99}, ReaderTimeout, 6_000),
    ({"silences": 2}, ReaderTimeout, 6_000),
    ({"zombies": 99}, ReaderTimeout, 6_000),
    ({"zombies": 1}, ReaderTimeout, 6_000),
    ({"bad_checksums": 99}, ReaderProtocolError, 2_000),
    ({"truncations": 99, "truncate_to": 7}, ReaderProtocolError, 2_000),
    ({"drop_acks": 99, "silences": 99}, ReaderTimeout, 6_000),
]


@pytest.mark.parametrize(("knobs", "error", "limit_ms"), LOST, ids=str)
def test_faults_that_end_in_a_typed_error(knobs, error, limit_ms):
    b = Bench()
    b.faults(**knobs)
    with pytest.raises(error):
        b.transceive(apdu(20))
    assert b.wire.now_ms < limit_ms
    b.faults()
    assert b.run(b.reader.activate(0)).uid == b.card.uid
    assert b.transceive(apdu(30)) == apdu(30) + b"\x90\x00"


class SlowChip:
    """The ACK comes at once, the answer only when the host has looked `looks` times in vain."""

    def __init__(self, chip, looks):
        self.chip, self.looks = chip, looks
        self.held, self.left, self.heard = b"", 0, []

    def feed(self, data):
        self.heard.append(data)
        out = self.chip.feed(data)
        if not out.startswith(ACK):
            return out
        self.held, self.left = out[len(ACK) :], self.looks
        return ACK

    def idle(self):
        self.left -= 1
        if self.left >= 0:
            return b""
        out, self.held = self.held, b""
        return out


@pytest.mark.parametrize("at_once", [1, 3, 277])
def test_a_slow_card_is_waited_for(at_once):
    b = Bench()
    b.wire.chip = slow = SlowChip(b.chip, 1)
    # One look waits as long as the longest frame waiting time.
    b.reader._bus.read = short_reads(b.reader._bus.read, at_once, 400)
    assert b.transceive(apdu(20)) == apdu(20) + b"\x90\x00"
    assert b.card.executed == [apdu(20)]
    assert len(slow.heard) == 1


def short_reads(read, at_once, ms):
    """A port that gives few bytes at once, and looks for them every `ms`."""

    async def capped(n, timeout_ms):
        waited = 0
        while True:
            data = await read(min(n, at_once), min(ms, timeout_ms - waited))
            waited += ms
            if data or waited >= timeout_ms:
                return data

    return capped


def test_parts_of_a_chain_are_never_sent_twice():
    # The ACK and the answer to the first part vanish, and again after NACK. The answer to the
    # part before it would be the very same bytes.
    for vanishing in (2, 3):
        b = Bench()
        left = [vanishing]

        def vanish(frame, left=left):
            left[0] -= 1
            return b"" if left[0] >= 0 else frame

        b.faults(line=vanish)
        try:
            assert b.transceive(apdu(900)) == apdu(900) + b"\x90\x00"
        except ReaderTimeout:
            assert b.card.executed == []
        else:
            assert b.card.executed == [apdu(900)]


def test_a_late_answer_is_not_taken_for_the_next_one():
    b = Bench()
    b.faults(zombies=1)
    with pytest.raises(ReaderTimeout):
        b.transceive(apdu(20))
    b.run(b.reader.activate(0))
    late = bytes.fromhex("0000FF05FBD54100900059")  # D5 41 00 90 00
    late = late[:-1] + bytes((-sum(late[5:-1]) & 0xFF, 0))
    real = b.chip.feed
    b.chip.feed = lambda data: late + real(data)
    assert b.transceive(apdu(5)) == apdu(5) + b"\x90\x00"


@pytest.mark.parametrize("looks", range(5))
def test_late_answers_are_waited_for_or_never_taken_for_others(looks):
    b = Bench()
    done = 0
    for n in range(6, 16):
        b.faults(late=n % 2, late_looks=looks)
        before = len(b.card.executed)
        try:
            assert b.transceive(apdu(n)) == apdu(n) + b"\x90\x00"
            done += 1
        except ReaderError:
            assert b.card.executed[before:] in ([], [apdu(n)])
            b.run(b.reader.activate(100))
    assert done == 10 if not looks else done >= 5


@pytest.mark.parametrize("knobs", RECOVERED + RECOVERED_LATE, ids=str)
def test_opening_survives_the_same_faults(knobs):
    b = Bench(start=False)
    b.faults(**knobs)
    b.run(b.reader.open())
    b.field.place(b.card)
    assert b.run(b.reader.activate(0)).uid == b.card.uid


@settings(max_examples=60 * SOAK, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    one_in=st.integers(2, 12),
    lengths=st.lists(st.integers(5, 600), min_size=1, max_size=6),
)
def test_damage_anywhere_ends_in_the_answer_or_a_typed_error(seed, one_in, lengths):
    dice = random.Random(seed)

    def damage(frame):
        if dice.randrange(one_in):
            return frame
        at = dice.randrange(len(frame))
        kind = dice.randrange(3)
        if kind == 0:
            return frame[:at]
        if kind == 1:
            return frame[:at] + frame[at + 1 :]
        return frame[:at] + bytes((frame[at] ^ dice.randrange(1, 256),)) + frame[at + 1 :]

    b = Bench()
    b.faults(line=damage)
    for number, length in enumerate(lengths):
        command = number.to_bytes(2, "big") + apdu(length)
        try:
            assert b.transceive(command) == command + b"\x90\x00"
        except ReaderError:
            b.faults()
            b.run(b.reader.activate(0))
            b.faults(line=damage)
    assert len(b.card.executed) == len(set(b.card.executed)), "a command was executed twice"


@settings(max_examples=100 * SOAK, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=12))
def test_a_chip_that_sends_anything_never_hangs_the_driver(stream):
    class Babbler:
        def __init__(self):
            self.stream = list(stream)

        def feed(self, data):
            return self.stream.pop() if self.stream else b""

        def idle(self):
            return b""

    wire = Wire(Babbler())
    reader = PN532(HSU(wire), ticks_ms=wire.ticks_ms)
    with pytest.raises(ReaderError):
        asyncio.run(reader.open())
    assert wire.now_ms < 60_000
