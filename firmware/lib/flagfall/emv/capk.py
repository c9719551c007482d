# The certification authorities' public keys, as the acquirer sends them.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Test keys and live keys never stand in one store: a card made with public test keys must not
# pay on the road (EMV 4.3 Book 2, section 11.2; UnionPay POS CAPK download, DE60.3 = 370).

import hashlib

from flagfall.emv import bcd
from flagfall.emv.tlv import TlvError, parse

MAX_KEYS = 64
MAX_REVOKED = 256
RSA = 1
SM2 = 4


class CapkError(ValueError):
    """A CA key that cannot be taken. The text says which and why."""


class Capk:
    """One CA public key: `rid`, `index`, `algorithm` (RSA or SM2), `modulus` (for SM2 the point
    X || Y), `exponent` (bytes), `expiry` as (year, month, day) or None."""

    def __init__(self, rid, index, algorithm, modulus, exponent, expiry=None):
        self.rid = rid
        self.index = index
        self.algorithm = algorithm
        self.modulus = modulus
        self.exponent = exponent
        self.expiry = expiry

    def checksum(self):
        """SHA-1 over RID, index, modulus and exponent (Book 2, table 30)."""
        h = hashlib.sha1(self.rid)
        h.update(bytes((self.index,)))
        h.update(self.modulus)
        h.update(self.exponent)
        return h.digest()


def _expiry(value):
    """DF05 stands in the field both as four BCD bytes and as eight ASCII digits."""
    if len(value) == 8:
        text = value.decode()
        if not text.isdigit():
            raise ValueError("not a date")
        value = bytes.fromhex(text)
    if len(value) != 4:
        raise ValueError("not a date")
    year = bcd.to_int(value[:2])
    month = bcd.to_int(value[2:3])
    day = bcd.to_int(value[3:])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError("not a date")
    return year, month, day


def parse_capk(row):
    """Read one CAPK row (9F06, 9F22, DF02, DF03, DF04, DF05, DF06, DF07). Raises CapkError.

    The checksum DF03 of an RSA key must be there and right. That of an SM2 key is not checked:
    in the field it is a copy of some RSA key's.
    """
    try:
        items = parse(row)
    except TlvError as e:
        raise CapkError("CA key: %s" % e) from None
    got = {}
    for tag, value in items:
        if tag in got:
            raise CapkError("CA key: tag %X occurs twice" % tag)
        got[tag] = value
    rid = got.get(0x9F06, b"")
    index = got.get(0x9F22, b"")
    if len(rid) != 5 or len(index) != 1:
        raise CapkError("CA key: RID (9F06) or index (9F22) is missing")
    where = "CA key %s/%02X: " % (rid.hex(), index[0])
    algorithm = got.get(0xDF07, b"\x01")
    modulus = got.get(0xDF02, b"")
    exponent = got.get(0xDF04, b"")
    expiry = None
    if 0xDF05 in got:
        try:
            expiry = _expiry(got[0xDF05])
        except (ValueError, UnicodeError):
            raise CapkError(where + "DF05 is no date") from None
    if algorithm == b"\x04":
        if len(modulus) != 64:
            raise CapkError(where + "an SM2 key has 64 bytes")
        return Capk(rid, index[0], SM2, modulus, exponent, expiry)
    if algorithm != b"\x01" or got.get(0xDF06, b"\x01") != b"\x01":
        raise CapkError(where + "unknown algorithm")
    if not 64 <= len(modulus) <= 248 or not modulus[0] & 0x80 or not modulus[-1] & 1:
        raise CapkError(where + "DF02 is no RSA modulus of 512 to 1984 bits")
    if exponent not in (b"\x03", b"\x01\x00\x01"):
        raise CapkError(where + "exponent must be 3 or 65537")
    key = Capk(rid, index[0], RSA, modulus, exponent, expiry)
    if got.get(0xDF03) != key.checksum():
        raise CapkError(where + "checksum DF03 does not match")
    return key


class CapkStore:
    """CA keys of one kind (`live` True or False), and revoked issuer certificates.

    Keys are found by (RID, index). A later row with the same name takes the earlier one's place.
    """

    def __init__(self, live):
        self.live = bool(live)
        self._keys = {}
        self._revoked = set()

    def add(self, row, live):
        """Take one CAPK row which its sender declares `live` or not. Raises CapkError."""
        if bool(live) != self.live:
            raise CapkError(
                "a %s key does not go into the store of %s keys"
                % (("live", "test") if live else ("test", "live"))
            )
        key = parse_capk(row)
        name = (key.rid, key.index)
        if name not in self._keys and len(self._keys) >= MAX_KEYS:
            raise CapkError("more than %d CA keys" % MAX_KEYS)
        self._keys[name] = key
        return key

    def find(self, rid, index):
        """The key, or None."""
        return self._keys.get((rid, index))

    def keys(self):
        return list(self._keys.values())

    def revoke(self, rid, index, serial):
        """Never accept the issuer certificate `serial` (3 bytes) under CA key `index` again."""
        if len(rid) != 5 or len(serial) != 3:
            raise CapkError("a revocation has a RID of 5 bytes and a serial of 3")
        if len(self._revoked) >= MAX_REVOKED:
            raise CapkError("more than %d revoked certificates" % MAX_REVOKED)
        self._revoked.add((bytes(rid), index, bytes(serial)))

    def revoke_only(self, names):
        """These (RID, index, serial) are revoked from here on, and no others. Raises CapkError."""
        before, self._revoked = self._revoked, set()
        try:
            for rid, index, serial in names:
                self.revoke(rid, index, serial)
        except CapkError:
            self._revoked = before
            raise

    def is_revoked(self, rid, index, serial):
        return (bytes(rid), index, bytes(serial)) in self._revoked
