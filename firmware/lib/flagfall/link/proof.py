# Proof that both ends hold the unit's key, and the tags of the session's frames.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md sections 1, 5 and 6. `unit` and `host` in the proofs, `U` and `H` in the tags
# keep an end from being shown its own words.

import hashlib

from flagfall.hmac_sha256 import equal, hmac_sha256

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


NONCE = const(16)  # bytes
PROOF = const(16)
TAG = const(8)
FROM_HOST = b"H"
FROM_UNIT = b"U"
NO_PROOF = b"\0" * 16  # of a unit in factory state
_BLOCK = const(64)


def link_key(unit_key):
    """The 32-byte link key of the unit whose key this is."""
    return hmac_sha256(unit_key, b"link")


def journal_key(unit_key):
    """The 32-byte journal key of the unit whose key this is."""
    return hmac_sha256(unit_key, b"journal")


def unit_proof(key, host_nonce, unit_nonce, unit_id):
    """What a unit of this id (bytes) shows to have the link key."""
    return hmac_sha256(key, b"unit", host_nonce, unit_nonce, unit_id)[:PROOF]


def host_proof(key, host_nonce, unit_nonce, unit_id):
    """What the host shows to have the link key of the unit of this id (bytes)."""
    return hmac_sha256(key, b"host", host_nonce, unit_nonce, unit_id)[:PROOF]


def session_key(key, host_nonce, unit_nonce):
    """The 32-byte key of the frames' tags, fresh for each session."""
    return hmac_sha256(key, b"session", host_nonce, unit_nonce)


class Tagger:
    """Makes and checks tags under one session key (32 bytes).

    The two padded keys of HMAC are made once: a tag then costs no loop in Python.
    """

    def __init__(self, key):
        self._inner = bytes(b ^ 0x36 for b in key) + b"\x36" * (_BLOCK - len(key))
        self._outer = bytes(b ^ 0x5C for b in key) + b"\x5c" * (_BLOCK - len(key))

    def tag(self, direction, head, payload):
        """The 8-byte tag; `head` is type and sequence as in the frame (3 bytes)."""
        inner = hashlib.sha256(self._inner)
        inner.update(direction)
        inner.update(head)
        inner.update(payload)
        outer = hashlib.sha256(self._outer)
        outer.update(inner.digest())
        return outer.digest()[:TAG]

    def good(self, direction, head, payload):
        """Whether `payload` (a view) ends in the right tag."""
        n = len(payload) - TAG
        return n >= 0 and equal(self.tag(direction, head, payload[:n]), payload[n:])
