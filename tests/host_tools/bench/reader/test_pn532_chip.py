"""The simulated PN532, byte for byte, without any driver of ours."""

import json
from pathlib import Path

import pytest
from flagfall.pn532_frame import ACK, ERROR, NACK, encode
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.faults import Faults
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip
from hypothesis import given
from hypothesis import strategies as st

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "pn532-frames.json").read_text(encoding="utf-8")
)
WAKE = bytes.fromhex("5555") + bytes(14)
SAM = encode(bytes.fromhex("D414010000"))


class Echo(Card):
    def __init__(self):
        self.seen = []
        self.events = []

    def field_on(self):
        self.events.append("on")

    def field_off(self):
        self.events.append("off")

    def apdu(self, command):
        self.seen.append(command)
        return command + b"\x90\x00"


@pytest.fixture
def field():
    return Field()


@pytest.fixture
def chip(field):
    chip = PN532Chip(field)
    assert chip.feed(WAKE + SAM) == ACK + encode(b"\xd5\x15")
    return chip


def ask(chip, command):
    """Send D4 `command` (hex); return the answer's payload in hex."""
    out = chip.feed(encode(b"\xd4" + bytes.fromhex(command)))
    assert out.startswith(ACK)
    answer = out[len(ACK) :]
    payload = answer[8:-2] if answer[3:5] == b"\xff\xff" else answer[5:-2]
    assert encode(payload, answer[3:5] == b"\xff\xff") == answer
    return payload.hex().upper()


def test_published_exchanges(chip):
    seen = 0
    for v in VECTORS["normal"]:
        if "host_frame" in v and "chip_frame" in v and not v["host_payload"].startswith("D440"):
            if v["host_payload"][:4] in ("D444", "D454"):
                continue  # these need a card
            out = chip.feed(bytes.fromhex(v["host_frame"]))
            assert out == ACK + bytes.fromhex(v["chip_frame"]), v["name"]
            seen += 1
    assert seen >= 8


def test_deaf_until_woken_and_configured(field):
    chip = PN532Chip(field)
    version = encode(b"\xd4\x02")
    assert chip.feed(b"\xff\xff\x00\x00") == b""
    assert chip.mode == "asleep", "each of these bytes has one rising edge"
    assert chip.feed(b"\x55") == b""
    assert chip.mode == "low-vbat"
    assert chip.feed(encode(b"\xd4\x4a\x01\x00")) == b"", "no command for cards"
    assert chip.feed(version) == ACK + encode(bytes.fromhex("D50332010607")), "nfcpy counts on it"
    assert chip.feed(SAM).startswith(ACK)
    assert chip.feed(encode(b"\xd4\x32\x01\x01")).startswith(ACK)


@pytest.mark.parametrize("wake", ["55", "00" * 5, "01" * 3, "AAFF"])
def test_five_rising_edges_wake_it(field, wake):
    chip = PN532Chip(field)
    chip.feed(bytes.fromhex(wake))
    assert chip.mode == "low-vbat"
    assert chip.feed(SAM).startswith(ACK)


def test_configured_it_answers(field):
    chip = PN532Chip(field)
    version = encode(b"\xd4\x02")
    assert chip.feed(WAKE + SAM).startswith(ACK)
    assert chip.feed(version) == ACK + encode(bytes.fromhex("D50332010607"))


def test_power_down_needs_a_wake_up(chip):
    assert ask(chip, "16F0") == "D51700"
    assert chip.feed(encode(b"\xd4\x02")) == b""
    assert chip.feed(WAKE + SAM).startswith(ACK)
    assert ask(chip, "1600") == "D51710"
    assert ask(chip, "02") == "D50332010607"


def test_the_frame_in_pieces_and_behind_noise(chip):
    frame = b"\x12\x00\xff\x33\x44" + encode(b"\xd4\x02")
    out = b"".join(chip.feed(frame[i : i + 1]) for i in range(len(frame)))
    assert out == ACK + encode(bytes.fromhex("D50332010607"))


def test_a_damaged_command_is_ignored_and_an_unfinished_one_given_up(chip):
    good = bytearray(encode(b"\xd4\x02"))
    good[6] ^= 1
    assert chip.feed(bytes(good)) == b""
    assert chip.feed(encode(b"\xd4\x02")[:6]) == b""
    assert chip.idle() == b""
    assert ask(chip, "02") == "D50332010607"


