"""Signed files made by the office's tool and checked by the firmware; and noise."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flagfall.signed_file import Header, SignedFileError
from flagfall_host.depot.signed_files import sign_file
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = rsa.generate_private_key(65_537, 2_048)
NUMBERS = KEY.public_key().public_numbers()


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 0xFFFFFFFF), st.sampled_from(["", "CAB-17"]))
def test_what_the_office_signs_the_unit_takes(content: bytes, version: int, unit_id: str) -> None:
    file = sign_file(KEY, "texts", content, version, 1, unit_id)
    header = Header(file)
    header.check((NUMBERS.n, NUMBERS.e), "texts", "CAB-17")
    assert header.version == version and file[header.size :] == content
    assert header.sha256 == hashlib.sha256(content).digest()


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=700))
def test_noise_is_refused_by_type(noise: bytes) -> None:
    for data in (noise, b"FFSG" + noise, b"FFSG\x01" + noise):
        try:
            header = Header(data)
        except SignedFileError:
            continue
        with pytest.raises(SignedFileError):
            header.check((NUMBERS.n, NUMBERS.e), "texts", "CAB-17")
