"""The slow hash against CPython's own PBKDF2; the list against damage."""

import contextlib
import hashlib

from flagfall.roster import Roster, RosterError, SlowHash, number_text, pack, packed_number
from hypothesis import given, settings
from hypothesis import strategies as st

numbers = st.text("0123456789", min_size=1, max_size=16)


@given(st.binary(max_size=100), st.binary(max_size=60), st.integers(1, 60), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_it_is_pbkdf2(secret: bytes, salt: bytes, rounds: int, slice: int) -> None:
    work = SlowHash(secret, salt, rounds, slice)
    while work.work():
        pass
    assert work.made == hashlib.pbkdf2_hmac("sha256", secret, salt, rounds)[:8]


@given(st.sets(numbers, max_size=12), st.integers(0, 4))
def test_every_number_is_found_and_no_other(several: set[str], mode: int) -> None:
    drivers = Roster(pack(mode, 1, bytes(16), [(n, b"", b"") for n in several]))
    assert len(drivers) == len(several)
    assert all(drivers.knows(n) for n in several)
    assert all(drivers.knows(n + "0") == (n + "0" in several) for n in several)
    assert all(number_text(packed_number(n)) == n for n in several)


@given(st.data(), st.integers(0, 255))
def test_damage_is_an_error_or_another_list(data: st.DataObject, byte: int) -> None:
    blob = bytearray(pack(3, 20, bytes(16), [(str(n), bytes(8), b"12345678") for n in range(5)]))
    blob[data.draw(st.integers(0, len(blob) - 1))] = byte
    with contextlib.suppress(RosterError):
        Roster(bytes(blob)).driver_of(b"12345678")


@given(st.binary(max_size=80))
def test_noise_is_an_error(noise: bytes) -> None:
    with contextlib.suppress(RosterError):
        Roster(b"FFDR\x01" + noise)