def test_extended_frames_are_taken_and_sent_where_needed(chip, field):
    out = chip.feed(encode(b"\xd4\x02", extended=True))
    assert out == ACK + encode(bytes.fromhex("D50332010607"))
    line = bytes(range(250)) + bytes(12)
    out = chip.feed(encode(b"\xd4\x00\x00" + line))
    assert out == ACK + encode(b"\xd5\x01\x00" + line)
    assert out[len(ACK) :][3:5] == b"\xff\xff"


def test_nack_repeats_the_last_answer(chip):
    ask(chip, "02")
    assert chip.feed(NACK) == encode(bytes.fromhex("D50332010607"))
    assert chip.feed(NACK) == encode(bytes.fromhex("D50332010607"))
    assert chip.commands[0x02] == 1


@pytest.mark.parametrize(
    "command",
    ["8C", "86", "4A0300", "4A0000", "4A0105", "4A01", "00", "00FF", "32", "3207", "0663", "0863"]
    + ["06", "10FF", "140000", "14"],
)
def test_bad_commands_get_the_error_frame(chip, command):
    assert chip.feed(encode(b"\xd4" + bytes.fromhex(command))) == ACK + ERROR
    assert ask(chip, "02") == "D50332010607"


def test_registers_status_and_general_purpose_pins(chip, field):
    assert ask(chip, "086302806303 81".replace(" ", "")) == "D509"
    assert ask(chip, "0663026303") == "D5078081"
    assert ask(chip, "04").startswith("D50500" + "00" + "00")
    field.place(Echo())
    ask(chip, "4A0100")
    assert ask(chip, "04") == "D50500" + "01" + "01" + "01000000" + "00"
    assert ask(chip, "0C") == "D50DFF3F01"
    assert ask(chip, "0E8080") == "D50F"


def test_the_baud_rate_changes_after_the_hosts_ack(chip):
    assert ask(chip, "1006") == "D511"
    assert chip.baud == 115200
    chip.feed(ACK)
    assert chip.baud == 460800


def test_a_card_is_listed_with_its_ats(chip, field):
    card = Echo()
    field.place(card)
    assert card.events == []
    assert ask(chip, "4A0100") == "D54B0101" + "0004" + "20" + "04" + "08A1B2C3" + "0578807002"
    assert card.events == ["on"]
    assert ask(chip, "4A010008A1B2C3").startswith("D54B01")
    ask(chip, "3205FF0100")
    assert ask(chip, "4A010008A1B2C4") == "D54B00"
    ask(chip, "320100")
    assert card.events == ["on", "off"]


def test_no_rats_no_ats(chip, field):
    field.place(Echo())
    ask(chip, "1204")
    assert ask(chip, "4A0100") == "D54B0101" + "0004" + "20" + "04" + "08A1B2C3"


def test_uids_of_seven_bytes_are_asked_for_with_their_cascade_tag(chip, field):
    card = Echo()
    card.uid = bytes.fromhex("04112233445566")
    field.place(card)
    ask(chip, "3205FF0100")
    assert ask(chip, "4A01008804112233445566").startswith("D54B0101000420" + "07" + "0411")
    assert ask(chip, "4A010004112233").startswith("D54B00")


def test_two_cards_are_two_targets(chip, field):
    first, second = Echo(), Echo()
    second.uid = bytes.fromhex("0AA1B2C3")
    field.place(first)
    field.place(second)
    assert ask(chip, "4A0200").startswith("D54B0201")
    assert ask(chip, "400200A4") == "D54100" + "00A49000"
    assert (first.seen, second.seen) == ([], [b"\x00\xa4"])
    assert ask(chip, "4A0100").startswith("D54B0101")
    assert ask(chip, "400200A4") == "D54127"


def test_a_poll_without_an_end_waits_for_a_card_or_for_an_abort(chip, field):
    frame = encode(bytes.fromhex("D44A0100"))
    assert chip.feed(frame) == ACK
    assert chip.idle() == b""
    assert chip.feed(NACK) == b""
    assert chip.feed(ACK) == b""
    field.place(Echo())
    assert chip.idle() == b""
    field.remove()
    assert chip.feed(frame) == ACK
    field.place(Echo())
    assert chip.idle().startswith(bytes.fromhex("0000FF"))
    assert ask(chip, "02") == "D50332010607"


