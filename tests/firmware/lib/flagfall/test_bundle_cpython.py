"""Bundles damaged at random: an error of the family, or a table that is in order."""

import io

from flagfall import bundle
from flagfall.bundle import BundleError, Head
from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = bundle.pack(
    "bench",
    "1.0",
    bytes(32),
    {f"flagfall/meter/{name}.mpy": name.encode() for name in ("fare", "tariff")},
    {f"app/{name}.mpy": name.encode() * 9 for name in ("keys", "link", "meter")},
)


def read(data: bytes) -> None:
    try:
        head = Head(data)
        stream = io.BytesIO(data)
        stream.seek(head.size)
        found = list(bundle.rows(head, stream.read))
    except BundleError:
        return
    paths = [row[0] for row in found]
    assert len(set(paths)) == len(paths) == head.measuring + head.others
    assert all(".." not in p and not p.startswith("/") and p.endswith(".mpy") for p in paths)
    assert sum(row[1] for row in found) <= bundle.MAX_BUNDLE


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=6))
def test_bytes_that_were_changed(at: int, noise: bytes) -> None:
    read(GOOD[:at] + noise + GOOD[at + len(noise) :])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_noise_behind_a_good_beginning(noise: bytes) -> None:
    read(b"FFPB\x01\x00" + noise)
    read(noise)
