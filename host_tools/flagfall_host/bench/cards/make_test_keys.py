"""Makes `test_keys.json`, the keys of every bench card. Run it only to replace them all.

    python -m flagfall_host.bench.cards.make_test_keys

The keys are public by design: they stand in the repository so that cards answer alike in every
run. They must never be loaded into a unit that trades. Sizes that a card scheme uses but a
library refuses (1976 and 1984 bit are multiples of 8, not of 64) come from our own search.
"""

import json
import math
import random
import secrets
from pathlib import Path

from flagfall_host.bench.cards import sm2

_FILE = Path(__file__).with_name("test_keys.json")

# name, bits, public exponent; sixteen primes instead of two if a simulated city signs with it
_RSA = (
    ("ca-1152", 1152, 3),
    ("ca-1408", 1408, 3),
    ("ca-1984", 1984, 3),
    ("ca-unknown", 1408, 3),
    ("ca-visitor", 1408, 3),
    ("issuer-1024", 1024, 3),
    ("issuer-1152", 1152, 3),
    ("issuer-1408", 1408, 3),
    ("issuer-1976", 1976, 3),
    ("issuer-revoked", 1152, 3),
    ("issuer-visitor", 1408, 3),
    ("icc-1024", 1024, 3),
    ("icc-1152", 1152, 3),
    ("icc-1408", 1408, 65537),
    ("icc-1976", 1976, 3),
    ("icc-visitor", 1152, 3),
    ("icc-quick-1024", 1024, 3, 16),
    ("icc-quick-1152", 1152, 3, 16),
    ("icc-quick-1408", 1408, 65537, 16),
)
_SM2 = ("ca-sm2", "issuer-sm2", "icc-sm2")
_MASTER = ("test_imk_ac", "test_imk_mac")


def _probably_prime(n: int) -> bool:
    for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47):
        if n % small == 0:
            return n == small
    d, r = n - 1, 0
    while d % 2 == 0:
        d, r = d // 2, r + 1
    for _ in range(40):
        x = pow(random.SystemRandom().randrange(2, n - 1), d, n)
        if x in (1, n - 1):
            continue
        for _ in range(r - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def _prime(bits: int, e: int, top: int) -> int:
    # So many top bits are set that the product of all mostly has exactly the sum of their bits.
    while True:
        p = secrets.randbits(bits) | (((1 << top) - 1) << (bits - top)) | 1
        if (p - 1) % e and _probably_prime(p):
            return p


def _rsa(bits: int, e: int, count: int = 2) -> dict[str, object]:
    primes = [_prime(bits // count, e, count.bit_length()) for _ in range(count)]
    if len(set(primes)) < count or math.prod(primes).bit_length() != bits:
        return _rsa(bits, e, count)
    return {"bits": bits, "e": e, "primes": [f"{prime:X}" for prime in primes]}


def main() -> None:
    keys = {
        "note": "TEST KEYS of the bench cards. Public. Never load them into a unit that trades.",
        "rsa": {name: _rsa(*settings) for name, *settings in _RSA},
        "sm2": {name: f"{secrets.randbelow(sm2.N - 2) + 1:064X}" for name in _SM2},
        "master": {name: secrets.token_hex(16).upper() for name in _MASTER},
    }
    _FILE.write_text(json.dumps(keys, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
