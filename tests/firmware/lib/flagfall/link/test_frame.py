# Frames: what is written is read, whatever stands between and however it is cut.
# MIT licence, (c) 2026 The Flagfall contributors.

import binascii
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

import expect  # noqa: E402
from fake_unit import Stream  # noqa: E402
from flagfall.link import frame  # noqa: E402


def read_all(reader):
    out = []
    for _ in range(100000):
        if not reader.next():
            return out
        out.append((reader.type, reader.seq, bytes(reader.payload)))
    raise AssertionError("the reader never stops")


def drain(reader):
    """All frames, with the calls that a run of false starts costs."""
    out = []
    for _ in range(600):
        out += read_all(reader)
    return out


def sample(rnd, count):
    frames = []
    for _ in range(count):
        size = (0, 1, 16, 200, 2048)[rnd.below(5)]
        payload = b"".join(rnd(32) for _ in range(size // 32 + 1))[:size]
        frames.append((rnd.below(256), rnd.below(65536), payload))
    return frames


def test_the_layout_is_the_one_of_the_formats():
    wire = frame.encode(0x04, 0x1234, b"abc")
    assert wire[:8] == b"\xa5\x5a\x01\x04\x34\x12\x03\x00"
    assert wire[8:11] == b"abc"
    assert wire[11:] == (binascii.crc32(wire[:11]) & 0xFFFFFFFF).to_bytes(4, "little")


def test_no_frame_is_longer_than_2060_bytes():
    assert len(frame.encode(1, 1, bytes(2048))) == frame.MAX_FRAME == 2060
    expect.raises(ValueError, frame.encode, 1, 1, bytes(2049))


def test_frames_cut_anywhere_are_read():
    rnd = Stream(b"cut")
    for _ in range(20):
        frames = sample(rnd, 5)
        wire = b"".join(frame.encode(*f) for f in frames)
        reader = frame.FrameReader()
        got = []
        at = 0
        while at < len(wire):
            n = 1 + rnd.below((3, 50, 1500)[rnd.below(3)])
            reader.feed(wire[at : at + n])
            got += read_all(reader)
            at += n
        assert got == frames
        assert reader.dropped == 0 and reader.bad_crc == 0 and reader.skipped == 0


def test_every_cut_of_one_frame():
    wire = frame.encode(7, 9, b"payload")
    for at in range(len(wire) + 1):
        reader = frame.FrameReader()
        reader.feed(wire[:at])
        first = read_all(reader)
        reader.feed(wire[at:])
        assert first + read_all(reader) == [(7, 9, b"payload")]


def test_noise_between_frames_is_skipped():
    rnd = Stream(b"noise")
    for _ in range(30):
        frames = sample(rnd, 4)
        reader = frame.FrameReader()
        got = []
        for f in frames:
            noise = b"".join(rnd(32) for _ in range(rnd.below(8)))
            noise = noise.replace(b"\xa5\x5a", b"zz") + (b"", b"\xa5", b"\xa5\xa5")[rnd.below(3)]
            reader.feed(noise)
            got += read_all(reader)
            reader.feed(frame.encode(*f))
            got += read_all(reader)
        assert got == frames


def test_false_starts_before_a_frame_do_not_hide_it():
    good = frame.encode(3, 5, b"here")
    for false in (
        b"\xa5\x5a",
        b"\xa5\x5a\x01",
        b"\xa5\x5a\x02\x00\x00\x00\x00\x00",
        b"\xa5\x5a\x01\x04\x00\x00\x01\x08",  # length 2049
        b"\xa5\x5a\x01\x04\x00\x00\x05\x00",  # a short frame, whose CRC will be wrong
        frame.encode(1, 1, b"cut")[:-1],
        frame.encode(1, 1, b"cut")[:6],
    ):
        reader = frame.FrameReader()
        reader.feed(false)
        reader.feed(good)
        reader.feed(bytes(20))
        got = read_all(reader)
        if not got:  # taken for the head of a long frame, until the line is silent
            reader.silence()
            got = read_all(reader)
        assert got == [(3, 5, b"here")], false


def test_a_bit_flipped_anywhere_is_seen_and_the_next_frame_is_read():
    wire = frame.encode(4, 17, b"some payload, not long")
    after = frame.encode(5, 18, b"next")
    for bit in range(len(wire) * 8):
        broken = bytearray(wire)
        broken[bit // 8] ^= 1 << bit % 8
        reader = frame.FrameReader()
        reader.feed(bytes(broken) + after)
        got = read_all(reader)
        if not got:  # the length grew: it waits for bytes that will not come
            reader.silence()
            got = read_all(reader)
        assert got == [(5, 18, b"next")], bit


def test_silence_ends_the_wait_for_a_frame_whose_length_was_damaged():
    reader = frame.FrameReader()
    question = frame.encode(1, 7, bytes(16))
    reader.feed(b"\xa5\x5a\x01\x04\x00\x00\xff\x07" + question)
    assert read_all(reader) == []
    reader.silence()
    assert read_all(reader) == [(1, 7, bytes(16))]


def test_silence_does_not_harm_a_reader_that_waits_for_nothing():
    reader = frame.FrameReader()
    reader.silence()
    wire = frame.encode(1, 7, b"x")
    reader.feed(wire)
    reader.silence()
    assert read_all(reader) == [(1, 7, b"x")]


def test_bytes_beyond_the_buffer_are_dropped_and_counted():
    reader = frame.FrameReader(100)
    reader.feed(bytes(250))
    assert reader.dropped == 150
    assert read_all(reader) == []
    reader.feed(frame.encode(1, 2, b"fits"))
    assert read_all(reader) == [(1, 2, b"fits")]


def test_garbage_of_false_starts_costs_a_bounded_number_of_checks_a_call():
    reader = frame.FrameReader()
    reader.feed(b"\xa5\x5a\x01\x04\x00\x00\x00\x04" * 400)
    before = reader.bad_crc
    reader.next()
    assert 0 < reader.bad_crc - before <= 16
    drain(reader)
    reader.silence()
    reader.feed(frame.encode(1, 2, b"after"))
    for _ in range(600):
        if drain(reader) == [(1, 2, b"after")]:
            return
        reader.silence()
    raise AssertionError("the frame after the garbage was not found")


def test_random_garbage_never_makes_a_frame():
    rnd = Stream(b"garbage")
    reader = frame.FrameReader()
    for _ in range(300):
        reader.feed(b"\xa5\x5a\x01" + rnd(29))
        reader.next()
    assert reader.frames == 0
    assert reader.skipped > 0
