"""What drivers/reader.py promises, on every chip and bus: the same tests for all of them."""

import asyncio
import random

import pytest
from drivers.fm175xx import FM175xx
from drivers.mfrc522 import MFRC522
from drivers.mfrc522_spi import RegisterBus
from drivers.pn532 import PN532
from drivers.pn532_hsu import HSU
from drivers.pn532_i2c import I2CBus
from drivers.pn532_spi import SPIBus
from drivers.reader import CardLost, ReaderTimeout, SeveralCards
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.faults import Faults
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.fm175xx import FM175xxChip
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.bench.reader.pn532_buses import FakeI2C, FakePN532SPI
from flagfall_host.bench.reader.spi_bus import FakeSPI
from flagfall_host.bench.reader.wire import Wire


class Echo(Card):
    name = "echo"

    def __init__(self, uid="08A1B2C3", kind="A"):
        self.executed = []
        self.kind = kind
        self.uid = bytes.fromhex(uid)

    def apdu(self, command):
        self.executed.append(command)
        return command + b"\x90\x00"


class Clock:
    def __init__(self):
        self.now_ms = 0

    def ticks_ms(self):
        return self.now_ms

    async def sleep_ms(self, ms):
        self.now_ms += max(ms, 1)


def pn532_hsu(field):
    wire = Wire(PN532Chip(field))
    return PN532(HSU(wire), type_b=True, ticks_ms=wire.ticks_ms), wire.chip


def pn532_i2c(field):
    chip, clock = PN532Chip(field), Clock()
    bus = I2CBus(FakeI2C(chip), clock.ticks_ms, clock.sleep_ms)
    return PN532(bus, type_b=True, ticks_ms=clock.ticks_ms), chip


def pn532_spi(field):
    chip, clock = PN532Chip(field), Clock()
    spi = FakePN532SPI(chip)
    bus = SPIBus(spi, spi.cs, clock.ticks_ms, clock.sleep_ms)
    return PN532(bus, type_b=True, ticks_ms=clock.ticks_ms), chip


def registers(chip, driver):
    spi = FakeSPI(chip)

    async def sleep_ms(ms):
        chip.advance(ms * 1000 + 10)

    bus = RegisterBus(spi, spi.cs)
    return driver(bus, ticks_ms=lambda: int(chip.now_us / 1000), sleep_ms=sleep_ms), chip


def mfrc522(field):
    return registers(MFRC522Chip(field), MFRC522)


def fm175xx(field):
    return registers(FM175xxChip(field), FM175xx)


OK = b"\x90\x00"
MAKERS = [pn532_hsu, pn532_i2c, pn532_spi, mfrc522, fm175xx]
PN532_MAKERS = MAKERS[:3]
TYPE_B_MAKERS = [*PN532_MAKERS, fm175xx]


class Bench:
    def __init__(self, maker):
        self.field = Field()
        self.reader, self.chip = maker(self.field)

    def __getattr__(self, name):
        coroutine = getattr(self.reader, name)
        return lambda *arguments: asyncio.run(coroutine(*arguments))


def opened_bench(maker):
    bench = Bench(maker)
    bench.open()
    return bench


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
def bench(request):
    return opened_bench(request.param)


@pytest.fixture(params=TYPE_B_MAKERS, ids=lambda maker: maker.__name__)
def bench_b(request):
    """A reader that also takes type B."""
    return opened_bench(request.param)


def apdu(length):
    return random.Random(length).randbytes(length)


def test_the_life_of_a_tap(bench):
    card = Echo()
    assert not bench.field.on
    assert bench.activate(0) is None
    bench.field.place(card)
    target = bench.activate(0)
    assert (target.uid, target.atqa, target.sak, target.ats, target.kind) == (
        card.uid,
        b"\x04\x00",
        0x20,
        card.ats,
        "A",
    )
    assert target.takes_apdus
    assert bench.present()
    assert bench.transceive(apdu(20)) == apdu(20) + b"\x90\x00"
    assert bench.present()
    bench.field.remove()
    assert not bench.present()
    bench.release()
    bench.field.place(card)
    assert bench.activate(0).uid == card.uid
    bench.release()
    assert bench.activate(0).uid == card.uid
    asyncio.run(bench.reader.field(False))
    assert not bench.field.on
    with pytest.raises(CardLost):
        bench.transceive(apdu(5))


