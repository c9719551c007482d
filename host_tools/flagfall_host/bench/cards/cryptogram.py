"""Application cryptograms and their keys (EMV Book 2, 8.1 and A1; JR/T 0025.5).

CVN 01 is UnionPay's, CVN 18 (hex 12) that of Kernel 3 cards. Both are 3DES MACs after ISO/IEC
9797-1 algorithm 3 with padding method 2, 8 bytes long; they differ in session key and input.
"""

from collections.abc import Callable
from functools import lru_cache

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

from flagfall_host.bench.cards.tlv import bcd

# Tags of the terminal's data in the order of the cryptogram's input, AIP and ATC after them.
TERMINAL_DATA = ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37")


@lru_cache(maxsize=64)
def _run(key: bytes, decrypt: bool) -> Callable[[bytes], bytes]:
    # One key of 8 bytes becomes single DES, K1 = K2 = K3. ECB keeps nothing from one block to the
    # next, so one context serves all.
    cipher = Cipher(TripleDES(key * 3 if len(key) == 8 else key + key[:8]), ECB())
    return (cipher.decryptor() if decrypt else cipher.encryptor()).update


def _tdes(key: bytes, data: bytes, *, decrypt: bool = False) -> bytes:
    return _run(key, decrypt)(data)


def card_key(master: bytes, pan: str, psn: int) -> bytes:
    """The unique card key, 16 bytes (option A: PAN and sequence number, rightmost 16 digits)."""
    y = bcd(int((pan + f"{psn:02d}")[-16:]), 16)
    return _tdes(master, y) + _tdes(master, bytes(b ^ 0xFF for b in y))


def session_key(key: bytes, atc: int) -> bytes:
    """UnionPay session key, 16 bytes, of one transaction counter."""
    left, right = atc.to_bytes(8, "big"), (atc ^ 0xFFFF).to_bytes(8, "big")
    return _tdes(key, left) + _tdes(key, right)


def common_session_key(key: bytes, atc: int) -> bytes:
    """EMV common session key (Book 2, A1.3), as CVN 18 uses it."""
    r = atc.to_bytes(2, "big")
    return _tdes(key, r + b"\xf0" + bytes(5)) + _tdes(key, r + b"\x0f" + bytes(5))


def mac(key: bytes, data: bytes) -> bytes:
    """ISO/IEC 9797-1 algorithm 3, padding method 2, 8 bytes, under a 16-byte key."""
    padded = data + b"\x80"
    padded += bytes(-len(padded) % 8)
    block = bytes(8)
    encrypt = _run(key[:8], False)
    for i in range(0, len(padded), 8):
        block = encrypt(bytes(a ^ b for a, b in zip(block, padded[i : i + 8], strict=True)))
    return _tdes(key[:8], _tdes(key[8:], block, decrypt=True))


def cvn01(session: bytes, terminal: dict[str, bytes], aip: bytes, atc: int, cvr: bytes) -> bytes:
    """UnionPay cryptogram; `cvr` is 4 bytes, its length byte 03 first."""
    data = b"".join(terminal[tag] for tag in TERMINAL_DATA)
    return mac(session, data + aip + atc.to_bytes(2, "big") + cvr)


def cvn18(session: bytes, terminal: dict[str, bytes], aip: bytes, atc: int, iad: bytes) -> bytes:
    """Kernel 3 cryptogram; `iad` is the whole of tag 9F10."""
    data = b"".join(terminal[tag] for tag in TERMINAL_DATA)
    return mac(session, data + aip + atc.to_bytes(2, "big") + iad)
