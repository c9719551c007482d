# Frames and bodies of JT/T 905 against the sheet's vector and an encoder of this file's own.
# The golden frame is a status query of 2011-11-11 11:11:11, from the tests of a public library.

import struct

from expect import raises
from flagfall.clock import seconds_from_civil
from flagfall.journal import schema
from flagfall.jt905 import bodies
from flagfall.jt905.frame import ISU, MAX_DATA, TAXIMETER, FrameError, Parser, encode

_GOLDEN = bytes.fromhex("55AA000B02000000201111111111112955AA")


def _frame(type, vendor, command, data):
    """An encoder that shares nothing with the one under test."""
    inner = struct.pack(">HBBH", len(data) + 4, type, vendor, command) + data
    x = 0
    for byte in inner:
        x = x ^ byte
    return b"\x55\xaa" + inner + struct.pack("B", x) + b"\x55\xaa"


def _bcd(text):
    return bytes.fromhex(text)


def test_the_golden_frame_both_ways():
    asked = bytes.fromhex("20111111111111")
    assert encode(bodies.STATUS, asked) == _GOLDEN == _frame(2, 0, 0, asked)
    assert Parser().feed(_GOLDEN) == [(TAXIMETER, 0, bodies.STATUS, asked)]


def test_a_mark_inside_the_data_does_not_end_a_frame():
    data = b"\x55\xaa\x00\x04\x55\xaa"
    raw = encode(bodies.TRIP, data, ISU, 3)
    assert raw == _frame(0, 3, 0xE8, data)
    assert Parser().feed(raw) == [(ISU, 3, bodies.TRIP, data)]


def test_frames_are_found_behind_garbage_and_byte_by_byte():
    parser = Parser()
    stream = b"\x55\x55\xaa\x00" + _GOLDEN + b"\xaa\x55\xaa\xff\xff" + _GOLDEN + b"\x55"
    found = []
    for at in range(len(stream)):
        found += parser.feed(stream[at : at + 1])
    # What looked like the head of a longer frame is given up when nothing more comes.
    assert not found
    found = parser.silence()
    assert [f[2] for f in found] == [bodies.STATUS, bodies.STATUS]
    assert parser.skipped == len(stream) - 2 * len(_GOLDEN)


def test_a_damaged_frame_costs_only_itself():
    for at in range(len(_GOLDEN)):
        damaged = bytearray(_GOLDEN)
        damaged[at] ^= 0x10
        parser = Parser()
        found = parser.feed(bytes(damaged))
        found += parser.silence()
        assert not found, at
        assert parser.feed(_GOLDEN)[-1][3] == _GOLDEN[8:15], at


def test_a_length_that_cannot_be_is_not_waited_for():
    parser = Parser()
    assert parser.feed(b"\x55\xaa\xff\xff" + _GOLDEN) == Parser().feed(_GOLDEN)
    assert raises(FrameError, encode, 0, bytes(MAX_DATA + 1))


def _owner():
    return bodies.Owner("WAN J12345", "340000123456", vendor=3, serial=42)


def test_a_trip_of_66_bytes():
    fields = {
        "start_time": seconds_from_civil(2026, 3, 1, 15, 58, 30),
        "end_time": seconds_from_civil(2026, 3, 1, 16, 21, 10),
        "distance_mm": 12345678,
        "slow_ms": 3900000,
        "fare": 4580,
        "supplements": 150,
        "trip": 70000,
        "paid": schema.CARD,
    }
    body = bodies.trip(_owner(), "D-17", fields, 8 * 3600, 2, 56)
    assert len(body) == bodies.TRIP_SIZE == 66
    expected = (
        b"J12345"
        + b"340000123456\0\0\0\0"
        + b"D-17"
        + bytes(15)
        + _bcd("2603012358")  # local: just before midnight
        + _bcd("0021")
        + _bcd("000123")
        + _bcd("0056")
        + _bcd("000015")
        + _bcd("0105")
        + _bcd("000473")
        + struct.pack(">I", 70000)
        + b"\x03"
    )
    assert body == expected


def test_a_yen_has_no_tenths_to_drop():
    assert bodies.tenths(473, 0) == 4730
    assert bodies.tenths(4737, 2) == 473


def test_status_and_heartbeat():
    body = bodies.status(_owner(), "", 9, True, (1, 0, 1))
    assert body == (
        _bcd("0302000042") + _bcd("010001") + b"\x04\x01" + b"J12345" + b"340000123456\0\0\0\0"
    ) + bytes(19) + struct.pack(">I", 9)
    assert bodies.status(_owner(), "D", 9, False, (1, 0, 1))[8:10] == b"\x00\x00"
    beat = bodies.heartbeat(_owner(), "D-17", True)
    assert (beat[0], len(beat)) == (3, 36)
    assert bodies.heartbeat(_owner(), "", False)[0] == 0


def test_signing_out_as_the_layout_has_it():
    began = seconds_from_civil(2026, 3, 1, 8, 0, 0)
    shift = {
        "driver": "D-17",
        "k": 1000,
        "began": began,
        "ended": began + 36000,
        "km": 2345,
        "hired_km": 1234,
        "trips": 21,
        "hired_s": 5 * 3600 + 1800,
        "money": 6789,
        "card_money": 321,
        "cards": 3,
        "total_km": 99999999,
        "total_hired_km": 1000,
        "unit_price": 200,
        "total_trips": 4711,
    }
    body = bodies.signed_out(_owner(), shift)
    assert len(body) == 16 + 19 + 6 + 2 + 6 + 6 + 3 + 3 + 2 + 3 + 3 + 3 + 2 + 2 + 4 + 4 + 2 + 4
    assert body[41:] == _bcd(
        "1000202603010800202603011800" + "002345" + "001234" + "0021" + "000530" + "006789"
        "000321" + "0003" + "0000" + "99999999" + "00001000" + "0200"
    ) + struct.pack(">I", 4711)
    assert len(bodies.signed_in(_owner(), "D-17", began, 1)) == 16 + 19 + 6 + 6 + 4 + 1


def test_texts_and_numbers_that_do_not_fit():
    assert bodies.plate("A") == b"A\0\0\0\0\0"
    assert bodies.text("\u7696J12345", 8) == b"J12345\0\0"
    assert bodies.number(123456, 2) == b"\x99\x99"
    assert bodies.stamp(seconds_from_civil(2011, 11, 11, 11, 11, 11), 7) == _GOLDEN[8:15]
