# ISO/IEC 14443-4 block by block: the rules of 7.5.4 as scripts of what is sent and answered.
# MIT licence, (c) 2026 The Flagfall contributors.

import expect
from flagfall.iso_dep import Ats, Initiator, Silent, Violation, microseconds


def card():
    return Initiator(fsc=16, fwi=4)  # 13 bytes a block


def play(d, step, script):
    """`script`: "> BLOCK" what we must send, "< BLOCK" the answer ("-" silence, "?" damage)."""
    block = step[0]
    for line in script.split("\n"):
        line = line.strip()
        if not line:
            continue
        what = line[2:].replace(" ", "")
        if line[0] == ">":
            assert block is not None and block.hex().upper() == what, (line, block and block.hex())
        elif what == "-":
            block = d.step(None)[0]
        elif what == "?":
            block = d.step(b"")[0]
        else:
            block = d.step(bytes.fromhex(what))[0]
    return block


def test_one_block_each_way_and_the_number_toggles():
    d = card()
    assert play(d, d.begin(b"\x00\xa4"), "> 02 00A4 \n < 02 6F00 9000") is None
    assert d.response == bytes.fromhex("6F009000")
    assert play(d, d.begin(b"\x00\xb2"), "> 03 00B2 \n < 03 9000") is None
    assert d.response == b"\x90\x00"
    assert d.begin(b"\x80")[0] == b"\x02\x80"


def test_a_long_command_is_chained():
    d = card()
    apdu = bytes(range(30))
    script = """
        > 12 000102030405060708090A0B0C
        < A2
        > 13 0D0E0F10111213141516171819
        < A3
        > 02 1A1B1C1D
        < 02 9000"""
    assert play(d, d.begin(apdu), script) is None
    assert d.response == b"\x90\x00"


def test_a_command_that_fills_its_last_block_is_not_followed_by_an_empty_one():
    d = card()
    assert d.begin(bytes(13))[0][0] == 0x02
    assert d.begin(bytes(14))[0][0] == 0x12
    d = card()
    assert play(d, d.begin(bytes(26)), "> 12" + "00" * 13 + "\n< A2\n> 03" + "00" * 13) is not None


def test_a_long_response_is_acknowledged_block_by_block():
    d = card()
    script = """
        > 02 00B2
        < 12 0102
        > A3
        < 13 0304
        > A2
        < 02 9000"""
    assert play(d, d.begin(b"\x00\xb2"), script) is None
    assert d.response == bytes.fromhex("010203049000")
    assert d.begin(b"\x00")[0] == b"\x03\x00"


def test_silence_and_damage_are_answered_by_r_nak_twice():
    d = card()
    assert play(d, d.begin(b"\x00"), "> 02 00\n< -\n> B2\n< ?\n> B2\n< 02 9000") is None
    d = card()
    play(d, d.begin(b"\x00"), "> 02 00\n< -\n> B2\n< -\n> B2")
    expect.raises(Silent, d.step, None)


def test_an_r_ack_with_the_other_number_sends_the_block_again():
    d = card()
    assert play(d, d.begin(b"\x00"), "> 02 00\n< -\n> B2\n< A3\n> 02 00\n< 02 9000") is None
    d = card()
    play(d, d.begin(b"\x00"), "> 02 00\n< A3\n> 02 00\n< A3\n> 02 00")
    expect.raises(Violation, d.step, b"\xa3")


def test_a_lost_block_within_a_chain_of_ours():
    d = card()
    script = """
        > 12 00000000000000000000000000
        < -
        > B2
        < A2
        > 03 00
        < 03 9000"""
    assert play(d, d.begin(bytes(14)), script) is None


def test_a_lost_block_within_a_chain_of_the_cards_is_asked_for_by_r_ack():
    d = card()
    script = "> 02 00\n< 12 01\n> A3\n< -\n> A3\n< ?\n> A3\n< 03 9000"
    assert play(d, d.begin(b"\x00"), script) is None
    assert d.response == bytes.fromhex("019000")
    assert play(d, d.begin(b"\x00"), "> 02 00\n< -\n> B2\n< 02 9000") is None


def test_a_waiting_time_extension_is_echoed_and_waited_for():
    d = card()
    block, usual = d.begin(b"\x00")
    block, longer = d.step(bytes.fromhex("F20A"))
    assert block == bytes.fromhex("F20A")
    assert longer == microseconds(10 * (4096 << 4) + 49152)
    assert longer > usual
    assert d.step(bytes.fromhex("F2C1"))[0] == bytes.fromhex(
        "F201"
    )  # power level bits are dropped
    assert d.step(None)[0] == b"\xb2"
    assert d.step(bytes.fromhex("F201"))[0] == bytes.fromhex("F201")
    assert d.step(bytes.fromhex("029000")) == (None, 0)


