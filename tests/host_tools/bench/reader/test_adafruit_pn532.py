"""A client from elsewhere: adafruit-circuitpython-pn532 on the simulated PN532's three links."""

import importlib
import sys
import types

import pytest
import serial
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.bench.reader.pn532_buses import FakeI2C, FakePN532SPI

IN_DATA_EXCHANGE = 0x40
PPSE = bytes.fromhex("00A404000E325041592E5359532E444446303100")


@pytest.fixture(scope="module")
def library():
    """The library's modules, with the little of CircuitPython that they import."""
    contents = {
        "micropython": {"const": lambda value: value},
        "digitalio": {"Direction": type("Direction", (), {}), "DigitalInOut": Pin},
        "busio": {"UART": serial.Serial, "I2C": Busio, "SPI": Busio},
        "circuitpython_typing": {"ReadableBuffer": bytes, "WriteableBuffer": bytearray},
    }
    patch = pytest.MonkeyPatch()
    for name, things in contents.items():
        module = types.ModuleType(name)
        module.__dict__.update(things)
        patch.setitem(sys.modules, name, module)
    names = ("uart", "i2c", "spi")
    yield {name: importlib.import_module("adafruit_pn532." + name) for name in names}
    patch.undo()


class Pin:
    """digitalio.DigitalInOut over a chip-select function."""

    def __init__(self, cs):
        self._cs = cs

    def switch_to_output(self, value):
        self._cs(int(value))

    @property
    def value(self):
        return None

    @value.setter
    def value(self, level):
        self._cs(int(level))


class Busio:
    """busio.I2C and busio.SPI over the bench's machine.I2C and machine.SPI."""

    def __init__(self, bus):
        self._bus = bus

    def try_lock(self):
        return True

    def unlock(self):
        pass

    def configure(self, **settings):
        pass

    def writeto(self, address, data, start=0, end=None):
        self._bus.writeto(address, bytes(data[start:end]))

    def readfrom_into(self, address, buffer, start=0, end=None):
        end = len(buffer) if end is None else end
        piece = bytearray(end - start)
        self._bus.readfrom_into(address, piece)
        buffer[start:end] = piece

    def write(self, data):
        self._bus.write(bytes(data))

    def write_readinto(self, out, buffer):
        self._bus.write_readinto(bytes(out), buffer)


@pytest.fixture(params=["uart", "i2c", "spi"])
def bench(request, library):
    """(the library's reader, the field before it)"""
    field = Field()
    chip = PN532Chip(field)
    if request.param == "uart":
        with (
            PtyPort(chip) as port,
            serial.Serial(port.path, 115200, timeout=0.1) as line,
        ):
            yield library["uart"].PN532_UART(line), field
    elif request.param == "i2c":
        yield library["i2c"].PN532_I2C(Busio(FakeI2C(chip))), field
    else:
        spi = FakePN532SPI(chip)
        yield library["spi"].PN532_SPI(Busio(spi), Pin(spi.cs)), field


def apdu(reader, command):
    """One command APDU by InDataExchange to target 1."""
    answer = reader.call_function(IN_DATA_EXCHANGE, response_length=250, params=b"\x01" + command)
    assert answer[0] == 0, "status of the chip"
    return bytes(answer[1:])


def test_it_knows_the_chip_and_waits_for_a_card(bench):
    reader, field = bench
    assert reader.firmware_version == (0x32, 1, 6, 7)
    assert reader.listen_for_passive_target(timeout=1)
    assert reader.get_passive_target(timeout=0.05) is None
    card = catalogue.make("ecash-1984")
    field.place(card)
    assert bytes(reader.get_passive_target(timeout=1)) == card.uid


def test_it_takes_a_bench_card_to_its_processing_options(bench):
    reader, field = bench
    field.place(catalogue.make("oda-debit"))
    assert reader.read_passive_target(timeout=1)
    directory = apdu(reader, PPSE)
    aid = directory[directory.index(b"\x4f\x08") + 2 :][:8]
    fci = apdu(reader, bytes.fromhex("00A4040008") + aid + b"\x00")
    assert fci[:1] == b"\x6f" and b"\x9f\x38" in fci and fci[-2:] == b"\x90\x00"
    # PDOL of the bench's cards: TTQ first; the rest may be zeros for a card.
    pdol = fci[fci.index(b"\x9f\x38") + 3 :][: fci[fci.index(b"\x9f\x38") + 2]]
    values = bytes.fromhex("27800080") + bytes(_length(pdol) - 4)
    assert pdol[:2] == b"\x9f\x66"
    options = apdu(
        reader,
        bytes((0x80, 0xA8, 0, 0, len(values) + 2, 0x83, len(values))) + values + b"\x00",
    )
    assert options[:1] == b"\x77" and b"\x9f\x26\x08" in options and options[-2:] == b"\x90\x00"
    assert field.counters.apdus == 3


def _length(dol):
    total = at = 0
    while at < len(dol):
        at += 2 if dol[at] & 0x1F == 0x1F else 1
        total += dol[at]
        at += 1
    return total
