"""Property tests of the PN532 frame codec."""

import os

from flagfall import pn532_frame
from flagfall.pn532_frame import DATA, Decoder, encode
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = 200 * (100 if os.environ.get("FLAGFALL_SOAK") else 1)
payloads = st.binary(min_size=0, max_size=264).map(lambda b: b"\xd5" + b)


def pieces(data, cuts):
    edges = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@settings(max_examples=EXAMPLES, deadline=None)
@given(payloads, st.booleans(), st.lists(st.integers(0, 300), max_size=6))
def test_round_trip_in_any_pieces(payload, extended, cuts):
    d = Decoder()
    events = [e for piece in pieces(encode(payload, extended), cuts) for e in d.decode(piece)]
    assert events == [(DATA, payload)]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=900), payloads, st.lists(st.integers(0, 2000), max_size=6))
def test_a_frame_behind_noise_is_found(noise, payload, cuts):
    # A false start may hold the frame back until the line falls silent, never longer.
    d = Decoder()
    events = [e for piece in pieces(noise + encode(payload), cuts) for e in d.decode(piece)]
    events += d.gap()
    found = [data for kind, data in events if kind == DATA]
    if b"\x00\xff" not in noise:
        assert events == [(DATA, payload)]
    elif payload not in found:
        # Then the noise began a frame that checks and reaches into ours.
        assert len(found) > 0
    assert not d.pending


@settings(max_examples=EXAMPLES, deadline=None)
@given(payloads, st.integers(1, 280), st.integers(1, 255))
def test_single_byte_damage_is_always_detected(payload, at, flip):
    frame = bytearray(encode(payload))
    frame[1 + at % (len(frame) - 2)] ^= flip
    d = Decoder()
    # One damaged byte cannot give another frame over the same place; what an embedded frame
    # in the payload may give is seen by its length.
    for kind, data in d.decode(frame) + d.gap():
        assert kind != DATA or data == payload or len(data) < len(payload)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=8))
def test_any_stream_is_taken(stream):
    d = Decoder()
    for piece in stream:
        for kind, data in d.decode(piece):
            assert kind == DATA or data == b""
            assert len(data) <= pn532_frame.MAX_PAYLOAD
    d.gap()
    assert not d.pending
