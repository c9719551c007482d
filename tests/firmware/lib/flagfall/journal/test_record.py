# The record codec against bytes laid out by hand from docs/formats.md 2.2.

import binascii
import struct

from expect import raises
from flagfall.hmac_sha256 import hmac_sha256
from flagfall.journal import record

KEY = bytes(range(32))


def by_hand(type=5, seq=7, epoch=3, time=0x11223344, link=b"\x0a\x0b\x0c\x0d", body=b"\x01hello"):
    raw = (
        b"\xa7" + bytes((type,)) + struct.pack("<HIII", len(body), seq, epoch, time) + link + body
    )
    raw += hmac_sha256(KEY, raw)[:12]
    return raw + struct.pack("<I", binascii.crc32(raw) & 0xFFFFFFFF)


def built(body=b"\x01hello", type=5):
    buf = bytearray(record.MAX_RECORD)
    size = record.build(buf, KEY, type, 7, 3, 0x11223344, b"\x0a\x0b\x0c\x0d", body)
    return bytes(buf[:size])


def test_built_as_the_format_says():
    raw = by_hand()
    assert built()[: len(raw)] == raw
    assert built()[len(raw) :] == b"\xff" * (64 - len(raw))


def test_parsed_back():
    r = record.parse(by_hand())
    assert (r.type, r.seq, r.epoch, r.time) == (5, 7, 3, 0x11223344)
    assert r.link == b"\x0a\x0b\x0c\x0d" and r.body == b"\x01hello" and r.raw == by_hand()
    assert r.mac == hmac_sha256(KEY, by_hand()[:26])[:12]
    assert record.mac_good(KEY, r.raw)
    assert not record.mac_good(bytes(32), r.raw)


def test_every_length_takes_whole_slots():
    for n in (0, 1, 27, 28, 29, 59, 60, 61, 92, 1200):
        raw = built(bytes(n))
        assert len(raw) == record.slot_bytes(n) and len(raw) % 32 == 0
        assert record.length_at(raw, 0, len(raw)) == n + 36
        assert set(raw[n + 36 :]) <= {0xFF}
    assert record.slot_bytes(1200) <= record.MAX_RECORD


def test_longest_body():
    raises(record.RecordError, built, bytes(1201))


def test_every_bit_is_covered():
    raw = by_hand()
    for i in range(len(raw)):
        for bit in range(8):
            bad = bytearray(raw)
            bad[i] ^= 1 << bit
            raises(record.RecordError, record.parse, bad)


def test_every_cut_is_refused():
    raw = by_hand()
    for n in range(len(raw)):
        raises(record.RecordError, record.parse, raw[:n])
    raises(record.RecordError, record.parse, raw + b"\xff")


def test_split_of_records_without_padding():
    a, b = by_hand(seq=1), by_hand(seq=2, body=b"")
    assert [r.seq for r in record.split(a + b)] == [1, 2]
    assert record.split(b"") == []
    raises(record.RecordError, record.split, a + b[:-1])
    raises(record.RecordError, record.split, a + b"\xff" + b)
