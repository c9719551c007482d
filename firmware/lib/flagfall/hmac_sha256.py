# HMAC-SHA256 (RFC 2104, FIPS 198-1): MicroPython has hashlib but no hmac module.
# MIT licence, (c) 2026 The Flagfall contributors.

import hashlib

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_BLOCK = const(64)  # SHA-256 block, bytes
_INNER = int.from_bytes(b"\x36" * 64, "little")
_OUTER = int.from_bytes(b"\x5c" * 64, "little")


# (key, its inner block, its outer block) of the last call: a journal has one key for all of its
# records. Replaced as a whole, so that threads with different keys do not mix them.
_last = [(None, b"", b"")]


def pads(key):
    """The key (any length) as the blocks that the inner and the outer hash begin with."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    # As one integer: byte by byte it takes longer than the hashing.
    number = int.from_bytes(key, "little")
    inner, outer = number ^ _INNER, number ^ _OUTER
    return inner.to_bytes(_BLOCK, "little"), outer.to_bytes(_BLOCK, "little")


def hmac_sha256(key, *parts):
    """Return the 32-byte HMAC-SHA256 of the concatenated `parts` under `key` (any length)."""
    last = _last[0]
    if key != last[0]:
        last = _last[0] = (bytes(key),) + pads(key)
    inner = hashlib.sha256(last[1])
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256(last[2])
    outer.update(inner.digest())
    return outer.digest()


def equal(a, b):
    """Compare two byte strings in time that depends on their length only."""
    if len(a) != len(b):
        return False
    differs = 0
    for i in range(len(a)):
        differs |= a[i] ^ b[i]
    return differs == 0
