"""RSA certificates and signatures of a card (EMV Book 2, 5.1 to 6.5; JR/T 0025.12 annex B)."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from flagfall_host.bench.cards.keys import RsaKey
from flagfall_host.bench.cards.tlv import tlv


@dataclass(frozen=True)
class Certificate:
    """What the issuer writes into the card: the signed block and what did not fit into it."""

    signed: bytes  # tag 90 or 9F46
    remainder: bytes  # tag 92 or 9F48, empty if the key fitted
    exponent: bytes  # tag 9F32 or 9F47


def _sign(signer: RsaKey, body: bytes, appended: bytes) -> bytes:
    digest = hashlib.sha1(body + appended).digest()
    return signer.sign(b"\x6a" + body + digest + b"\xbc")


def _certify(
    signer: RsaKey, head: bytes, key: RsaKey, overhead: int, hashed: bytes
) -> Certificate:
    room = signer.size - overhead
    inside = key.modulus[:room].ljust(room, b"\xbb")
    remainder = key.modulus[room:]
    head += bytes([1, 1, key.size, len(key.exponent)])  # SHA-1, RSA
    signed = _sign(signer, head + inside, remainder + key.exponent + hashed)
    return Certificate(signed, remainder, key.exponent)


# The same card is made again and again, a city's worth for each seed of a simulation; a signature
# by Python's own integers takes milliseconds.
@lru_cache(maxsize=64)
def issuer_certificate(
    ca: RsaKey, issuer: RsaKey, identifier: str, expiry: str, serial: str
) -> Certificate:
    """Tags 90, 92, 9F32. `identifier`: leftmost PAN digits, `expiry` MMYY, `serial` hex."""
    head = b"\x02" + bytes.fromhex(identifier.ljust(8, "F") + expiry + serial)
    return _certify(ca, head, issuer, 36, b"")


@lru_cache(maxsize=2_048)
def icc_certificate(
    issuer: RsaKey, icc: RsaKey, pan: str, expiry: str, serial: str, static: bytes
) -> Certificate:
    """Tags 9F46, 9F48, 9F47. `static`: the static data to be authenticated, AIP included."""
    head = b"\x04" + bytes.fromhex(pan.ljust(20, "F") + expiry + serial)
    return _certify(issuer, head, icc, 42, static)


def signed_static_data(issuer: RsaKey, code: bytes, static: bytes) -> bytes:
    """Tag 93; `code` is the data authentication code, 2 bytes."""
    body = b"\x03\x01" + code
    return _sign(issuer, body.ljust(issuer.size - 22, b"\xbb"), static)


def signed_dynamic_data(icc: RsaKey, form: int, dynamic: bytes, appended: bytes) -> bytes:
    """Tag 9F4B. `form` is 05 or 95, `dynamic` the ICC dynamic data without its length byte."""
    body = bytes([form, 1, len(dynamic)]) + dynamic
    return _sign(icc, body.ljust(icc.size - 22, b"\xbb"), appended)


def capk_download(rid: str, index: int, key: RsaKey, expiry: str = "20491231") -> bytes:
    """A CA public key in the acquirers' download form; `expiry` YYYYMMDD."""
    about = bytes.fromhex(rid) + bytes([index])
    checksum = hashlib.sha1(about + key.modulus + key.exponent).digest()
    return b"".join(
        (
            tlv("9F06", bytes.fromhex(rid)),
            tlv("9F22", bytes([index])),
            tlv("DF05", bytes.fromhex(expiry)),
            tlv("DF06", b"\x01"),
            tlv("DF07", b"\x01"),
            tlv("DF02", key.modulus),
            tlv("DF04", key.exponent),
            tlv("DF03", checksum),
        )
    )