@pytest.mark.parametrize("length", [*range(5, 262, 16), 255, 256, 257, 261, 262, 524, 3000])
def test_an_apdu_of_any_length_crosses_intact(bench, length):
    card = Echo()
    bench.field.place(card)
    bench.activate(0)
    assert bench.transceive(apdu(length)) == apdu(length) + b"\x90\x00"
    assert card.executed == [apdu(length)]


@pytest.mark.parametrize(("moment", "executed"), [("request", 1), ("answer", 2)])
def test_a_card_that_leaves_is_lost_and_may_come_back(bench, moment, executed):
    card = Echo()
    bench.field.place(card)
    bench.activate(0)
    bench.field.tear(lambda command, index: index == 1, moment)
    bench.transceive(apdu(10))
    with pytest.raises(CardLost):
        bench.transceive(apdu(11))
    with pytest.raises(CardLost):
        bench.transceive(apdu(11))
    assert len(card.executed) == executed
    assert bench.activate(0) is None
    bench.field.place(card)
    assert bench.activate(0).uid == card.uid
    assert bench.transceive(apdu(12)) == apdu(12) + b"\x90\x00"


def test_two_cards(bench):
    bench.field.place(Echo())
    bench.field.place(Echo("0AA1B2C3"))
    with pytest.raises(SeveralCards, match="present one"):
        bench.activate(0)
    bench.field.remove()
    assert bench.activate(0) is None


def test_the_life_of_a_type_b_tap(bench_b):
    card = Echo("B1A2C3D4", "B")
    bench_b.field.place(card)
    target = bench_b.activate(0)
    assert (target.kind, target.uid, target.atqa) == ("B", card.uid, card.atqb[1:])
    assert (target.sak, target.ats, target.takes_apdus) == (0, b"", True)
    assert bench_b.present()
    for length in (5, 61, 62, 261, 3000):
        assert bench_b.transceive(apdu(length)) == apdu(length) + b"\x90\x00"
    bench_b.field.remove()
    assert not bench_b.present()
    bench_b.field.place(card)
    assert bench_b.activate(0).uid == card.uid
    bench_b.release()
    assert bench_b.activate(0).uid == card.uid, "halted, and woken again"
    bench_b.field.tear(lambda command, index: True, "request")
    with pytest.raises(CardLost):
        bench_b.transceive(apdu(9))


def test_types_alternate(bench_b):
    for n in range(6):
        kind = "AB"[n % 2]
        card = Echo(f"0{n}A1B2C3", kind)
        bench_b.field.place(card)
        assert (bench_b.activate(0).kind, bench_b.transceive(apdu(n + 5))[-2:]) == (kind, OK)
        bench_b.field.remove()
        assert bench_b.activate(0) is None


def test_two_type_b_cards(bench_b):
    bench_b.field.place(Echo("B1A2C3D4", "B"))
    bench_b.field.place(Echo("B2A2C3D4", "B"))
    with pytest.raises(SeveralCards, match="present one"):
        bench_b.activate(0)
    bench_b.field.remove()
    assert bench_b.activate(0) is None


def test_a_type_b_card_without_apdus_is_told_apart_and_put_to_sleep(bench_b):
    card = Echo("B1A2C3D4", "B")
    card.protocol_info = bytes.fromhex("008070")
    bench_b.field.place(card)
    target = bench_b.activate(0)
    assert (target.kind, target.takes_apdus) == ("B", False)
    bench_b.release()
    assert bench_b.activate(0).uid == card.uid


def test_a_reader_without_its_supply(bench):
    bench.chip.feed = lambda data: b""
    bench.chip.idle = lambda: b""
    bench.chip.read = lambda register: 0
    bench.chip.write = lambda register, value: None
    with pytest.raises(ReaderTimeout):
        bench.open()


