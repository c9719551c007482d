# A signed file: the envelope of everything that the office gives its units.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 7. Integers little-endian:
#
#   0     4  magic "FFSG"
#   4     1  format, 1
#   5     1  length of the kind, then the kind (ASCII)
#         1  length of the unit id, then the unit id; none: for every unit of the fleet
#         4  version, 1 or higher
#         4  made: UTC seconds since 2000
#         4  length of the content
#        32  SHA-256 of the content
#         2  length of the signature, then the signature
#            the content
#
# Signed is `flagfall file` || 00 || all up to the signature's length.

import struct

from flagfall import signature as signing

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAX_HEADER = 600  # bytes: no header is longer, a signature of 4096 bits included
KINDS = (
    "tariff",
    "config",
    "capk",
    "revoked",
    "deny",
    "texts",
    "language",
    "campaigns",
    "drivers",
)
_MAGIC = b"FFSG"
_FORMAT = const(1)
_MAX_NAME = const(16)
_MAX_SIGNATURE = const(512)
_FIXED = "<III32sH"
_FIXED_SIZE = const(46)


class SignedFileError(ValueError):
    """Not a signed file, or not one for this unit. The text says why."""


def is_signed(data):
    """Whether `data` begins as a signed file does."""
    return bytes(data[:4]) == _MAGIC


def to_sign(kind, unit_id, version, made, length, sha256):
    """The header up to the signature's length."""
    out = bytearray(_MAGIC)
    out.append(_FORMAT)
    for name in (kind, unit_id):
        raw = name.encode()
        out.append(len(raw))
        out.extend(raw)
    out.extend(struct.pack("<III32s", version, made, length, sha256))
    return bytes(out)


def close(head, signature):
    """The whole header from what `to_sign` gave; the content follows it."""
    return head + struct.pack("<H", len(signature)) + signature


def message(head):
    """The bytes whose signature stands in the header."""
    return b"flagfall file\0" + head


class Header:
    """A header as `data` (its file's beginning or all of it) holds it; not yet believed.

    `kind`, `unit_id` (text), `version`, `made`, `length` (of the content), `sha256`, `size` (of
    the header), `raw` (its bytes). Raises SignedFileError.
    """

    def __init__(self, data):
        if not is_signed(data) or len(data) < 5:
            raise SignedFileError("not a signed file")
        if data[4] != _FORMAT:
            raise SignedFileError("a signed file of format %d, which is not known" % data[4])
        self.kind, at = _name(data, 5)
        self.unit_id, at = _name(data, at)
        if at + _FIXED_SIZE > len(data):
            raise SignedFileError("signed file: cut off")
        self.version, self.made, self.length, self.sha256, n = struct.unpack_from(_FIXED, data, at)
        at += _FIXED_SIZE
        if n > _MAX_SIGNATURE or at + n > len(data):
            raise SignedFileError("signed file: cut off, or its signature is too long")
        self.head = bytes(data[: at - 2])
        self.signature = bytes(data[at : at + n])
        self.size = at + n
        self.raw = bytes(data[: at + n])

    def check(self, public_key, kind, unit_id):
        """Raise SignedFileError unless the office signed this header for this kind and unit."""
        if self.kind != kind:
            raise SignedFileError("signed as %s, pushed as %s" % (self.kind, kind))
        if self.unit_id and self.unit_id != unit_id:
            raise SignedFileError("made for unit %s, this is %s" % (self.unit_id, unit_id))
        if not self.version:
            raise SignedFileError("a signed file has a version of 1 or higher")
        if not signing.good(public_key, self.signature, message(self.head)):
            raise SignedFileError("the signature is not the office's")


def _name(data, at):
    n = data[at] if at < len(data) else 255
    if n > _MAX_NAME or at + 1 + n > len(data):
        raise SignedFileError("signed file: cut off, or a name is too long")
    raw = bytes(data[at + 1 : at + 1 + n])
    for byte in raw:
        if not 0x21 <= byte <= 0x7E:
            raise SignedFileError("signed file: a name is not plain ASCII")
    return raw.decode(), at + 1 + n
