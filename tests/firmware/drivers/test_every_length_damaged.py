"""An APDU of every length from 5 to 261 bytes, one frame in ten damaged in both directions.

On the MFRC522 and the FM175xx (with a card of each type) the frames are those on the air; on the
PN532 those on the wire to the chip, whose air is the chip's own affair. Every answer is the right
one, or a typed error after which the card is activated again; a command that was sent is executed
at most once.
"""

import asyncio
import os
import random
from dataclasses import replace

import pytest
from drivers.fm175xx import FM175xx
from drivers.mfrc522 import MFRC522
from drivers.mfrc522_spi import RegisterBus
from drivers.pn532 import PN532
from drivers.pn532_hsu import HSU
from drivers.reader import CardLost, ReaderError
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.fm175xx import FM175xxChip
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.bench.reader.spi_bus import FakeSPI
from flagfall_host.bench.reader.wire import Wire

ROUNDS = 40 if os.environ.get("FLAGFALL_SOAK") else 1
LENGTHS = range(5, 262)
MOST_TRIES = 12  # of one APDU: each has to be lost for the next to be needed


class Answers(Card):
    """Answers with what the command asks for: its own number, and bytes made of it."""

    name = "answers"

    def __init__(self, length, kind):
        self.length = length  # of the answers
        self.kind = kind
        self.executed = []

    def apdu(self, command):
        self.executed.append(command)
        return answer_to(command, self.length)


def answer_to(command, length):
    return random.Random(command).randbytes(length - 2) + b"\x90\x00"


class Damage:
    """Spoils one in ten of all bytes objects that pass: bits of a byte, a short one, none at all.

    On a wire a byte may also be missing. Not a 00: the PN532's checksum is a sum, and a postamble
    of 00 takes the place of a lost 00, so that nobody can tell.
    """

    def __init__(self, seed, wire):
        self._dice = random.Random(seed)
        self._kinds = 4 if wire else 3
        self.on = False
        self.passed = self.spoilt = 0

    def __call__(self, data):
        if not self.on or not data:
            return data
        self.passed += 1
        if self._dice.randrange(10):
            return data
        self.spoilt += 1
        at = self._dice.randrange(len(data))
        kind = self._dice.randrange(self._kinds)
        if kind == 0:
            return data[:at]
        if kind == 1:
            return b""
        if kind == 2 or not data[at]:
            return data[:at] + bytes((data[at] ^ self._dice.randrange(1, 256),)) + data[at + 1 :]
        return data[:at] + data[at + 1 :]


class DamagedWire(Wire):
    """A serial wire that spoils what the host sends."""

    def __init__(self, chip, damage):
        super().__init__(chip)
        self._damage = damage

    async def write(self, data):
        await super().write(self._damage(bytes(data)))


def pn532(field, damage):
    chip = PN532Chip(field)
    chip.faults.line = damage
    wire = DamagedWire(chip, damage)
    return PN532(HSU(wire), ticks_ms=wire.ticks_ms)


def registers(chip, driver, damage):
    spi = FakeSPI(chip)

    def air(frame):
        data = damage(frame.data)
        if len(data) == len(frame.data):
            return replace(frame, data=data)
        # A frame ends within a byte when the signal goes: the CRC alone cannot tell that a 00 is
        # missing at its end, the count of bits can.
        return replace(frame, data=data, bits=4) if data else None

    chip.manners.inbound = chip.manners.outbound = air

    async def sleep_ms(ms):
        chip.advance(ms * 1000 + 10)

    return driver(
        RegisterBus(spi, spi.cs), ticks_ms=lambda: int(chip.now_us / 1000), sleep_ms=sleep_ms
    )


def mfrc522(field, damage):
    return registers(MFRC522Chip(field), MFRC522, damage)


def fm175xx(field, damage):
    return registers(FM175xxChip(field), FM175xx, damage)


def fm175xx_type_b(field, damage):
    return registers(FM175xxChip(field), FM175xx, damage)


class Line:
    def __init__(self, maker, seed, answer_length):
        self.damage = Damage(seed, maker is pn532)
        self.field = Field()
        self.card = Answers(answer_length, "B" if maker is fm175xx_type_b else "A")
        self.field.place(self.card)
        self.reader = maker(self.field, self.damage)
        self.run(self.reader.open())
        self.activate()
        self.lost = 0

    def run(self, coroutine):
        return asyncio.run(coroutine)

    def activate(self):
        self.damage.on = False
        assert self.run(self.reader.activate(0)).uid == self.card.uid
        self.damage.on = True

    def cross(self, command):
        """Send until answered, activating again after each typed error."""
        for _ in range(MOST_TRIES):
            before = len(self.card.executed)
            try:
                answer = self.run(self.reader.transceive(command))
            except ReaderError as error:
                self.lost += 1
                assert str(error)
                with pytest.raises(CardLost):
                    self.run(self.reader.transceive(command))
                assert self.card.executed[before:] in ([], [command])
                self.activate()
                continue
            assert answer == answer_to(command, self.card.length)
            assert self.card.executed[before:] == [command], "executed once for each answer"
            return
        raise AssertionError("nothing crosses")


def apdu(length, number):
    return bytes((length & 0xFF, length >> 8, number)) + random.Random(length).randbytes(
        length - 3
    )


MAKERS = [pn532, mfrc522, fm175xx, fm175xx_type_b]


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_commands_of_every_length_arrive_intact(maker, seed):
    line = Line(maker, seed, 20)
    for length in LENGTHS:
        line.cross(apdu(length, seed))
    assert line.damage.spoilt > 40
    assert line.lost < 120


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_answers_of_every_length_arrive_intact(maker, seed):
    line = Line(maker, 1000 + seed, 5)
    for length in LENGTHS:
        line.card.length = length
        line.cross(apdu(5, seed) + length.to_bytes(2, "big"))
    assert line.damage.spoilt > 40
    assert line.lost < 120
