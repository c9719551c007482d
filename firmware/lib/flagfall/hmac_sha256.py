# HMAC-SHA256 (RFC 2104, FIPS 198-1): MicroPython has hashlib but no hmac module.
# MIT licence, (c) 2026 The Flagfall contributors.

import hashlib

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_BLOCK = const(64)  # SHA-256 block, bytes


def hmac_sha256(key, *parts):
    """Return the 32-byte HMAC-SHA256 of the concatenated `parts` under `key` (any length)."""
    if len(key) > _BLOCK:
        key = hashlib.sha256(key).digest()
    pad = bytearray(_BLOCK)
    for i in range(_BLOCK):
        pad[i] = 0x36
    for i in range(len(key)):
        pad[i] = key[i] ^ 0x36
    inner = hashlib.sha256(pad)
    for part in parts:
        inner.update(part)
    for i in range(_BLOCK):
        pad[i] ^= 0x6A  # 0x36 ^ 0x5C
    outer = hashlib.sha256(pad)
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
