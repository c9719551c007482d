# PN532 frames against published and computed byte strings, and hunting through noise.
# MIT licence, (c) 2026 The Flagfall contributors.

import json

import expect
from flagfall import pn532_frame
from flagfall.pn532_frame import ACK_FRAME, DAMAGED, DATA, ERROR_FRAME, NACK_FRAME, Decoder, encode

VECTORS = "/".join(__file__.split("/")[:-4]) + "/vectors/pn532-frames.json"


def vectors():
    with open(VECTORS) as f:
        return json.load(f)


def payload_of(length, seed=1):
    out = bytearray(length)
    x = seed
    for i in range(length):
        x = (x * 75 + 74) % 65537
        out[i] = x & 0xFF
    out[0] = 0xD5
    return bytes(out)


def good(events):
    return [e for e in events if e[0] != DAMAGED]


def test_published_frames_are_built_byte_for_byte():
    book = vectors()
    seen = 0
    for group in ("normal", "extended"):
        for v in book[group]:
            for side in ("host", "chip"):
                if side + "_frame" not in v:
                    continue
                payload = bytes.fromhex(v[side + "_payload"])
                frame = bytes.fromhex(v[side + "_frame"])
                assert encode(payload, group == "extended") == frame, v["name"]
                assert Decoder().decode(frame) == [(DATA, payload)], v["name"]
                seen += 1
    assert seen >= 20


def test_frames_without_data():
    book = vectors()
    assert bytes.fromhex(book["ack"]) == pn532_frame.ACK
    assert bytes.fromhex(book["nack"]) == pn532_frame.NACK
    assert bytes.fromhex(book["error_frame"]) == pn532_frame.ERROR
    stream = pn532_frame.ACK + pn532_frame.NACK + pn532_frame.ERROR
    assert Decoder().decode(stream) == [(ACK_FRAME, b""), (NACK_FRAME, b""), (ERROR_FRAME, b"")]


def test_every_length_comes_back_whole_and_byte_by_byte():
    for n in range(1, 266):
        payload = payload_of(n)
        for extended in (False, True):
            frame = encode(payload, extended)
            assert Decoder().decode(frame) == [(DATA, payload)]
        d = Decoder()
        events = []
        for i in range(len(frame)):
            events += d.decode(frame[i : i + 1])
        assert events == [(DATA, payload)]
        d.gap()
        assert not d.pending


def test_a_lost_zero_byte_is_seen_by_the_missing_postamble():
    payload = b"\xd5\x41\x00\x00\x02\x90\x00"
    frame = encode(payload)
    strict = Decoder(postamble=True)
    assert strict.decode(frame) == [(DATA, payload)]
    for at in range(5, len(frame)):
        shorter = frame[:at] + frame[at + 1 :]
        d = Decoder(postamble=True)
        events = d.decode(shorter) + d.gap()
        assert [e[0] for e in events if e[0] == DATA] == [], at
    assert Decoder().decode(frame[:-1]) == [(DATA, payload)]


def test_too_long_or_empty_is_refused():
    expect.raises(pn532_frame.FrameTooLong, encode, b"")
    expect.raises(pn532_frame.FrameTooLong, encode, bytes(266))


def test_normal_frames_end_at_255_bytes():
    assert encode(payload_of(255))[3:5] == b"\xff\x01"
    assert encode(payload_of(256))[3:8] == b"\xff\xff\x01\x00\xff"


def test_preamble_and_postamble_of_any_length():
    payload = payload_of(9)
    core = encode(payload)[1:-1]
    assert good(Decoder().decode(core)) == [(DATA, payload)]
    stream = bytes(50) + core + bytes(50) + core
    assert good(Decoder().decode(stream)) == [(DATA, payload)] * 2


def test_frame_behind_noise_that_looks_like_a_start():
    payload = payload_of(12)
    for noise in (
        b"\x00\xff\x02\xfe",
        b"\x00\xff\x05\xfb\xd5",
        b"\x00\xff\x12\x34",
        b"\xff\xff\x00",
    ):
        for frame, kind in ((encode(payload), DATA), (pn532_frame.ACK, ACK_FRAME)):
            d = Decoder()
            events = d.decode(noise + frame)
            events += d.gap()
            assert [e[0] for e in good(events)] == [kind], noise


def test_a_false_start_that_waits_for_more_gives_way_to_a_silent_line():
    d = Decoder()
    frame = encode(payload_of(12))
    assert d.decode(b"\x00\xff\xf0\x10" + frame) == []
    assert d.pending
    events = d.gap()
    assert events[0][0] == DAMAGED
    assert good(events) == [(DATA, payload_of(12))]
    assert not d.pending


def test_a_length_beyond_the_chip_is_damage():
    d = Decoder()
    assert d.decode(b"\x00\xff\xff\xff\x01\x0a\xf5")[0][0] == DAMAGED
    assert d.decode(b"\x00\xff\x00\x00")[0][0] == DAMAGED


def test_any_single_damaged_byte_never_yields_another_payload():
    for n in (1, 2, 9, 254, 255, 256, 265):
        payload = payload_of(n, 7)
        frame = encode(payload)
        for i in range(1, len(frame) - 1):
            for flip in (0x01, 0x80, 0xFF):
                bad = bytearray(frame)
                bad[i] ^= flip
                d = Decoder()
                events = d.decode(bad)
                events += d.gap()
                # The first preamble byte is spare: damage there is none.
                for kind, data in events:
                    assert kind != DATA or data == payload, (n, i, flip)


def test_the_buffer_stays_bounded_under_endless_noise():
    d = Decoder()
    for _ in range(50):
        d.decode(b"\x00\xff\xff\xff\x01\x09\xf6" + bytes(range(1, 200)))
    d.gap()
    assert not d.pending


def test_whole_frames_and_nothing_else():
    for n in (1, 2, 60, 254, 255):
        payload = bytes([(i * 7 + n) & 0xFF for i in range(n)])
        frame = pn532_frame.encode(payload)
        assert pn532_frame.whole(frame) == payload and pn532_frame.missing(frame) == 0
        for cut in range(5, len(frame)):
            assert pn532_frame.whole(frame[:cut]) is None
            assert pn532_frame.missing(frame[:cut]) == len(frame) - cut
        for at in range(len(frame)):
            spoilt = bytearray(frame)
            spoilt[at] ^= 0x41
            assert pn532_frame.whole(bytes(spoilt)) is None, (n, at)
        for other in (b"\x00" + frame, frame + b"\x00", frame + frame, frame[1:]):
            assert pn532_frame.whole(other) is None
    extended = pn532_frame.encode(bytes(100), extended=True)
    for other in (
        b"",
        b"\x00",
        pn532_frame.ACK,
        pn532_frame.NACK,
        extended,
        pn532_frame.encode(bytes(256)),
    ):
        assert pn532_frame.whole(other) is None and pn532_frame.missing(other) == 0
