# Proofs and tags, against values worked out by hand from RFC 2104.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.hmac_sha256 import hmac_sha256
from flagfall.link import proof

KEY = bytes(range(32))
HOST = b"H" * 16
UNIT = b"U" * 16


def test_the_two_proofs_and_the_session_key_differ():
    a = proof.unit_proof(KEY, HOST, UNIT, b"T1")
    b = proof.host_proof(KEY, HOST, UNIT, b"T1")
    assert len(a) == len(b) == 16
    assert a != b
    assert a == hmac_sha256(KEY, b"unit" + HOST + UNIT + b"T1")[:16]
    assert b == hmac_sha256(KEY, b"host" + HOST + UNIT + b"T1")[:16]
    assert proof.session_key(KEY, HOST, UNIT) == hmac_sha256(KEY, b"session" + HOST + UNIT)


def test_a_proof_binds_nonces_and_unit():
    first = proof.unit_proof(KEY, HOST, UNIT, b"T1")
    assert first != proof.unit_proof(KEY, UNIT, HOST, b"T1")
    assert first != proof.unit_proof(KEY, HOST, UNIT, b"T2")
    assert first != proof.unit_proof(KEY[:-1] + b"x", HOST, UNIT, b"T1")


def test_link_and_journal_keys_are_those_of_the_formats():
    assert proof.link_key(KEY) == hmac_sha256(KEY, b"link")
    assert proof.journal_key(KEY) == hmac_sha256(KEY, b"journal")


def test_a_tag_is_the_hmac_of_direction_type_sequence_and_payload():
    tagger = proof.Tagger(KEY)
    head = b"\x04\x34\x12"
    tag = tagger.tag(b"H", head, b"payload")
    assert tag == hmac_sha256(KEY, b"H" + head + b"payload")[:8]
    assert tagger.good(b"H", head, memoryview(b"payload" + tag))


def test_a_tag_is_good_for_nothing_else():
    tagger = proof.Tagger(KEY)
    head = b"\x04\x34\x12"
    whole = b"payload" + tagger.tag(b"H", head, b"payload")
    assert not tagger.good(b"U", head, memoryview(whole))  # reflected
    assert not tagger.good(b"H", b"\x05\x34\x12", memoryview(whole))
    assert not tagger.good(b"H", b"\x04\x35\x12", memoryview(whole))
    assert not tagger.good(b"H", head, memoryview(whole[1:]))
    assert not tagger.good(b"H", head, memoryview(whole[:5]))
    assert not tagger.good(b"H", head, memoryview(b""))
    for bit in range(len(whole) * 8):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        assert not tagger.good(b"H", head, memoryview(broken))
