"""Any sector that survives can be opened alone, with the fleet's private key."""

import os

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flagfall.journal import schema
from flagfall.journal.medium import SECTOR
from flagfall.journal.ring import Journal
from flagfall.seal import Sealer
from flagfall_host.depot.journal_image import read_image
from flagfall_host.depot.sealed_data import SealedData
from nor_flash import NorFlash

KEY = bytes(range(32))
EPOCHS = 3
TAPS = 25  # an epoch: more than two sectors


def plain(n: int) -> bytes:
    return b"\x57\x13" + b"%019d" % n + b"\x9f\x10\x20" + bytes(32) + bytes(150)


def payment(n: int, sealed: bytes) -> bytes:
    return schema.pack(
        schema.PAYMENT, trip=n, shift=1, outcome=schema.APPROVED, profile=schema.ECASH, amount=n,
        currency=156, last_digits="0011", atc=n, balance_after=1, torn_seq=0, card_tag=bytes(8),
        reason="", sealed=sealed,
    )  # fmt: skip


def test_all_but_one_sector_gone() -> None:
    private = rsa.generate_private_key(65537, 2048)
    der = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    flash = NorFlash(32 * SECTOR)
    n = 0
    for _ in range(EPOCHS):
        journal = Journal(flash, KEY)
        epoch = journal.mount(7)
        sealer = Sealer(der, os.urandom, epoch)
        journal.append(schema.KEY, sealer.key_record_body(), 1)
        for _ in range(TAPS):
            n += 1
            journal.append(schema.TRIP, bytes(60), n)
            journal.append(schema.PAYMENT, payment(n, sealer.seal(plain(n))), n)
            journal.idle()
    whole = read_image(bytes(flash.data), KEY)
    used = [sector.place for sector in whole.order]
    assert len(used) >= 8
    opened = []
    for place in used:
        # Everything else is erased.
        alone = bytearray(b"\xff" * len(flash.data))
        at = place * SECTOR
        alone[at : at + SECTOR] = flash.data[at : at + SECTOR]
        records = read_image(bytes(alone), KEY).records
        sealed = SealedData(private)
        sealed.learn(records)
        for record in records:
            if record.type == schema.PAYMENT:
                fields = schema.unpack(schema.PAYMENT, record.body)
                assert sealed.open(record.epoch, fields["sealed"]) == plain(fields["trip"])
                opened.append(fields["trip"])
    assert opened == list(range(1, n + 1))
