# ISO/IEC 14443-3 type A: published checksums, and activation against scripted answers.
# MIT licence, (c) 2026 The Flagfall contributors.

import json

import expect
from flagfall.iso14443a import Activation, CardError, Collision, crc_a

VECTORS = "/".join(__file__.split("/")[:-4]) + "/vectors/iso14443-crc.json"
ATS = bytes.fromhex("0578807002")


def test_published_checksums():
    with open(VECTORS) as f:
        book = json.load(f)
    assert len(book["crc_a"]) >= 5
    for v in book["crc_a"]:
        assert crc_a(bytes.fromhex(v["data"])) == bytes.fromhex(v["crc"]), v


def test_a_frame_with_its_own_checksum_leaves_none():
    data = bytes(range(40))
    assert crc_a(data + crc_a(data)) == b"\x00\x00"


def bcc(part):
    return part + bytes((part[0] ^ part[1] ^ part[2] ^ part[3],))


def run(answers):
    """Feed `answers` in turn; return the Activation and the frames that it asked for."""
    way = Activation(5)
    asked = []
    answers = list(answers)
    while True:
        asked.append((way.tx.hex(), way.bits, way.crc))
        if not way.step(answers.pop(0)):
            break
    assert not answers
    return way, asked


def test_a_uid_of_four_bytes():
    uid = bytes.fromhex("08A1B2C3")
    way, asked = run([b"\x04\x00", bcc(uid), b"\x20", ATS])
    assert (way.uid, way.atqa, way.sak, way.ats) == (uid, b"\x04\x00", 0x20, ATS)
    assert asked == [
        ("52", 7, False),
        ("9320", 0, False),
        ("9370" + bcc(uid).hex(), 0, True),
        ("e050", 0, True),
    ]


def test_uids_of_seven_and_ten_bytes():
    a, b, c = bytes.fromhex("88041122"), bytes.fromhex("33445566"), bytes.fromhex("88334455")
    way, asked = run([b"\x44\x00", bcc(a), b"\x24", bcc(b), b"\x20", ATS])
    assert way.uid == bytes.fromhex("04112233445566")
    assert [x[0][:4] for x in asked] == ["52", "9320", "9370", "9520", "9570", "e050"]
    way, asked = run([b"\x44\x00", bcc(a), b"\x04", bcc(c), b"\x04", bcc(b), b"\x20", ATS])
    assert way.uid == bytes.fromhex("04112233445533445566")
    assert [x[0][:4] for x in asked][5:] == ["9720", "9770", "e050"]


def test_nobody_there():
    way, asked = run([None])
    assert way.uid == b""
    assert len(asked) == 1


def test_a_card_without_iso_dep_is_not_asked_for_its_ats():
    way, asked = run([b"\x04\x00", bcc(b"\x01\x02\x03\x04"), b"\x08"])
    assert (way.sak, way.ats) == (0x08, b"")


def test_silence_and_damage_are_repeated_a_little():
    uid = bcc(bytes.fromhex("08A1B2C3"))
    way, asked = run([b"", b"\x04\x00", None, b"", uid, b"\x20", None, None, ATS])
    assert way.ats == ATS
    assert [x[0][:4] for x in asked].count("e050") == 3
    expect.raises(CardError, run, [b"\x04\x00", None, None, None])
    expect.raises(CardError, run, [b"", b"", b""])


def test_a_collision_is_two_cards():
    way = Activation(5)
    expect.raises(Collision, way.step, b"", True)
    way = Activation(5)
    way.step(b"\x04\x00")
    expect.raises(Collision, way.step, b"\x08", True)


def test_answers_that_make_no_sense():
    uid = bcc(bytes.fromhex("08A1B2C3"))
    cascade = bcc(bytes.fromhex("88041122"))
    for answers in (
        [b"\x04"],
        [b"\x04\x00\x00"],
        [b"\x04\x00", uid[:4]],
        [b"\x04\x00", uid[:4] + b"\x00"],
        [b"\x04\x00", uid, b"\x20\x20"],
        [b"\x04\x00", uid, b"\x04"],  # incomplete without a cascade tag
        [b"\x04\x00", cascade, b"\x04", cascade, b"\x04", cascade, b"\x04"],
        [b"\x04\x00", uid, b"\x20", ATS[:-1]],
        [b"\x04\x00", uid, b"\x20", b"\x00"],
    ):
        expect.raises(CardError, run, answers)