def test_extensions_are_capped_in_length_and_number():
    d = Initiator(256, 14)
    d.begin(b"\x00")
    assert d.step(bytes.fromhex("F23B"))[1] == microseconds((1 << 26) + 49152)
    for _ in range(19):
        d.step(bytes.fromhex("F201"))
    expect.raises(Violation, d.step, bytes.fromhex("F201"))
    for factor in (0x00, 0x3C, 0x3F):
        d = card()
        d.begin(b"\x00")
        expect.raises(Violation, d.step, bytes((0xF2, factor)))


def test_blocks_that_are_forbidden():
    for block in (
        "03 9000",  # wrong number
        "0A 00 9000",  # CID
        "06 00 9000",  # NAD
        "A2",  # R(ACK) where the response is due
        "B2",  # R(NAK) from a card
        "B3",
        "A200",
        "C2",  # DESELECT
        "F2",
        "F20101",
        "FA0101",
        "00",
        "E0",
        "22 00",
        "D0",
    ):
        d = card()
        d.begin(b"\x00")
        expect.raises(Violation, d.step, bytes.fromhex(block.replace(" ", "")))
    d = card()
    d.begin(bytes(20))
    expect.raises(Violation, d.step, bytes.fromhex("029000"))  # while we are chaining
    d = card()
    d.begin(b"\x00")
    assert d.step(b"\x02" + bytes(61)) == (None, 0)
    d.begin(b"\x00")
    expect.raises(Violation, d.step, b"\x03" + bytes(62))  # longer than 64 with its CRC
    d = card()
    play(d, d.begin(b"\x00"), "> 02 00\n< 12 01\n> A3")
    expect.raises(Violation, d.step, b"\xa2")  # R(ACK) in its own chain


def test_a_chain_of_empty_blocks_ends():
    d = card()
    d.begin(b"\x00")

    def endless():
        for i in range(1000):
            d.step(bytes((0x12 | i & 1,)))

    expect.raises(Violation, endless)


def test_a_chain_without_an_end_ends():
    d = card()
    d.begin(b"\x00")

    def endless():
        for i in range(2000):
            d.step(bytes((0x12 | i & 1,)) + bytes(61))

    expect.raises(Violation, endless)


def test_presence():
    d = card()
    assert play(d, d.probe(), "> B2\n< A3") is None
    assert play(d, d.begin(b"\x00"), "> 02 00\n< 02 9000") is None
    assert play(d, d.probe(), "> B3\n< A2") is None
    assert play(d, d.probe(), "> B3\n< 02 9000") is None  # it repeats its last block
    play(d, d.probe(), "> B3\n< -\n> B3\n< -\n> B3")
    expect.raises(Silent, d.step, None)
    assert play(d, d.begin(b"\x01"), "> 03 01\n< 03 9000") is None
    assert d.response == b"\x90\x00"


def test_deselect():
    d = card()
    assert d.deselect()[0] == b"\xc2"


def test_what_an_ats_says():
    a = Ats(bytes.fromhex("0578807002"))
    assert (a.fsc, a.fwi, a.sfgi, a.historical, a.guard_us) == (256, 7, 0, b"", 0)
    a = Ats(bytes.fromhex("0A78807002FFFF112233"))
    assert a.historical == bytes.fromhex("FFFF112233")
    a = Ats(b"\x01")  # nothing but its length: defaults
    assert (a.fsc, a.fwi, a.sfgi) == (32, 4, 0)
    a = Ats(bytes.fromhex("020A"))  # FSCI beyond 8 counts as 8
    assert a.fsc == 256
    a = Ats(bytes.fromhex("0325F5"))  # TB alone; FWI 15 is RFU and means 4
    assert (a.fsc, a.fwi, a.sfgi) == (64, 4, 5)
    assert a.guard_us == microseconds(4096 << 5)
    for bad in ("", "00", "03", "0270", "0220", "0478", "057880700200"):
        expect.raises(Violation, Ats, bytes.fromhex(bad))


def test_waiting_times_are_those_of_the_standard():
    assert Initiator(256, 4).timeout_us == 4833 + 3625  # 4.8 ms and its tolerance
    assert 4_940_000 < microseconds(4096 << 14) < 4_960_000
