from flagfall.jt905.frame import MAX_DATA, Parser, encode
from hypothesis import given
from hypothesis import strategies as st

_frames = st.builds(
    encode,
    st.integers(0, 0xFFFF),
    st.binary(max_size=80),
    st.integers(0, 255),
    st.integers(0, 255),
)


@given(st.lists(st.one_of(st.binary(max_size=200), _frames)), st.integers(1, 50))
def test_any_stream_gives_only_frames_that_check_and_holds_little(pieces, size) -> None:
    parser = Parser()
    stream = b"".join(pieces)
    found = []
    for at in range(0, len(stream), size):
        found += parser.feed(stream[at : at + size])
        assert len(parser._held) <= MAX_DATA + 11
    found += parser.silence()
    taken = 0
    for type_, vendor, command, data in found:
        raw = encode(command, data, type_, vendor)
        assert raw in stream
        taken += len(raw)
    assert taken + parser.skipped == len(stream)


@given(st.lists(_frames, min_size=1), st.integers(1, 50))
def test_good_frames_all_arrive(frames, size) -> None:
    parser = Parser()
    stream = b"".join(frames)
    found = []
    for at in range(0, len(stream), size):
        found += parser.feed(stream[at : at + size])
    assert [encode(c, d, t, v) for t, v, c, d in found] == frames
