"""The test keys are what they say they are."""

import json

import pytest
from flagfall_host.bench.cards import keys

RSA = json.loads(keys.TEST_KEYS.read_text(encoding="ascii"))["rsa"]


@pytest.mark.parametrize("name", RSA)
def test_a_key_has_the_bits_it_says_and_signs(name: str) -> None:
    key = keys.rsa(name)
    assert key.n.bit_length() == RSA[name]["bits"]
    block = (key.n - 5).to_bytes(key.size, "big")
    signed = int.from_bytes(key.sign(block), "big")
    assert pow(signed, key.e, key.n) == key.n - 5
