"""A unit that only writes records: an encoder of docs/formats.md of its own, from the text alone.

It shares no code with the firmware's journal or sealing, so that the ledger is held against a
second reading of the same document.
"""

import binascii
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TRIP, PAYMENT, SHIFT, TOTALS, EVENT, ACK, KEY = range(1, 8)
APPROVED, DECLINED, TORN, DEBITED, NOT_DEBITED, GIVEN_UP = range(1, 7)
OPEN, CASH, CARD = range(3)
JOURNAL_KEY = hashlib.sha256(b"journal key of the tests").digest()
NEW_YEAR_2026 = 820_540_800  # seconds since 2000


def text(words):
    data = words.encode()
    return bytes([len(data)]) + data


class RecordedUnit:
    """Appends records to `raws`; seq, link and epoch as a unit would."""

    def __init__(self, unit_id="TAXI-1", *, epoch=1, key=JOURNAL_KEY, time=NEW_YEAR_2026):
        self.unit_id, self.epoch, self.key, self.time = unit_id, epoch, key, time
        self.raws = []
        self.seq = 0
        self.link = bytes(4)
        self.trips = self.atc = 0
        self.data_key = None

    def record(self, type, body, *, version=1, seq=None, link=None, epoch=None):
        """The bytes of a record, not appended."""
        head = struct.pack(
            "<BBHIII4s",
            0xA7,
            type,
            len(body) + 1,
            self.seq + 1 if seq is None else seq,
            self.epoch if epoch is None else epoch,
            self.time,
            self.link if link is None else link,
        )
        signed = head + bytes([version]) + body
        signed += hmac.new(self.key, signed, "sha256").digest()[:12]
        return signed + struct.pack("<I", binascii.crc32(signed))

    def append(self, type, body, version=1):
        raw = self.record(type, body, version=version)
        self.seq += 1
        self.time += 7
        self.link = raw[-16:-12]
        self.raws.append(raw)
        return self.seq

    def restart(self):
        self.epoch += 1
        self.data_key = None

    def event(self, words="start", code=1):
        return self.append(EVENT, struct.pack("<H", code) + text(words))

    def trip(
        self, fare=1000, supplements=0, paid=CASH, shift=1, currency=156, *, discount=0, campaign=0
    ):
        self.trips += 1
        numbers = (self.trips, shift, self.time - 600, self.time, 5_000_000, 5000, 60_000, 600_000)
        body = struct.pack("<10I", *numbers, fare, supplements)
        body += struct.pack("<HBBI", currency, paid, 0, 7) + text("hefei")
        if not campaign:
            return self.append(TRIP, body)
        return self.append(TRIP, body + struct.pack("<IH", discount, campaign), version=2)

    def payment(
        self,
        amount=1000,
        outcome=APPROVED,
        *,
        trip=None,
        shift=1,
        last="0011",
        atc=None,
        torn_seq=0,
        tag=b"\1" * 8,
        reason="",
        sealed=b"",
        profile=1,
        currency=156,
    ):
        if atc is None:
            self.atc += 1
            atc = self.atc
        body = struct.pack("<II", self.trips + 1 if trip is None else trip, shift)
        body += struct.pack("<BBIH", outcome, profile, amount, currency)
        body += bytes.fromhex(last[2:] + last[:2]) + struct.pack("<HI", atc, 0xFFFFFFFF)
        body += struct.pack("<I", torn_seq) + tag + text(reason)
        return self.append(PAYMENT, body + struct.pack("<H", len(sealed)) + sealed)

    def shift(self, event, trips=0, fares=0, cards=0, amount=0, shift=1, driver="D1"):
        body = struct.pack("<IBIIII", shift, event, trips, fares, cards, amount)
        return self.append(SHIFT, body + text(driver))

    def totals(self, fares=0, cards=0, amount=0, hirings=0):
        return self.append(TOTALS, struct.pack("<QQIQQIQ", 9, 8, hirings, 0, fares, cards, amount))

    def key_record(self, public_key):
        """This epoch's data key under the fleet's RSA public key."""
        self.data_key = os.urandom(32)
        der = public_key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        sha = hashes.SHA256()
        oaep = padding.OAEP(padding.MGF1(sha), sha, None)
        wrapped = public_key.encrypt(self.data_key, oaep)
        body = struct.pack("<H", 1) + hashlib.sha256(der).digest()[:8]
        return self.append(KEY, body + struct.pack("<H", len(wrapped)) + wrapped)

    def seal(self, plain):
        iv = os.urandom(16)
        n = 16 - len(plain) % 16
        box = Cipher(algorithms.AES(self.data_key), modes.CBC(iv)).encryptor()
        return struct.pack("<H", 1) + iv + box.update(plain + bytes([n]) * n) + box.finalize()


def a_day(unit, trips=20):
    """A shift of cash and card trips; returns (cash, card payments, card amount)."""
    unit.event()
    unit.shift(1)
    cash = cards = amount = fares = 0
    for i in range(trips):
        fare, supplements = 1000 + 37 * i, 100 * (i % 2)
        due = fare + supplements
        fares += due
        if i % 3:
            unit.payment(due)
            cards += 1
            amount += due
        else:
            cash += due
        unit.trip(fare, supplements, CARD if i % 3 else CASH)
    unit.shift(2, trips, fares, cards, amount)
    unit.totals(fares, cards, amount, trips)
    return cash, cards, amount
