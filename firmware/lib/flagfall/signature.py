# RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 8.2), the checking half: what the office signed.
# MIT licence, (c) 2026 The Flagfall contributors.

import hashlib

# DigestInfo of SHA-256 (RFC 8017 9.2, note 1)
_DIGEST_INFO = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"


def size(public_key):
    """Bytes of a signature by the key (n, e)."""
    return len("%x" % public_key[0]) + 1 >> 1


def good(public_key, signature, message):
    """Whether `signature` is that of `message` (bytes) under the key (n, e)."""
    n, e = public_key
    k = size(public_key)
    if len(signature) != k:
        return False
    value = int.from_bytes(signature, "big")
    tail = b"\0" + _DIGEST_INFO + hashlib.sha256(message).digest()
    expected = b"\0\x01" + b"\xff" * (k - len(tail) - 2) + tail
    return value < n and pow(value, e, n).to_bytes(k, "big") == expected
