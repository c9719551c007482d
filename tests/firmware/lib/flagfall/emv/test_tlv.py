# BER-TLV and data object lists, well formed and not.

from expect import raises
from flagfall.emv import bcd, dol, tlv

H = bytes.fromhex


def test_one_level():
    assert tlv.parse(H("9F3602000A820200005A00")) == [
        (0x9F36, H("000A")),
        (0x82, H("0000")),
        (0x5A, b""),
    ]
    assert tlv.parse(b"") == []
    assert tlv.parse(H("0000820200010000")) == [(0x82, H("0001"))]  # filler 00 (Book 3, B.1)
    assert tlv.parse(H("DF810C0102")) == [(0xDF810C, b"\x02")]


def test_length_forms():
    value = bytes(200)
    assert tlv.parse(H("9081C8") + value) == [(0x90, value)]
    assert tlv.parse(H("908200C8") + value) == [(0x90, value)]
    assert tlv.parse(H("90810102")) == [(0x90, b"\x02")]


def test_malformed():
    for text in (
        "9F",  # tag cut
        "9F36",  # no length
        "9F3602",  # no value
        "9F360200",  # value cut
        "9081",  # length cut
        "908200",
        "9080",  # indefinite length
        "9083000001FF",  # three length bytes
        "9F8000",  # tag number with leading zero
        "9F81818101",  # tag of four bytes and more
        "DF8181",
        "1F",
    ):
        raises(tlv.TlvError, tlv.parse, H(text))


def test_cut_anywhere_is_an_error_or_shorter():
    whole = H("77128202000094040801010057069999D4912000")
    for n in range(1, len(whole)):
        raises(tlv.TlvError, tlv.only, whole[:n], 0x77)
    assert len(tlv.parse(tlv.only(whole, 0x77))) == 3


def test_only():
    assert tlv.only(H("70025A00"), 0x70) == H("5A00")
    raises(tlv.TlvError, tlv.only, H("70025A0000"), 0x70)
    raises(tlv.TlvError, tlv.only, H("71025A00"), 0x70)
    raises(tlv.TlvError, tlv.only, b"", 0x70)


def test_collect():
    got = {}
    tlv.collect(H("A5055A01128100"), got)
    assert got == {0x5A: b"\x12", 0x81: b""}
    raises(tlv.TlvError, tlv.collect, H("5A01125A0112"), {})
    raises(tlv.TlvError, tlv.collect, H("A5035A0112"), {0x5A: b"\x12"})
    nested = b"\x5a\x00"
    for _ in range(tlv.MAX_DEPTH):
        nested = tlv.encode(0xE1, nested)
    raises(tlv.TlvError, tlv.collect, nested, {})
    raises(tlv.TlvError, tlv.parse, H("8100") * (tlv.MAX_OBJECTS + 1))


def test_encode():
    for tag in (0x5A, 0x9F36, 0xDF810C):
        for size in (0, 1, 127, 128, 255, 256, 300):
            value = bytes([size & 0xFF]) * size
            assert tlv.parse(tlv.encode(tag, value)) == [(tag, value)]
    raises(tlv.TlvError, tlv.encode, 0x5A, bytes(65536))


def test_dol():
    entries = dol.parse(H("9F66049F02069F370495055F2A029A03DF8101019F4E14"))
    assert entries[0] == (0x9F66, 4) and entries[6] == (0xDF8101, 1)
    data = dol.build(entries, {0x9F66: H("28000080"), 0x5F2A: H("0156"), 0x9F4E: b"TAXI"})
    assert data == H("28000080") + bytes(15) + H("0156") + bytes(4) + b"TAXI" + bytes(16)
    for text in ("9F", "9F66", "9F6681", "0004", "9F8181"):
        raises(tlv.TlvError, dol.parse, H(text))
    raises(tlv.TlvError, dol.build, [(0x5A, 127), (0x5A, 126)], {})
    assert len(dol.build([(0x5A, 127), (0x57, 125)], {})) == dol.MAX_DATA
    raises(tlv.TlvError, dol.parse, H("8101") * (dol.MAX_ENTRIES + 1))


def test_values_are_fitted_to_the_length_asked_for():
    assert dol.fit(0x9F02, H("000000002160"), 4) == H("00002160")  # numeric: from the left
    assert dol.fit(0x9F02, H("000000002160"), 8) == H("0000000000002160")
    assert dol.fit(0x9F1E, b"12345678", 4) == b"1234"
    assert dol.fit(0x9F1E, b"1234", 6) == b"1234\x00\x00"
    assert dol.fit(0x5A, H("6210"), 4) == H("6210FFFF")


def test_bcd():
    assert bcd.to_int(H("000000002160")) == 2160
    assert bcd.from_int(2160, 6) == H("000000002160")
    raises(ValueError, bcd.from_int, 100, 1)
    raises(ValueError, bcd.from_int, -1, 1)
    for text in ("0A", "A0", "FF"):
        raises(ValueError, bcd.to_int, H(text))
    assert bcd.digits(H("6210948000000011")) == "6210948000000011"
    assert bcd.digits(H("621094800FFF")) == "621094800"
    raises(ValueError, bcd.digits, H("62F1"))
    raises(ValueError, bcd.digits, H("FFFF"))
    assert bcd.months(49, 12) == 2049 * 12 + 11
    assert bcd.mmyy(b"\x01\x50") == 1950 * 12
    raises(ValueError, bcd.mmyy, b"\x13\x20")
    assert bcd.yymmdd(H("261124")) == (2026 * 12 + 10, 24)
    raises(ValueError, bcd.yymmdd, H("261132"))
    raises(ValueError, bcd.yymmdd, H("2611"))
