# SM2 certificates and signatures of dual-algorithm cards (PBOC 3.0, JR/T 0025.17).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Nothing is recovered: certificates stand in clear, r || s behind them. Formats 13 and 14 are
# verified on a real personalisation; 12 is read by analogy, since its CA key is not public.
# Format 15 (dynamic signature) is OUR DEFINITION by analogy with RSA format 05, there being no
# public text: 15 | length | dynamic data | r || s over 15 | length | dynamic data | tail.

from flagfall.emv import bcd
from flagfall.emv.oda_rsa import OdaError
from flagfall.emv.sm2 import verify

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_SIGNATURE = const(64)
_KEY = const(64)
_PARAMETERS = b"\x04\x00\x11\x40"  # SM2 with SM3, no encryption, curve 11, 64 bytes
FORMAT_DYNAMIC = 0x15


class Sm2Key:
    """A certified public key: `point` (X || Y), `serial`, `expiry` (months since year 0),
    `owner` (digits)."""

    def __init__(self, point, serial, expiry, owner):
        self.point = point
        self.serial = serial
        self.expiry = expiry
        self.owner = owner


def _read(certificate, kind, owner_size, reason):
    """(key, length of the signed head) of a certificate in clear."""
    head = owner_size + 10 + _KEY  # format, owner, MMYY, SN3, parameters 4, key
    if len(certificate) != head + _SIGNATURE or certificate[0] != kind:
        raise OdaError(reason, "not an SM2 certificate of format %02X" % kind)
    at = 1 + owner_size
    if certificate[at + 5 : at + 9] != _PARAMETERS:
        raise OdaError(reason, "algorithm or curve is not known")
    try:
        owner = bcd.digits(certificate[1:at])
        expiry = bcd.mmyy(certificate[at : at + 2])
    except ValueError:
        raise OdaError(reason, "number or date makes no sense") from None
    point = bytes(certificate[head - _KEY : head])
    return Sm2Key(point, bytes(certificate[at + 2 : at + 5]), expiry, owner), head


def issuer_key(capk, certificate, remainder, exponent):
    """Check tag 90 (142 bytes) with the CA's point. Raises OdaError.

    `remainder` and `exponent` (92, 9F32) do not exist for SM2 and are not looked at.
    """
    key, head = _read(certificate, 0x12, 4, "issuer-cert")
    if not 3 <= len(key.owner) <= 8:
        raise OdaError("issuer-cert", "issuer number has no 3 to 8 digits")
    if not verify(capk.modulus, certificate[head:], certificate[:head]):
        raise OdaError("issuer-cert", "SM2 signature does not verify")
    return key


def icc_key(issuer, certificate, remainder, exponent, static):
    """Check tag 9F46 (148 bytes) and the static data under it. Raises OdaError."""
    key, head = _read(certificate, 0x14, 10, "card-cert")
    if not verify(issuer.point, certificate[head:], certificate[:head], *static):
        raise OdaError("card-cert", "SM2 signature does not verify")
    return key


def static_signature(issuer, signature, static):
    """Check tag 93 (67 bytes) and return the data authentication code, 2 bytes."""
    if len(signature) != 3 + _SIGNATURE or signature[0] != 0x13:
        raise OdaError("card-cert", "not an SM2 static signature")
    if not verify(issuer.point, signature[3:], signature[:3], *static):
        raise OdaError("card-cert", "SM2 signature does not verify")
    return bytes(signature[1:3])


class Dynamic:
    """A dynamic signature of format 15. Same use as oda_rsa.Dynamic."""

    def __init__(self, point, number, signature):
        self.format = FORMAT_DYNAMIC
        self.point = point
        self.number = number
        self.signature = signature

    def matches(self, *tail):
        head = bytes((self.format, len(self.number)))
        return verify(self.point, self.signature, head, self.number, *tail)

    def atc(self):
        if len(self.number) == 3 and self.number[0] == 2:
            return self.number[1:3]
        return None

    def pack(self):
        return bytes((self.format, len(self.number))) + self.number + self.point + self.signature


def unpack(data):
    """The Dynamic that `Dynamic.pack` wrote. Raises ValueError."""
    if len(data) < 2 or data[0] != FORMAT_DYNAMIC:
        raise ValueError("not a packed signature")
    end = 2 + data[1]
    if len(data) != end + _KEY + _SIGNATURE:
        raise ValueError("not a packed signature")
    return Dynamic(bytes(data[end : end + _KEY]), bytes(data[2:end]), bytes(data[end + _KEY :]))


def open_dynamic(icc, signature, formats):
    """Read 9F4B of format 15. Raises OdaError."""
    if len(signature) < 3 + _SIGNATURE or signature[0] not in formats:
        raise OdaError("fdda", "not a dynamic signature of a format that is accepted here")
    end = 2 + signature[1]
    if signature[0] != FORMAT_DYNAMIC or len(signature) != end + _SIGNATURE:
        raise OdaError("fdda", "not an SM2 dynamic signature")
    return Dynamic(icc.point, bytes(signature[2:end]), bytes(signature[end:]))
