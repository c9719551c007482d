# ISO/IEC 14443-3 type B: published checksums, and activation against scripted answers.
# MIT licence, (c) 2026 The Flagfall contributors.

import json

import expect
from flagfall.iso14443a import CardError, Collision
from flagfall.iso14443b import Activation, Atqb, crc_b, hltb, reqb

VECTORS = "/".join(__file__.split("/")[:-4]) + "/vectors/iso14443-crc.json"
PUPI = bytes.fromhex("B1A2C3D4")
ATQB = b"\x50" + PUPI + bytes.fromhex("00000000 00 81 71".replace(" ", ""))
ATTRIB = bytes.fromhex("1DB1A2C3D400050100")


def test_published_checksums():
    with open(VECTORS) as f:
        book = json.load(f)
    assert len(book["crc_b"]) >= 4
    for v in book["crc_b"]:
        assert crc_b(bytes.fromhex(v["data"])) == bytes.fromhex(v["crc"]), v


def test_a_frame_with_its_own_checksum_leaves_the_published_rest():
    # Annex B: the register of a receiver ends at F0B8, whose complement is 0F47.
    data = bytes(range(40))
    assert crc_b(data + crc_b(data)) == b"\x47\x0f"


def test_the_commands():
    assert reqb() == bytes.fromhex("050008")
    assert reqb(0x10, wake=False) == bytes.fromhex("051000")
    assert hltb(PUPI) == bytes.fromhex("50B1A2C3D4")


def test_what_an_atqb_says():
    card = Atqb(ATQB)
    assert (card.pupi, card.atqb, card.fsc, card.fwi) == (PUPI, ATQB[1:], 256, 7)
    assert card.iso_dep
    sizes = (16, 24, 32, 40, 48, 64, 96, 128, 256, 256, 256, 256, 256, 256, 256, 256)
    for fsci in range(16):
        assert Atqb(ATQB[:10] + bytes((fsci << 4 | 1, 0xF0))).fsc == sizes[fsci]
    assert Atqb(ATQB[:11] + b"\xf0").fwi == 4, "15 is reserved: the default"
    assert not Atqb(ATQB[:10] + b"\x80\x70").iso_dep, "not ISO/IEC 14443-4"
    assert not Atqb(ATQB[:10] + b"\x89\x70").iso_dep, "reserved protocol"
    for wrong in (b"", ATQB[:11], ATQB + b"\x00", b"\x51" + ATQB[1:]):
        expect.raises(CardError, Atqb, wrong)


def run(answers, fsdi=5):
    """Feed `answers` in turn; return the Activation and the frames that it asked for."""
    way = Activation(fsdi)
    asked = []
    answers = list(answers)
    while True:
        asked.append(way.tx)
        assert way.timeout_us > 0
        if not way.step(answers.pop(0)):
            break
    assert not answers
    return way, asked


def test_a_card_is_woken_and_chosen():
    way, asked = run([ATQB, b"\x00"])
    assert way.card.pupi == PUPI
    assert asked == [reqb(), ATTRIB]
    # ATTRIB may take the card's own waiting time, FWI 7: 38.7 ms and 3.6.
    assert 42200 < way.timeout_us < 42400


def test_the_readers_frame_size_and_the_cards_protocol_are_in_attrib():
    card = ATQB[:10] + b"\x85\x70"  # TR2 of a slower card beside the protocol
    _, asked = run([card, b"\x10"], fsdi=8)
    assert asked[1] == bytes.fromhex("1DB1A2C3D400080500")


def test_nobody_there():
    way, asked = run([None])
    assert way.card is None
    assert asked == [reqb()]
    way, asked = run([b"", None])
    assert way.card is None


def test_a_card_of_another_protocol_is_left_alone():
    way, asked = run([ATQB[:10] + b"\x80\x70"])
    assert asked == [reqb()]
    assert not way.card.iso_dep


def test_silence_and_damage_are_repeated_a_little():
    way, asked = run([b"", b"", ATQB, None, b"", b"\x00"])
    assert way.card.pupi == PUPI
    assert asked == [reqb()] * 3 + [ATTRIB] * 3
    expect.raises(CardError, run, [ATQB, None, b"", None])


def test_answers_that_stay_damaged_are_two_cards():
    expect.raises(Collision, run, [b"", b"", b""])


def test_answers_that_make_no_sense():
    for answers in (
        [b"\x50"],
        [ATQB + b"\x00"],
        [b"\x00" * 12],
        [ATQB, b"\x01"],  # a CID that was not given
        [ATQB, b"\x0f\x00"],
    ):
        expect.raises(CardError, run, answers)
