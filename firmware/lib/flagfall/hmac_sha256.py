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


def hmac_sha256(key, *parts):
    """Return the 32-byte HMAC-SHA256 of the concatenated `parts` under `key` (any length)."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    # As one integer: byte by byte it takes longer than the hashing.
    number = int.from_bytes(key, "little")
    inner = hashlib.sha256((number ^ _INNER).to_bytes(_BLOCK, "little"))
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256((number ^ _OUTER).to_bytes(_BLOCK, "little"))
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