def test_chaining_both_ways(chip, field):
    card = Echo()
    field.place(card)
    ask(chip, "4A0100")
    whole = bytes(i & 0xFF for i in range(600))
    assert ask(chip, "4041" + whole[:262].hex()) == "D54100"
    assert ask(chip, "4041" + whole[262:524].hex()) == "D54100"
    first = ask(chip, "4001" + whole[524:].hex())
    second = ask(chip, "4001")
    third = ask(chip, "4001")
    assert [f[:6] for f in (first, second, third)] == ["D54140", "D54140", "D54100"]
    assert bytes.fromhex(first[6:] + second[6:] + third[6:]) == whole + b"\x90\x00"
    assert card.seen == [whole]
    assert ask(chip, "4001" + "00" * 262)[:6] == "D54140"
    assert ask(chip, "400100B0") == "D541" + "00" + "00B09000"
    assert card.seen[-1] == b"\x00\xb0"


def test_too_much_for_one_exchange(chip, field):
    field.place(Echo())
    ask(chip, "4A0100")
    assert ask(chip, "4001" + "00" * 262).startswith("D541")
    chip.feed(encode(b"\xd4\x40\x01" + bytes(262)))
    assert ask(chip, "02") == "D50332010607"


def test_a_card_that_leaves(chip, field):
    field.place(Echo())
    ask(chip, "4A0100")
    assert ask(chip, "0006") == "D50100"
    field.remove()
    assert ask(chip, "0006") == "D50101"
    assert ask(chip, "400100A4") == "D54101"
    assert ask(chip, "5401") == "D55501"


def test_targets_that_are_not_there(chip):
    assert ask(chip, "0006") == "D50127"
    assert ask(chip, "400100A4") == "D54127"
    assert ask(chip, "4401") == "D54527"
    assert ask(chip, "5201") == "D55327"
    assert ask(chip, "5401") == "D55527"
    assert ask(chip, "4E010000") == "D54F27"
    assert ask(chip, "5200") == "D55300"
    assert ask(chip, "42050008") == "D54301"
    assert ask(chip, "500100") == "D55101"


def test_select_deselect_release(chip, field):
    field.place(Echo())
    ask(chip, "4A0100")
    assert ask(chip, "4E010000") == "D54F00"
    assert ask(chip, "4401") == "D54500"
    assert ask(chip, "5401") == "D55500"
    assert ask(chip, "400100A4") == "D5410000A49000"
    assert ask(chip, "5201") == "D55300"
    assert ask(chip, "400100A4") == "D54127"


def test_fault_knobs(field):
    version = encode(b"\xd4\x02")
    answer = encode(bytes.fromhex("D50332010607"))
    damaged = bytearray(answer)
    damaged[-3] ^= 0x40

    def heard(**knobs):
        chip = PN532Chip(field)
        chip.feed(WAKE + SAM)
        chip.faults = Faults(**knobs)
        return chip.feed(version), chip.feed(NACK), chip.feed(version)

    good = ACK + answer
    sam = encode(b"\xd5\x15")
    assert heard() == (good, answer, good)
    assert heard(deaf=1) == (b"", sam, good)
    assert heard(drop_acks=1) == (answer, answer, good)
    assert heard(garbage_before_ack=1, garbage=b"\xaa") == (b"\xaa" + good, answer, good)
    assert heard(bad_checksums=1) == (ACK + bytes(damaged), answer, good)
    assert heard(silences=1) == (ACK, answer, good)
    assert heard(zombies=1) == (ACK, sam, good)
    assert heard(truncations=1, truncate_to=4) == (ACK + answer[:4], answer, good)
    assert heard(line=lambda frame: frame[:2]) == (
        ACK[:2] + answer[:2],
        answer[:2],
        ACK[:2] + answer[:2],
    )


@given(st.lists(st.binary(max_size=300), max_size=6), st.booleans())
def test_any_bytes_are_survived(stream, awake):
    field = Field()
    field.place(Echo())
    chip = PN532Chip(field)
    if awake:
        chip.feed(WAKE + SAM)
    for data in stream:
        chip.feed(data)
        chip.idle()
    chip.idle()
    chip.feed(WAKE + SAM)
    assert chip.feed(encode(b"\xd4\x02")).endswith(encode(bytes.fromhex("D50332010607")))


@given(st.integers(0, 255), st.binary(max_size=262))
def test_any_command_is_answered_or_waits(code, data):
    field = Field()
    field.place(Echo())
    chip = PN532Chip(field)
    chip.feed(WAKE + SAM)
    assert chip.feed(encode(b"\xd4" + bytes((code,)) + data)).startswith(ACK)
