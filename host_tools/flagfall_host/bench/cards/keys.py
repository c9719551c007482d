"""The test keys of the bench cards, read from `test_keys.json` beside this file."""

import json
import math
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from operator import mul
from pathlib import Path

from flagfall_host.bench.cards import sm2

TEST_KEYS = Path(__file__).with_name("test_keys.json")


@dataclass(frozen=True)
class RsaKey:
    """An RSA key of any size in whole bytes, of two primes or of several smaller ones, with which
    Python signs faster (RFC 8017, 3.2)."""

    primes: tuple[int, ...]
    e: int

    @cached_property
    def n(self) -> int:
        return math.prod(self.primes)

    @cached_property
    def size(self) -> int:
        """Bytes of the modulus."""
        return (self.n.bit_length() + 7) // 8

    @property
    def modulus(self) -> bytes:
        return self.n.to_bytes(self.size, "big")

    @property
    def exponent(self) -> bytes:
        """Public exponent as the tags 9F32, 9F47 and DF04 carry it: 03 or 010001."""
        return self.e.to_bytes((self.e.bit_length() + 7) // 8, "big")

    @cached_property
    def _private(self) -> list[tuple[int, int, int, int]]:
        """For each prime: itself, its private exponent, the product of those before it and the
        inverse of that."""
        before = list(accumulate(self.primes[:-1], mul, initial=1))
        return [
            (prime, pow(self.e, -1, prime - 1), product, pow(product, -1, prime))
            for prime, product in zip(self.primes, before, strict=True)
        ]

    def sign(self, block: bytes) -> bytes:
        """The private operation on a block of `size` bytes (EMV Book 2, B2.1.2)."""
        if len(block) != self.size:
            raise ValueError(f"block of {len(block)} bytes under a key of {self.size}")
        m = int.from_bytes(block, "big")
        s = 0
        for prime, exponent, product, inverse in self._private:
            s += product * ((pow(m, exponent, prime) - s) * inverse % prime)
        return s.to_bytes(self.size, "big")


@dataclass(frozen=True)
class Sm2Key:
    private: int

    @property
    def public(self) -> bytes:
        """X and Y, 64 bytes."""
        return sm2.public_key(self.private)

    def sign(self, message: bytes) -> bytes:
        return sm2.sign(self.private, message)


@cache
def _file() -> dict[str, dict]:
    return json.loads(TEST_KEYS.read_text(encoding="ascii"))


@cache
def rsa(name: str) -> RsaKey:
    """The RSA test key `name`, such as "issuer-1152"."""
    entry = _file()["rsa"][name]
    primes = tuple(int(prime, 16) for prime in entry["primes"])
    return RsaKey(primes, entry["e"])


@cache
def sm2_key(name: str) -> Sm2Key:
    """The SM2 test key `name`, such as "issuer-sm2"."""
    return Sm2Key(int(_file()["sm2"][name], 16))


def issuer_keys() -> dict[str, bytes]:
    """The test issuer's master keys, 16 bytes each, by name.

    `test_imk_ac` derives the cryptogram keys of every card (EMV Book 2, A1.4.1 option A),
    `test_imk_mac` those of the MAC over the issuer discretionary data in 9F10.
    """
    return {name: bytes.fromhex(value) for name, value in _file()["master"].items()}
