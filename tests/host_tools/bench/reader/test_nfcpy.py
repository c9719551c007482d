"""A client from elsewhere: nfcpy on the simulated PN532, its own ISO-DEP on the card's air."""

import sys
import time
import types
from contextlib import contextmanager

import pytest
from flagfall.emv.terminal import ECASH, ODA
from flagfall.emv.transaction import Transaction
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.bench.tap import CODES, DATE, TIME, UN, terminal

# nfcpy looks for its USB readers at import; the simulated one is on a serial line.
sys.modules.setdefault("usb1", types.ModuleType("usb1"))

import nfc  # noqa: E402
import nfc.clf.pn532  # noqa: E402
import nfc.clf.transport  # noqa: E402

PPSE = bytes.fromhex("00A404000E325041592E5359532E444446303100")


class Echo(Card):
    name = "echo"

    def apdu(self, command):
        return command + b"\x90\x00"


LIMIT_S = 10


class Line(nfc.clf.transport.TTY):
    """nfcpy gives a chip 100 ms to answer and 1 ms to change its speed; a busy test machine may
    need longer to play one."""

    def __init__(self, port, chip):
        self._chip = chip
        super().__init__(port)

    def read(self, timeout):
        return super().read(max(timeout, LIMIT_S * 1000))

    def open(self, port, baudrate=115200):
        if self.tty is not None:
            self._wait_for(baudrate)
        super().open(port, baudrate)

    @property
    def baudrate(self):
        return self.tty.baudrate

    @baudrate.setter
    def baudrate(self, value):
        self._wait_for(value)
        self.tty.baudrate = value

    def _wait_for(self, baudrate):
        end = time.monotonic() + LIMIT_S
        while self._chip.baud != baudrate and time.monotonic() < end:
            time.sleep(0.001)


@contextmanager
def presented(card):
    """nfcpy's tag object for `card`, before a PN532 on a serial line."""
    field = Field()
    field.place(card)
    chip = PN532Chip(field)
    with PtyPort(chip) as port:
        frontend = nfc.ContactlessFrontend()
        frontend.device = nfc.clf.pn532.init(Line(port.path, chip))
        try:
            target = frontend.sense(nfc.clf.RemoteTarget("106" + card.kind))
            yield nfc.tag.activate(frontend, target), field
        finally:
            frontend.close()


@pytest.mark.parametrize("kind", ["A", "B"])
def test_it_finds_and_activates_the_card(kind):
    card = catalogue.make("ecash", kind=kind)
    with presented(card) as (tag, field):
        assert tag.type == "Type4Tag"
        assert tag.identifier == card.uid
        assert tag.is_present
        assert PPSE[5:19] in bytes(tag.transceive(PPSE))
        field.remove()
        assert not tag.is_present


@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize("length", [5, 60, 61, 62, 250, 261])
def test_its_blocks_and_the_cards_fit(kind, length):
    card = Echo()
    card.kind = kind
    card.ats = bytes.fromhex("0575807002")  # 64 bytes a block: long ones are chained
    card.protocol_info = bytes.fromhex("005171")
    command = bytes((i * 7 + length) & 0xFF for i in range(length))
    with presented(card) as (tag, _):
        assert bytes(tag.transceive(command)) == command + b"\x90\x00"


@pytest.mark.parametrize("kind", ["A", "B"])
@pytest.mark.parametrize(
    ("name", "profile", "apdus"), [("ecash-8-reads", ECASH, 11), ("oda-debit", ODA, 7)]
)
def test_a_payment_over_its_exchange(name, profile, apdus, kind):
    """From 2PAY.SYS.DDF01 over GPO to the last record, our kernel asking, nfcpy carrying."""
    card = catalogue.make(name, kind=kind)
    tap = Transaction(terminal(profile), 500, un=UN, date=DATE, time=TIME)
    with presented(card) as (tag, field):
        command = tap.start()
        while command is not None:
            command = tap.step(bytes(tag.transceive(command)))
    assert CODES[tap.outcome.code] == "approved"
    assert tap.apdus == field.counters.apdus == apdus
