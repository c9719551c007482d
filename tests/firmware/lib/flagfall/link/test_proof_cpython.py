"""Proofs, tags and checksums against CPython's own hmac and zlib; frames against any bytes."""

import hmac
import struct
import zlib

from flagfall.link import messages, proof
from flagfall.link.frame import FrameReader, encode
from hypothesis import given, settings
from hypothesis import strategies as st

keys = st.binary(min_size=32, max_size=32)
nonces = st.binary(min_size=16, max_size=16)


def mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), "sha256")


@given(keys, nonces, nonces, st.text("ABCXYZ0189-", min_size=1, max_size=16))
def test_proofs_and_session_key(key, host, unit, name):
    unit_id = name.encode()
    assert (
        proof.unit_proof(key, host, unit, unit_id) == mac(key, b"unit", host, unit, unit_id)[:16]
    )
    assert (
        proof.host_proof(key, host, unit, unit_id) == mac(key, b"host", host, unit, unit_id)[:16]
    )
    assert proof.session_key(key, host, unit) == mac(key, b"session", host, unit)
    assert proof.link_key(key) == mac(key, b"link")
    assert proof.journal_key(key) == mac(key, b"journal")


@given(keys, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=300))
def test_tags(key, type, seq, payload):
    head = struct.pack("<BH", type, seq)
    expected = mac(key, b"U", head, payload)[:8]
    tagger = proof.Tagger(key)
    assert tagger.tag(b"U", head, payload) == expected
    assert tagger.good(b"U", head, memoryview(payload + expected))


@given(st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=2048))
def test_a_frame_is_what_the_formats_say(type, seq, payload):
    head = b"\xa5\x5a\x01" + struct.pack("<BHH", type, seq, len(payload)) + payload
    assert encode(type, seq, payload) == head + struct.pack("<I", zlib.crc32(head))


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("frame"), st.binary(max_size=60)),
            st.tuples(st.just("noise"), st.binary(max_size=60)),
        ),
        max_size=12,
    ),
    st.integers(1, 50),
)
def test_no_frame_is_lost_to_noise_that_holds_no_magic(pieces, step):
    wire = b""
    frames = []
    for kind, data in pieces:
        if kind == "frame":
            frames.append(data)
            wire += encode(7, len(frames), data)
        else:
            wire += data.replace(b"\xa5", b"\xa4")
    reader = FrameReader()
    got = []
    for at in range(0, len(wire), step):
        reader.feed(wire[at : at + step])
        for _ in range(200):
            if reader.next():
                got.append(bytes(reader.payload))
    assert got == frames


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_are_harmless_to_the_parsers(payload):
    for name in dir(messages):
        if name.startswith("parse_") and name not in ("parse_str", "parse_bytes"):
            try:
                getattr(messages, name)(memoryview(payload))
            except messages.Malformed:
                continue
