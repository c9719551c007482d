"""Message authentication codes of DE64, and the DES under them.

UnionPay ECB: XOR of all 8-byte blocks, its 16 hex characters through DES twice, the first 8 hex
characters of the result. X9.19: ISO/IEC 9797-1 algorithm 3, zero padding, first 4 bytes as hex.
"""

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

from flagfall_host.acquirer.errors import KeysError

_BLOCK = 8


def tdes(key: bytes, data: bytes, *, decrypt: bool = False) -> bytes:
    """ECB under a key of 8 bytes (single DES), 16 or 24. `data` in whole blocks."""
    whole = {8: key * 3, 16: key + key[:8], 24: key}.get(len(key))
    if whole is None:
        raise KeysError(f"a DES key has 8, 16 or 24 bytes, not {len(key)}")
    cipher = Cipher(TripleDES(whole), ECB())  # noqa: S305 - the scheme is the acquirer's
    end = cipher.decryptor() if decrypt else cipher.encryptor()
    return end.update(data) + end.finalize()


def check_value(key: bytes) -> bytes:
    """The first 4 bytes of eight zero bytes encrypted under `key`."""
    return tdes(key, bytes(_BLOCK))[:4]


def unionpay_ecb(key: bytes, data: bytes) -> bytes:
    """DE64, 8 ASCII characters. With a 16-byte key 3DES takes DES's place."""
    folded = bytes(_BLOCK)
    for block in _blocks(data):
        folded = _xor(folded, block)
    text = folded.hex().upper().encode()
    half = _xor(tdes(key, text[:_BLOCK]), text[_BLOCK:])
    return tdes(key, half).hex().upper().encode()[:_BLOCK]


def x9_19(key: bytes, data: bytes) -> bytes:
    """DE64, 8 ASCII characters, under a 16-byte key."""
    if len(key) != 16:
        raise KeysError("X9.19 needs a MAC key of 16 bytes")
    chain = bytes(_BLOCK)
    for block in _blocks(data):
        chain = tdes(key[:8], _xor(chain, block))
    chain = tdes(key[:8], tdes(key[8:], chain, decrypt=True))
    return chain[:4].hex().upper().encode()


def de64(variant: str, key: bytes, data: bytes) -> bytes:
    """The MAC of `data`: MTI up to, not including, DE64, with bit 64 of the bitmap set."""
    return x9_19(key, data) if variant == "x9.19" else unionpay_ecb(key, data)


def _blocks(data: bytes) -> list[bytes]:
    padded = data + bytes(-len(data) % _BLOCK)
    return [padded[i : i + _BLOCK] for i in range(0, len(padded), _BLOCK)]


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))
