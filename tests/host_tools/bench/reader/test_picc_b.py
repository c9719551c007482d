"""The simulated type B card, frame by frame (ISO/IEC 14443-3, 7)."""

import pytest
from flagfall.iso14443b import crc_b
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.fm175xx import FM175xxChip
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.picc import Frame
from flagfall_host.bench.reader.picc_b import PiccB

WUPB, REQB, ATQB = "050008", "050000", "50B1A2C3D420112233008171"
ATTRIB = "1DB1A2C3D400050100"


class Plain(Card):
    kind = "B"
    uid = bytes.fromhex("B1A2C3D4")
    app_data = bytes.fromhex("20112233")  # AFI 20: payment

    def apdu(self, command):
        return command + b"\x90\x00"


class Air:
    def __init__(self):
        self.field = Field()
        self.field.power(True)
        self.card = Plain()
        self.field.place(self.card)
        self.picc = PiccB(self.field, self.card)
        self.now = 0.0

    def __call__(self, frame, kind="B"):
        """Send a frame given in hex without CRC; return the answer so, None for silence."""
        self.now += 1e6
        data = bytes.fromhex(frame)
        said = self.picc.receive(Frame(data + crc_b(data), kind=kind), self.now)
        if said is None:
            return None
        answer = said[1]
        assert answer.kind == "B" and crc_b(answer.data[:-2]) == answer.data[-2:]
        return answer.data[:-2].hex().upper()


@pytest.fixture
def air():
    return Air()


def test_request_attrib_block_deselect(air):
    assert air(REQB) == ATQB
    assert air(ATTRIB) == "00"
    assert air("0200B0") == "0200B09000"
    assert air(WUPB) is None, "no block"
    assert air("C2") == "C2"
    assert air(REQB) is None, "halted"
    assert air(WUPB) == ATQB


def test_it_hears_its_own_modulation_and_checksum_only(air):
    assert air(WUPB, kind="A") is None
    assert air.picc.receive(Frame(bytes.fromhex(WUPB) + b"\x00\x00", kind="B"), 9e6) is None


@pytest.mark.parametrize(
    ("afi", "answers"), [("00", True), ("20", True), ("21", False), ("10", False), ("30", False)]
)
def test_the_application_family(air, afi, answers):
    assert (air(f"05{afi}08") == ATQB) is answers


def test_a_family_is_asked_for_as_a_whole(air):
    air.card.app_data = bytes.fromhex("23000000")
    assert air("052008") is not None
    assert air("052408") is None


@pytest.mark.parametrize(
    "attrib",
    ["1DB1A2C3D500050100", "1DB1A2C3D400550100", "1DB1A2C3D400050000", "1DB1A2C3D4000501"],
    ids=["another card", "higher bit rates", "another protocol", "too short"],
)
def test_what_it_does_not_take(air, attrib):
    air(WUPB)
    assert air(attrib) is None
    assert air(ATTRIB) == "00", "and it still waits for its own"


def test_a_cid_is_repeated_and_needed_to_let_it_go(air):
    air(WUPB)
    assert air("1DB1A2C3D40005010A") == "0A"
    assert air("CA0B") is None
    assert air("CA0A") == "CA0A"
    assert air(WUPB) == ATQB


def test_hltb(air):
    air(WUPB)
    assert air("50B1A2C3D5") is None
    assert air("50B1A2C3D4") == "00"
    assert air(REQB) is None
    assert air(WUPB) == ATQB


def test_a_card_that_is_not_14443_4_answers_no_attrib(air):
    air.card.protocol_info = bytes.fromhex("008070")
    assert air(WUPB) is not None
    assert air("1DB1A2C3D400050000") is None


def ask(chip, tx_mode, tx_ask, mode, data):
    """What the host finds in the FIFO a while after it sent `data`."""
    for register, value in (
        *((0x14, 0x83), (0x15, tx_ask), (0x11, mode), (0x12, tx_mode), (0x13, tx_mode)),
        *((0x0A, 0x80), *((0x09, byte) for byte in data), (0x01, 0x0C), (0x0D, 0x80)),
    ):
        chip.write(register, value)
    chip.advance(10_000)
    return bytes(chip.read(0x09) for _ in range(chip.read(0x0A))), chip.read(0x06)


WAKE = bytes.fromhex(WUPB)


def test_the_fm175xx_speaks_it_with_the_right_registers_only():
    field = Field()
    field.place(Plain())
    atqb = bytes.fromhex(ATQB)
    assert ask(FM175xxChip(field), 0x83, 0x00, 0x3F, WAKE) == (atqb, 0)
    assert ask(FM175xxChip(field), 0x03, 0x00, 0x3F, WAKE + crc_b(WAKE)) == (
        atqb + crc_b(atqb),
        0,
    )
    assert ask(FM175xxChip(field), 0x83, 0x40, 0x3F, WAKE)[0] == b"", "100 % ASK"
    assert ask(FM175xxChip(field), 0x80, 0x00, 0x3F, WAKE)[0] == b"", "type A framing"
    assert ask(FM175xxChip(field), 0x83, 0x00, 0x3D, WAKE)[0] == b"", "CRC preset of type A"


def test_the_mfrc522_does_not_speak_it():
    field = Field()
    field.place(Plain())
    assert ask(MFRC522Chip(field), 0x83, 0x00, 0x3F, WAKE)[0] == b""