@pytest.mark.parametrize("name", catalogue.names())
def test_the_benchs_cards_show_themselves(bench, name):
    card = catalogue.make(name)
    bench.field.place(card)
    target = bench.activate(0)
    assert (target.uid, target.ats, target.takes_apdus) == (card.uid, card.ats, True)


FAULTS = [
    {"drop_acks": 1},
    {"deaf": 1},
    {"bad_checksums": 2},
    {"truncations": 1, "truncate_to": 9},
    {"silences": 1},
]


@pytest.mark.parametrize("knobs", FAULTS, ids=str)
@pytest.mark.parametrize("maker", PN532_MAKERS, ids=lambda maker: maker.__name__)
def test_faults_are_recovered_on_every_bus(maker, knobs):
    b = Bench(maker)
    b.open()
    card = Echo()
    b.field.place(card)
    b.activate(0)
    b.transceive(apdu(9))
    b.chip.faults = Faults(**knobs)
    assert b.transceive(apdu(300)) == apdu(300) + b"\x90\x00"
    assert card.executed == [apdu(9), apdu(300)]


class PacedWire(Wire):
    """A wire whose two ends must agree on the speed."""

    def __init__(self, chip):
        super().__init__(chip)
        self.baud = 115200

    def set_baud(self, baud):
        self.baud = baud

    async def write(self, data):
        if self.baud == self.chip.baud:
            await super().write(data)
        else:
            self._waiting += self.chip.feed(b"\xf0" * len(data))


def opened(chip, wire=PacedWire):
    line = wire(chip)
    reader = PN532(HSU(line, 921600), ticks_ms=line.ticks_ms)
    asyncio.run(reader.open())
    assert asyncio.run(reader.activate(0)) is None
    return reader, line


def test_a_faster_line_is_found_again_after_either_end_restarts():
    chip = PN532Chip(Field())
    _, line = opened(chip)
    assert (line.baud, chip.baud) == (921600, 921600)
    reader, line = opened(chip)  # the unit restarted, the chip did not
    assert (line.baud, chip.baud) == (921600, 921600)
    start = line.now_ms
    asyncio.run(reader.open())  # opened again after a fault: neither restarted
    assert (line.baud, chip.baud) == (921600, 921600)
    assert line.now_ms - start < 50
    chip.power_cycle()
    asyncio.run(reader.open())
    assert (line.baud, chip.baud) == (921600, 921600)


class PoorWire(PacedWire):
    """A cable that bears the power-up speed only; `deaf` also swallows what the unit sends."""

    deaf = False

    async def write(self, data):
        fast = self.baud == self.chip.baud == 921600
        if fast and self.deaf:
            return
        await super().write(data)
        if fast:
            self._waiting = bytearray(b ^ 0x55 for b in self._waiting)


def test_a_line_that_does_not_bear_the_speed_goes_on_at_the_other():
    chip = PN532Chip(Field())
    reader, line = opened(chip, PoorWire)
    assert (line.baud, chip.baud, reader._bus.baud) == (115200, 115200, 115200)
    asyncio.run(reader.open())
    assert (line.baud, chip.baud) == (115200, 115200)


def test_a_chip_out_of_reach_at_its_speed_is_a_typed_error():
    chip = PN532Chip(Field())
    line = PoorWire(chip)
    line.deaf = True
    reader = PN532(HSU(line, 921600), ticks_ms=line.ticks_ms)
    with pytest.raises(ReaderTimeout):
        asyncio.run(reader.open())
    chip.power_cycle()
    line.deaf = False
    asyncio.run(reader.open())
    assert (line.baud, chip.baud) == (115200, 115200)


def test_a_port_of_one_speed_stays_at_it():
    wire = Wire(PN532Chip(Field()))
    reader = PN532(HSU(wire, 921600), ticks_ms=wire.ticks_ms)
    asyncio.run(reader.open())
    assert (wire.chip.baud, reader._bus.baud) == (115200, 115200)
