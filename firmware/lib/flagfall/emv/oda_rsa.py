# RSA certificates and signatures of cards (EMV 4.3 Book 2, sections 5 and 6; fDDA: Book C-3
# annex C, JR/T 0025.12 annex B).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Everything works on recovered bytes X = S^e mod N: 6A, format, fields, hash (20), BC.

import hashlib

from flagfall.emv import bcd

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_HASH = const(20)
_ISSUER_REST = const(36)  # bytes of the issuer certificate that are no key
_ICC_REST = const(42)
FORMAT_OFFLINE = 0x05
FORMAT_ONLINE = 0x95  # fDDA beside an ARQC, Book C-3


class OdaError(ValueError):
    """Authentication failed. `reason` is a word of flagfall.emv.outcome."""

    def __init__(self, reason, text):
        super().__init__(text)
        self.reason = reason


class RsaKey:
    """A recovered public key: `modulus` and `exponent` (bytes), `serial` (3 bytes), `expiry`
    (months since year 0), `owner` (digits: issuer identification or PAN)."""

    def __init__(self, modulus, exponent, serial, expiry, owner):
        self.modulus = modulus
        self.exponent = exponent
        self.serial = serial
        self.expiry = expiry
        self.owner = owner


def recover(signature, modulus, exponent, reason):
    """S^e mod N as bytes of N's length. Raises OdaError(reason) unless it is 6A ... BC."""
    n = len(modulus)
    if len(signature) != n:
        raise OdaError(reason, "signature and key differ in length")
    if exponent not in (b"\x03", b"\x01\x00\x01"):
        raise OdaError(reason, "exponent must be 3 or 65537")
    m = int.from_bytes(modulus, "big")
    s = int.from_bytes(signature, "big")
    if s >= m:
        raise OdaError(reason, "signature is not below the modulus")
    x = pow(s, int.from_bytes(exponent, "big"), m).to_bytes(n, "big")
    if x[0] != 0x6A or x[-1] != 0xBC:
        raise OdaError(reason, "recovered data lack 6A ... BC")
    return x


def _check_hash(x, parts, reason):
    h = hashlib.sha1(x[1 : len(x) - _HASH - 1])
    for part in parts:
        h.update(part)
    if h.digest() != x[len(x) - _HASH - 1 : len(x) - 1]:
        raise OdaError(reason, "hash does not match")


def _key(x, start, rest, remainder, exponent, reason):
    """The public key in a recovered certificate whose length field stands at `start`."""
    length = x[start]
    room = len(x) - rest
    fits = min(length, room)
    expected = length - fits
    if length < 64 or length > 248 or len(remainder) != expected:
        raise OdaError(reason, "key length and remainder do not fit")
    if len(exponent) != x[start + 1]:
        raise OdaError(reason, "exponent length does not fit")
    at = start + 2
    if x[at + fits : at + room].strip(b"\xbb"):
        raise OdaError(reason, "key is not padded with BB")
    return x[at : at + fits] + remainder


def issuer_key(capk, certificate, remainder, exponent):
    """Open tag 90 with CA key `capk`. Book 2, section 5.3 (and 6.3). Raises OdaError."""
    x = recover(certificate, capk.modulus, capk.exponent, "issuer-cert")
    if len(x) < _ISSUER_REST or x[1] != 0x02 or x[11] != 1 or x[12] != 1:
        raise OdaError("issuer-cert", "not an issuer certificate")
    _check_hash(x, (remainder, exponent), "issuer-cert")
    modulus = _key(x, 13, _ISSUER_REST, remainder, exponent, "issuer-cert")
    try:
        owner = bcd.digits(x[2:6])
        expiry = bcd.mmyy(x[6:8])
    except ValueError:
        raise OdaError("issuer-cert", "issuer number or date makes no sense") from None
    if not 3 <= len(owner) <= 8:
        raise OdaError("issuer-cert", "issuer number has no 3 to 8 digits")
    return RsaKey(modulus, bytes(exponent), x[8:11], expiry, owner)


def icc_key(issuer, certificate, remainder, exponent, static):
    """Open tag 9F46 with the issuer's key. `static`: the parts of the static data, in order.

    Book 2, section 6.4. Raises OdaError.
    """
    x = recover(certificate, issuer.modulus, issuer.exponent, "card-cert")
    if len(x) < _ICC_REST or x[1] != 0x04 or x[17] != 1 or x[18] != 1:
        raise OdaError("card-cert", "not a card certificate")
    _check_hash(x, [remainder, exponent] + list(static), "card-cert")
    modulus = _key(x, 19, _ICC_REST, remainder, exponent, "card-cert")
    try:
        owner = bcd.digits(x[2:12])
        expiry = bcd.mmyy(x[12:14])
    except ValueError:
        raise OdaError("card-cert", "card number or date makes no sense") from None
    return RsaKey(modulus, bytes(exponent), x[14:17], expiry, owner)


def static_signature(issuer, signature, static):
    """Check tag 93 (Book 2, section 5.4) and return the data authentication code, 2 bytes."""
    x = recover(signature, issuer.modulus, issuer.exponent, "card-cert")
    if len(x) < 26 or x[1] != 0x03 or x[2] != 1:
        raise OdaError("card-cert", "not a static signature")
    _check_hash(x, static, "card-cert")
    return x[3:5]


class Dynamic:
    """An opened dynamic signature whose hash is still to be compared.

    `format` byte, `number` (the ICC dynamic data: length of the dynamic number, then it),
    `size` of the modulus and `hash` are all there is in it, so that it can be kept small.
    """

    def __init__(self, format, number, size, hash):
        self.format = format
        self.number = number
        self.size = size
        self.hash = hash

    def matches(self, *tail):
        """True if the signed hash covers this signature's own head and then `tail`."""
        h = hashlib.sha1(bytes((self.format, 1, len(self.number))))
        h.update(self.number)
        pad = self.size - 25 - len(self.number)
        h.update(b"\xbb" * pad)
        for part in tail:
            h.update(part)
        return h.digest() == self.hash

    def pack(self):
        """Bytes for `unpack`. There is no card number in them."""
        head = bytes((self.format, self.size, len(self.number)))
        return head + self.number + self.hash

    def atc(self):
        """The two counter bytes of an fDDA's dynamic number, or None if it is none."""
        if len(self.number) == 3 and self.number[0] == 2:
            return self.number[1:3]
        return None


def unpack(data):
    """The Dynamic that `Dynamic.pack` wrote. Raises ValueError."""
    if len(data) < 3 or len(data) != 3 + data[2] + _HASH or data[1] < 25 + data[2]:
        raise ValueError("not a packed signature")
    end = 3 + data[2]
    return Dynamic(data[0], bytes(data[3:end]), data[1], bytes(data[end:]))


def open_dynamic(icc, signature, formats):
    """Open 9F4B (or the answer to INTERNAL AUTHENTICATE). Book 2, 6.5.2. Raises OdaError."""
    x = recover(signature, icc.modulus, icc.exponent, "fdda")
    if x[1] not in formats or x[2] != 1:
        raise OdaError("fdda", "not a dynamic signature of a format that is accepted here")
    length = x[3]
    if length < 1 or length > len(x) - 25:
        raise OdaError("fdda", "dynamic data run over the end")
    if x[4 + length : len(x) - _HASH - 1].strip(b"\xbb"):
        raise OdaError("fdda", "dynamic data are not padded with BB")
    return Dynamic(x[1], x[4 : 4 + length], len(x), x[len(x) - _HASH - 1 : len(x) - 1])
