# Who may sign in on a unit, and by what: the content of the kind `drivers`.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 7.3. Integers little-endian:
#
#   0     4  magic "FFDR"
#   4     1  format, 1
#   5     1  mode: 0 number alone, 1 PIN, 2 card, 3 PIN or card, 4 card and PIN
#   6     2  drivers
#   8     4  rounds of the slow hash
#  12    16  salt
#  28        per driver 24: number (BCD, F behind it) 8, hash of the PIN 8, hash of the card's
#            UID 8; a hash of nothing but 00: he has none. Sorted, no number twice
#
# A hash is the first 8 bytes of PBKDF2-HMAC-SHA256 (RFC 8018, 5.2). Its salt is the salt above,
# for a PIN with the number's 8 bytes behind it: equal PINs do not look equal. A card names its
# driver, so that all cards share one salt, and one hash finds him.

import hashlib
import struct

from flagfall.hmac_sha256 import pads

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


NUMBER = const(0)
PIN = const(1)
CARD = const(2)
PIN_OR_CARD = const(3)
CARD_AND_PIN = const(4)
MAX_NUMBER = 16  # digits
MAX_DRIVERS = 680  # they fit a file of 16 KiB
MAX_ROUNDS = 20000  # a unit needs some seconds for them
SALT = 16  # bytes

_MAGIC = b"FFDR"
_HEAD = "<4sBBHI16s"
_HEAD_SIZE = const(28)
_ROW = const(24)
_HASH = const(8)
_NONE = bytes(8)


class RosterError(ValueError):
    """Not a roster, or one that makes no sense. The text says why."""


class Roster:
    """What a file says: `mode`, `rounds`, `len()`. Raises RosterError."""

    def __init__(self, blob):
        if len(blob) < _HEAD_SIZE:
            raise RosterError("drivers: cut off")
        magic, form, self.mode, n, self.rounds, self._salt = struct.unpack_from(_HEAD, blob)
        if magic != _MAGIC or form != 1:
            raise RosterError("drivers: not a list of drivers of format 1")
        if self.mode > CARD_AND_PIN or not 1 <= self.rounds <= MAX_ROUNDS:
            raise RosterError(
                "drivers: mode %d, %d rounds are not known" % (self.mode, self.rounds)
            )
        if len(blob) != _HEAD_SIZE + n * _ROW:
            raise RosterError("drivers: %d bytes do not hold %d drivers" % (len(blob), n))
        self._blob = blob
        self._n = n
        before = b""
        for i in range(n):
            number = self._part(i, 0)
            if number <= before:
                raise RosterError("drivers: not sorted, or a number occurs twice")
            number_text(number)
            before = number

    def __len__(self):
        return self._n

    def _part(self, i, part):
        at = _HEAD_SIZE + i * _ROW + part * _HASH
        return bytes(self._blob[at : at + _HASH])

    def _row(self, number):
        """Where the driver of this number (digits) stands; -1: nowhere."""
        if len(number) > MAX_NUMBER or not number.isdigit():
            return -1
        packed = packed_number(number)
        for i in range(self._n):
            if self._part(i, 0) == packed:
                return i
        return -1

    def knows(self, number):
        """Whether there is a driver of this number."""
        return self._row(number) >= 0

    def pin_hash(self, number, pin):
        """The work of hashing what was typed as the PIN of driver `number` (digits)."""
        return SlowHash(pin.encode(), pin_salt(self._salt, number), self.rounds)

    def is_pin(self, number, made):
        """Whether `made`, what `pin_hash` came to, is that of the driver's PIN."""
        i = self._row(number)
        return i >= 0 and made == self._part(i, 1) != _NONE

    def card_hash(self, uid):
        """The work of hashing a card's UID."""
        return SlowHash(uid, self._salt, self.rounds)

    def driver_of(self, made):
        """The number of the driver whose card `card_hash` came to `made`; empty: nobody's."""
        for i in range(self._n):
            if made == self._part(i, 2) != _NONE:
                return number_text(self._part(i, 0))
        return ""


class SlowHash:
    """PBKDF2-HMAC-SHA256, its first 8 bytes, in slices: `while h.work(): ...`, then `h.made`.

    `slice` rounds are a few milliseconds on an ESP32, so that nothing else waits for long.
    """

    def __init__(self, secret, salt, rounds, slice=16):
        inner, outer = pads(secret)
        self._inner = bytearray(inner + bytes(32))
        self._outer = bytearray(outer + bytes(32))
        first = hashlib.sha256(self._inner[:64] + salt + b"\x00\x00\x00\x01").digest()
        self._last = self._finished(first)
        self._sum = int.from_bytes(self._last[:_HASH], "big")
        self._left = rounds - 1
        self._slice = slice

    def work(self):
        """Do a slice. True while there is more."""
        inner = self._inner
        n = min(self._slice, self._left)
        for _ in range(n):
            inner[64:] = self._last
            self._last = self._finished(hashlib.sha256(inner).digest())
            self._sum ^= int.from_bytes(self._last[:_HASH], "big")
        self._left -= n
        return self._left > 0

    @property
    def made(self):
        """The hash, once the work is done."""
        return self._sum.to_bytes(_HASH, "big")

    def _finished(self, digest):
        outer = self._outer
        outer[64:] = digest
        return hashlib.sha256(outer).digest()


def changing_uid(uid):
    """Whether a card of type A makes its UID up anew each time (ISO/IEC 14443-3, 6.5.4): it names
    nobody."""
    return len(uid) == 4 and uid[0] == 0x08


def pin_salt(salt, number):
    """The salt of the PIN of driver `number`."""
    return salt + packed_number(number)


def packed_number(number):
    """A driver's number (1 to 16 digits) as 8 bytes. Raises RosterError."""
    if not 1 <= len(number) <= MAX_NUMBER or not number.isdigit():
        raise RosterError("drivers: a number has 1 to %d digits" % MAX_NUMBER)
    text = number + "F" * (MAX_NUMBER - len(number))
    return bytes(int(text[i : i + 2], 16) for i in range(0, MAX_NUMBER, 2))


def number_text(packed):
    """The digits of a packed number. Raises RosterError."""
    text = "".join("%02X" % byte for byte in packed).rstrip("F")
    if not text.isdigit():
        raise RosterError("drivers: a number has 1 to %d digits" % MAX_NUMBER)
    return text


def pack(mode, rounds, salt, rows):
    """A list from (number, hash of the PIN, hash of the card's UID) of each driver; b"": none."""
    out = struct.pack(_HEAD, _MAGIC, 1, mode, len(rows), rounds, salt)
    packed = sorted((packed_number(n), pin or _NONE, card or _NONE) for n, pin, card in rows)
    return out + b"".join(b"".join(row) for row in packed)
