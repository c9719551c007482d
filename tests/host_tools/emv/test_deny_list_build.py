"""Deny lists as the office makes them, read by the firmware's own code."""

import hashlib

import pytest
from flagfall.emv.deny_list import DenyList, DenyListError, apply_delta
from flagfall_host.emv import deny_list_build as build
from hypothesis import given, settings
from hypothesis import strategies as st

SALT = bytes(16)
PANS = st.sets(st.integers(0, 99999).map(lambda n: f"62109480{n:08d}"), max_size=300)


def opened(data: bytes) -> DenyList:
    return DenyList(lambda at, n: data[at : at + n])


@settings(max_examples=50, deadline=None)
@given(PANS, PANS)
def test_delta_makes_the_new_list(before: set[str], after: set[str]) -> None:
    old = build.build(before, [("6200", "6201")], 3, SALT)
    new = build.build(after, [("62005", "6299")], 4, SALT)
    change = build.delta(old, new)
    out = bytearray()
    assert apply_delta(opened(old), lambda at, n: change[at : at + n], out.extend) == 4
    assert bytes(out) == new
    held = opened(bytes(out))
    assert all(pan in held for pan in after)


def test_a_hundred_thousand_entries_and_many_ranges_take_at_most_18_reads() -> None:
    pans = [f"62109481{n:08d}" for n in range(100_000)]
    ranges = [(f"63{n:04d}", f"63{n:04d}") for n in range(0, 4000, 2)]
    data = build.build(pans, ranges, 1, SALT)
    held = opened(data)
    worst = 0
    for pan in pans[::997]:
        assert pan in held
        worst = max(worst, held.reads)
    for n in range(500):
        assert f"62109482{n:08d}" not in held
        worst = max(worst, held.reads)
    assert "6300020000000000" in held and "6300010000000000" not in held
    assert worst <= 18, worst


def test_ranges_are_merged_and_open_ended() -> None:
    held = opened(build.build([], [("621", "621"), ("6210", "6215"), ("622", "6229")], 1, SALT))
    assert held.header.ranges == 1
    assert "6210000000000000" in held and "6229999999999999" in held
    assert "6230000000000000" not in held


def test_what_cannot_be_listed() -> None:
    with pytest.raises(build.BadDenyEntry):
        build.build(["62109480x"], [], 1, SALT)
    with pytest.raises(build.BadDenyEntry):
        build.build([], [("63", "62")], 1, SALT)
    with pytest.raises(build.BadDenyEntry):
        build.build([], [("63000000000", "63")], 1, SALT)
    one, other = build.build([], [], 1, SALT), build.build([], [], 2, bytes([1] * 16))
    with pytest.raises(build.BadDenyEntry):
        build.delta(one, other)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_delta_is_refused_by_type_and_never_grows(data: st.DataObject) -> None:
    """Bytes changed, cut or put in, the header's checksum made good again: refused, or right."""
    old = build.build([f"62109480{n:08d}" for n in range(200)], [("6201", "6201")], 1, SALT)
    new = build.build([f"62109480{n:08d}" for n in range(20, 230)], [("6202", "6203")], 2, SALT)
    change = bytearray(build.delta(old, new))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(5, len(change) - 1))
        change[at] = data.draw(st.integers(0, 255))
    del change[data.draw(st.integers(112, len(change))) :]
    change[80:112] = hashlib.sha256(bytes(change[:80])).digest()
    out = bytearray()
    try:
        apply_delta(opened(old), lambda at, n: bytes(change[at : at + n]), out.extend)
    except DenyListError:
        assert len(out) < 4 * len(new)
    else:
        assert out[48:80] == new[48:80]
