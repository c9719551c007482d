"""SM2 certificates and signatures of a card (PBOC 3.0, formats 12 to 15).

Nothing is recovered from them: they stand in clear and end with the signature. Format 15, the
dynamic signature, is built by analogy with the others: no public vector shows one.
"""

from flagfall_host.bench.cards.keys import Sm2Key
from flagfall_host.bench.cards.tlv import tlv

_ALGORITHMS = bytes.fromhex("04001140")  # SM2 with SM3, no encryption, curve 11, 64-byte key


def issuer_certificate(
    ca: Sm2Key, issuer: Sm2Key, identifier: str, expiry: str, serial: str
) -> bytes:
    """Tag 90, 142 bytes; the signature is over the 78 before it."""
    head = bytes.fromhex("12" + identifier.ljust(8, "F") + expiry + serial)
    message = head + _ALGORITHMS + issuer.public
    return message + ca.sign(message)


def icc_certificate(
    issuer: Sm2Key, icc: Sm2Key, pan: str, expiry: str, serial: str, static: bytes
) -> bytes:
    """Tag 9F46, 148 bytes; the signature is over the 84 before it and the static data with AIP."""
    message = bytes.fromhex("14" + pan.ljust(20, "F") + expiry + serial) + _ALGORITHMS + icc.public
    return message + issuer.sign(message + static)


def signed_static_data(issuer: Sm2Key, code: bytes, static: bytes) -> bytes:
    """Tag 93, 67 bytes; `code` is the data authentication code, 2 bytes."""
    message = b"\x13" + code
    return message + issuer.sign(message + static)


def signed_dynamic_data(icc: Sm2Key, dynamic: bytes, appended: bytes) -> bytes:
    """Tag 9F4B: 15, length, dynamic data, signature over these and what the terminal knows."""
    message = bytes([0x15, len(dynamic)]) + dynamic
    return message + icc.sign(message + appended)


def capk_download(rid: str, index: int, key: Sm2Key, expiry: str = "20491231") -> bytes:
    """A CA public key in download form. It has no exponent, and SM2 keys no agreed checksum."""
    return b"".join(
        (
            tlv("9F06", bytes.fromhex(rid)),
            tlv("9F22", bytes([index])),
            tlv("DF05", bytes.fromhex(expiry)),
            tlv("DF06", b"\x07"),
            tlv("DF07", b"\x04"),
            tlv("DF02", key.public),
        )
    )
