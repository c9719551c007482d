"""Message authentication codes of DE64, and the DES under them.

UnionPay ECB: XOR of all 8-byte blocks, its 16 hex characters through DES twice, the first 8 hex
characters of the result. X9.19: ISO/IEC 9797-1 algorithm 3, zero padding, first 4 bytes as hex.
"""

import functools
from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.modes import ECB

from flagfall_host.acquirer.errors import KeysError

_BLOCK = 8

# What makes DE64 (8 ASCII characters) of the bytes that it covers, wherever its key is.
Mac = Callable[[bytes], bytes]
Des = Callable[[bytes], bytes]  # whole blocks in, whole blocks out, under a key that it holds


def tdes(key: bytes, data: bytes, *, decrypt: bool = False) -> bytes:
    """ECB under a key of 8 bytes (single DES), 16 or 24. `data` in whole blocks."""
    cipher = _cipher(key)
    end = cipher.decryptor() if decrypt else cipher.encryptor()
    return end.update(data) + end.finalize()


def check_value(key: bytes) -> bytes:
    """The first 4 bytes of eight zero bytes encrypted under `key`."""
    return tdes(key, bytes(_BLOCK))[:4]


def unionpay_ecb(encrypt: Des, data: bytes) -> bytes:
    """DE64 by UnionPay's scheme; `encrypt` is DES or, under a double-length key, 3DES."""
    folded = 0
    for block in blocks(data):
        folded ^= int.from_bytes(block, "big")
    text = f"{folded:016X}".encode()
    half = _xor(encrypt(text[:_BLOCK]), text[_BLOCK:])
    return encrypt(half).hex().upper().encode()[:_BLOCK]


def x9_19(encrypt: Des, decrypt_right: Des, data: bytes) -> bytes:
    """DE64 by X9.19: `encrypt` under the key's left half, `decrypt_right` under its right one.

    With a single-length key both halves are that key, which makes it X9.9.
    """
    chain = bytes(_BLOCK)
    for block in blocks(data):
        chain = encrypt(_xor(chain, block))
    chain = encrypt(decrypt_right(chain))
    return chain[:4].hex().upper().encode()


def under_key(variant: str, key: bytes) -> Mac:
    """The MAC of profile `variant` under a key in memory. Raises KeysError for its length."""
    if variant == "x9.19":
        left, right = (_cipher(half) for half in halves(key))
        return functools.partial(x9_19, _run(left.encryptor()), _run(right.decryptor()))
    return functools.partial(unionpay_ecb, _run(_cipher(key).encryptor()))


def halves(key: bytes) -> tuple[bytes, bytes]:
    """The two DES keys of X9.19. Raises KeysError."""
    if len(key) not in (8, 16):
        raise KeysError(f"X9.19 needs a MAC key of 8 or 16 bytes, not {len(key)}")
    return key[:8], key[-8:]


def _cipher(key: bytes) -> Cipher[ECB]:
    whole = {8: key * 3, 16: key + key[:8], 24: key}.get(len(key))
    if whole is None:
        raise KeysError(f"a DES key has 8, 16 or 24 bytes, not {len(key)}")
    return Cipher(TripleDES(whole), ECB())  # noqa: S305 - the scheme is the acquirer's


def _run(end: CipherContext) -> Des:
    """ECB keeps nothing from one block to the next, so one context serves all messages."""
    return end.update


def blocks(data: bytes) -> list[bytes]:
    """`data` in blocks of 8 bytes, zero-padded."""
    padded = data + bytes(-len(data) % _BLOCK)
    return [padded[i : i + _BLOCK] for i in range(0, len(padded), _BLOCK)]


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(_BLOCK, "big")
