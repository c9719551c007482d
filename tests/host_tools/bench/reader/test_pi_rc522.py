"""A client from elsewhere: the PyPI library pi-rc522 on the simulated MFRC522 and FM175xx."""

import importlib
import sys
import types

import pytest
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.fm175xx import FM175xxChip
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.spi_bus import FakeSPI

# A transfer by spidev from Python on a Raspberry Pi; the library counts on its slowness.
_TRANSFER_US = 400.0


class Plain(Card):
    def __init__(self, uid):
        self.uid = bytes.fromhex(uid)


@pytest.fixture(params=[MFRC522Chip, FM175xxChip], ids=lambda chip: chip.__name__)
def reader_and_field(request):
    """The library's reader, with spidev and RPi.GPIO that lead to the simulated chip."""
    field = Field()
    spi = FakeSPI(request.param(field), overhead_us=_TRANSFER_US)

    class SpiDev:
        def open(self, bus, device):
            pass

        def xfer2(self, data):
            answer = bytearray(len(data))
            spi.cs(0)
            spi.write_readinto(bytes(data), answer)
            spi.cs(1)
            return list(answer)

    spidev = types.ModuleType("spidev")
    spidev.SpiDev = SpiDev
    gpio = types.ModuleType("RPi.GPIO")
    gpio.BOARD = gpio.OUT = gpio.IN = 0
    rpi = types.ModuleType("RPi")
    rpi.GPIO = gpio
    patch = pytest.MonkeyPatch()
    for name, module in (("spidev", spidev), ("RPi", rpi), ("RPi.GPIO", gpio)):
        patch.setitem(sys.modules, name, module)
    for name in [n for n in sys.modules if n.startswith("pirc522")]:
        patch.delitem(sys.modules, name)
    library = importlib.import_module("pirc522")
    yield library.RFID(pin_rst=0, pin_irq=None, pin_mode=None), field
    patch.undo()


def test_it_finds_no_card_then_one(reader_and_field):
    reader, field = reader_and_field
    assert field.on, "the library switches the antenna on"
    assert reader.request() == (True, None)
    field.place(Plain("08A1B2C3"))
    assert reader.request() == (False, 16)
    error, uid = reader.anticoll()
    assert (error, bytes(uid)) == (False, bytes.fromhex("08A1B2C3D8"))
    assert reader.select_tag(uid) is False
    reader.halt()
    assert reader.request() == (True, None), "halted: REQA gets no answer"
    assert reader.request(reader.act_reqall) == (False, 16)


def test_it_reads_a_uid_of_seven_bytes(reader_and_field):
    reader, field = reader_and_field
    field.place(Plain("04112233445566"))
    assert bytes(reader.read_id()) == bytes.fromhex("04112233445566")
