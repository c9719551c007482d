"""Sealing against the cryptography package, which knows nothing of ours."""

import os

import pytest
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from flagfall import seal
from flagfall.journal import schema
from hypothesis import given, settings
from hypothesis import strategies as st

OAEP = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
KEY = rsa.generate_private_key(65537, 2048)


def der_of(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(("bits", "exponent"), [(2048, 65537), (2048, 3), (3072, 65537)])
def test_oaep_and_aes_open_with_cryptography(bits, exponent):
    key = rsa.generate_private_key(exponent, bits)
    sealer = seal.Sealer(der_of(key), os.urandom, 7)
    fields = schema.unpack(schema.KEY, sealer.key_record_body())
    data_key = key.decrypt(fields["wrapped"], OAEP)
    assert len(data_key) == 32
    for n in (0, 1, 16, 257):
        plain = os.urandom(n)
        sealed = sealer.seal(plain)
        assert sealed[:2] == b"\x07\x00"
        decryptor = Cipher(algorithms.AES(data_key), modes.CBC(sealed[2:18])).decryptor()
        unpadder = padding.PKCS7(128).unpadder()
        padded = decryptor.update(sealed[18:]) + decryptor.finalize()
        assert unpadder.update(padded) + unpadder.finalize() == plain


def test_der_is_that_of_cryptography():
    for bits in (2048, 3072, 4096):
        key = rsa.generate_private_key(65537, bits)
        numbers = key.public_key().public_numbers()
        assert seal.parse_public_key(der_of(key)) == (numbers.n, numbers.e)
        assert seal.build_public_key(numbers.n, numbers.e) == der_of(key)


def test_other_kinds_of_key_are_refused():
    with pytest.raises(seal.SealError, match="not an RSA key"):
        seal.Sealer(der_of(ec.generate_private_key(ec.SECP256R1())), os.urandom)
    with pytest.raises(seal.SealError):
        seal.Sealer(
            KEY.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.PKCS1
            ),
            os.urandom,
        )


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_key_or_a_typed_error(data):
    try:
        seal.parse_public_key(data)
    except seal.SealError:
        pass
    else:
        raise AssertionError("random bytes were taken for a key")
