"""Images of the journal partition as the host reads them: records, damage, and what was done."""

import binascii
import random
import struct

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flagfall.journal import schema
from flagfall.journal.record import Damage, Record
from flagfall.journal.ring import Journal
from flagfall.seal import Sealer
from flagfall_host.depot.journal_chain import Link, link_of, verify
from flagfall_host.depot.journal_image import ImageError, read_image
from flagfall_host.depot.sealed_data import SealedData, SealedDataError, load_private_key
from nor_flash import BLOCK, NorFlash

KEY = bytes(range(32))


def made(sectors=8, records=100, receipt_at=0, restart_at=()):
    """A journal of events, 64 bytes each, and its flash."""
    flash = NorFlash(sectors * BLOCK)
    journal = Journal(flash, KEY)
    journal.mount(1)
    for i in range(1, records + 1):
        if i in restart_at:
            journal = Journal(flash, KEY)
            journal.mount(1)
        journal.append(schema.EVENT, schema.pack(schema.EVENT, code=1, text="e"), i)
        journal.idle()
        if i == receipt_at:
            r = next(journal.read(journal.last_seq))
            journal.acknowledge(r.epoch, r.seq, r.mac[:4], i)
    return journal, flash


def image_of(flash, key=KEY, **kwargs):
    return read_image(bytes(flash.data), key, **kwargs)


def kinds(findings):
    return {(f.kind, f.first_seq, f.last_seq) for f in findings}


def seqs(image):
    return [r.seq for r in image.records]


def address_of(image, seq):
    return next(p.address for p in image.placed if p.record.seq == seq)


def test_a_sound_image():
    journal, flash = made(records=150, receipt_at=90, restart_at=(40, 120))
    image = image_of(flash)
    assert seqs(image) == list(range(1, journal.last_seq + 1))
    assert image.findings == [] and image.damages == [] and image.strays == []
    assert image.acked_seq == 90 and image.last_seq == 151
    assert [image.use_of(s) for s in image.sectors] == (
        ["acknowledged", "live", "live", "erased", "erased", "erased", "erased", "erased"]
    )


def test_a_wrapped_image():
    flash = NorFlash(4 * BLOCK)
    journal = Journal(flash, KEY)
    journal.mount(1)
    for i in range(2000):
        journal.append(schema.EVENT, bytes(20), i)
        journal.idle()
        if i % 40 == 0:
            r = next(journal.read(journal.last_seq))
            journal.acknowledge(r.epoch, r.seq, r.mac[:4], i)
    image = image_of(flash)
    assert image.findings == []
    assert seqs(image) == list(range(image.records[0].seq, journal.last_seq + 1))
    assert image.records[0].seq <= image.acked_seq + 1 and image.acked_seq == journal.acked_seq


def test_an_empty_and_a_rubbish_image():
    blank = read_image(b"\xff" * 4 * BLOCK, KEY)
    assert blank.records == [] and blank.findings == []
    rubbish = read_image(random.Random(1).randbytes(8 * BLOCK), KEY)
    assert rubbish.records == [] and rubbish.findings == []


@pytest.mark.parametrize("size", [0, 1, 4095, 4097])
def test_a_file_that_is_no_image(tmp_path, size):
    path = tmp_path / "image.bin"
    path.write_bytes(bytes(size))
    with pytest.raises(ImageError, match="4096-byte sectors"):
        read_image(path)
    with pytest.raises(ImageError, match="give the image"):
        read_image(tmp_path / "nowhere.bin")


def test_every_byte_turned_in_turn():
    """The record that holds the byte is refused and named; all others are read."""
    journal, flash = made(4, 70)
    sound = image_of(flash)
    good = bytes(flash.data)
    owner = {}
    for placed in sound.placed:
        for i in range(len(placed.record.raw)):
            owner[placed.address + i] = placed.record.seq
    tried = 0
    for address in range(0, 2 * BLOCK, 3):
        data = bytearray(good)
        data[address] ^= 0x10
        image = read_image(bytes(data), KEY)
        hit = owner.get(address)
        expected = [s for s in range(1, 71) if s != hit]
        assert seqs(image) == expected, hex(address)
        if hit is not None and hit != 70:  # the last is as one that the power cut short
            assert [(d.first_seq, d.last_seq) for d in image.damages] == [(hit, hit)]
            assert kinds(image.findings) == {("damaged", hit, hit)}
        else:
            assert image.damages == [] and image.findings == []
        tried += 1
    assert tried > 2000


def test_deleted():
    _, flash = made()
    image = image_of(flash)
    for seq in (30, 31):
        at = address_of(image, seq)
        flash.data[at : at + 64] = b"\xff" * 64
    assert kinds(image_of(flash).findings) == {("deleted", 30, 31)}


def test_the_oldest_deleted():
    _, flash = made()
    flash.data[32 : 32 + 64] = b"\xff" * 64
    assert kinds(image_of(flash).findings) == {("deleted", 1, 1)}


def test_reordered():
    _, flash = made()
    image = image_of(flash)
    a, b = address_of(image, 30), address_of(image, 40)
    first, second = flash.data[a : a + 64], flash.data[b : b + 64]
    flash.data[a : a + 64], flash.data[b : b + 64] = second, first
    findings = kinds(image_of(flash).findings)
    assert any(kind == "reordered" for kind, _, _ in findings)


def test_replayed():
    """An old record is programmed again behind the newest."""
    _, flash = made(records=80)
    image = image_of(flash)
    at = address_of(image, 70)
    end = image.placed[-1].end
    flash.data[end : end + 64] = flash.data[at : at + 64]
    assert kinds(image_of(flash).findings) == {("replayed", 70, 70)}


def test_truncated():
    journal, flash = made(records=80)
    head = link_of(next(journal.read(80)))
    assert image_of(flash, head=head).findings == []
    at = address_of(image_of(flash), 76)
    flash.data[at : 2 * BLOCK] = b"\xff" * (2 * BLOCK - at)
    assert kinds(image_of(flash, head=head).findings) == {("truncated", 76, 80)}


def test_an_older_state_put_back():
    """The flash is copied, used, and the copy written back: other records under the same seqs."""
    journal, flash = made(records=80)
    copy = bytes(flash.data)
    for i in range(5):
        journal.append(schema.EVENT, b"true", i)
    head = link_of(next(journal.read(83)))
    flash.data[:] = copy
    again = Journal(flash, KEY)
    again.mount(1)
    for i in range(9):
        again.append(schema.EVENT, b"false", i)
    assert kinds(image_of(flash, head=head).findings) == {("exchanged", 83, 83)}


def test_forged():
    _, flash = made()
    image = image_of(flash)
    other = NorFlash(4 * BLOCK)
    stranger = Journal(other, bytes(32))
    stranger.mount(1)
    for i in range(50):
        stranger.append(schema.EVENT, schema.pack(schema.EVENT, code=1, text="f"), i)
    at = address_of(image, 30)
    theirs = address_of(read_image(bytes(other.data)), 30)
    flash.data[at : at + 64] = other.data[theirs : theirs + 64]
    assert ("forged", 30, 30) in kinds(image_of(flash).findings)


def records(n=20):
    journal, _ = made(records=n)
    return list(journal.read(1))


def test_chain_of_a_pull():
    """The same check on records as they come over a link."""
    all_of = records()
    assert verify(all_of, KEY) == []
    assert verify(all_of[5:], KEY, after=link_of(all_of[4])) == []
    assert kinds(verify(all_of[5:], KEY, after=link_of(all_of[3]))) == {("deleted", 5, 5)}
    wrong = Link(1, 5, b"\1\2\3\4")
    assert kinds(verify(all_of[5:], KEY, after=wrong)) == {("exchanged", 5, 5)}
    assert kinds(verify(all_of[:9] + all_of[10:], KEY)) == {("deleted", 10, 10)}
    swapped = [*all_of[:9], all_of[10], all_of[9], *all_of[11:]]
    assert kinds(verify(swapped, KEY)) == {("reordered", 10, 10)}
    assert kinds(verify([*all_of, all_of[3]], KEY)) == {("replayed", 4, 4)}
    assert kinds(verify(all_of[:15], KEY, head=link_of(all_of[19]))) == {("truncated", 16, 20)}
    damage = Damage(10, 10, 0x400, b"")
    assert kinds(verify([*all_of[:9], damage, *all_of[10:]], KEY)) == {("damaged", 10, 10)}
    assert {f.kind for f in verify(all_of, bytes(32))} == {"forged"}


def test_every_single_deletion_swap_and_repeat_is_told():
    all_of = records(12)
    for i in range(1, 11):
        assert {f.kind for f in verify(all_of[:i] + all_of[i + 1 :], KEY)} == {"deleted"}
        for j in range(i + 1, 12):
            swapped = list(all_of)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            assert "reordered" in {f.kind for f in verify(swapped, KEY)}
        for j in range(i, 13):
            repeated = [*all_of[:j], all_of[i - 1], *all_of[j:]]
            assert {f.kind for f in verify(repeated, KEY)} == {"replayed"}


def test_a_record_under_a_lower_epoch():
    first = records(3)
    journal, _ = made(records=5, restart_at=(2, 3, 4))
    later = list(journal.read(1))
    findings = verify([*later[:3], Record(first[0].raw)], KEY)
    assert kinds(findings) == {("replayed", 1, 1)}


PRIVATE = rsa.generate_private_key(65537, 2048)


def sealed_journal():
    der = PRIVATE.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    source = random.Random(7)
    flash = NorFlash(16 * BLOCK)
    for epoch in range(2):
        journal = Journal(flash, KEY)
        journal.mount(1)
        sealer = Sealer(der, source.randbytes)
        journal.append(schema.KEY, sealer.key_record_body(), 1)
        for i in range(20):
            plain = b"epoch %d payment %d" % (epoch + 1, i)
            body = schema.pack(
                schema.PAYMENT,
                trip=i,
                shift=1,
                outcome=schema.APPROVED,
                profile=schema.ECASH,
                amount=100,
                currency=156,
                last_digits="0011",
                atc=i,
                balance_after=1,
                torn_seq=0,
                card_tag=bytes(8),
                reason="",
                sealed=sealer.seal(plain),
            )
            journal.append(schema.PAYMENT, body, 2)
    return flash


def opened(image):
    data = SealedData(PRIVATE)
    data.learn(image.records)
    out = []
    for record in image.records:
        if record.type == schema.PAYMENT:
            fields = schema.unpack(schema.PAYMENT, record.body)
            out.append(data.open(record.epoch, fields["sealed"]))
    return out


def test_sealed_payments_open_with_the_fleet_key():
    plain = opened(image_of(sealed_journal()))
    assert plain == [b"epoch %d payment %d" % (e, i) for e in (1, 2) for i in range(20)]


def test_any_sector_that_survives_can_be_opened_alone():
    flash = sealed_journal()
    whole = image_of(flash)
    tried = 0
    for sector in whole.order:
        data = bytearray(b"\xff" * len(flash.data))
        at = sector.place * BLOCK
        data[at : at + BLOCK] = flash.data[at : at + BLOCK]
        tried += len(opened(read_image(bytes(data), KEY)))
    assert tried == 40


def test_sealed_data_that_does_not_open():
    image = image_of(sealed_journal())
    payment = next(r for r in image.records if r.type == schema.PAYMENT)
    sealed = schema.unpack(schema.PAYMENT, payment.body)["sealed"]
    data = SealedData(PRIVATE)
    with pytest.raises(SealedDataError, match="no KEY record"):
        data.open(payment.epoch, sealed)
    data.learn(image.records)
    for bad in (b"", sealed[:17], sealed[:-1], sealed[:18]):
        with pytest.raises(SealedDataError, match="malformed"):
            data.open(payment.epoch, bad)
    with pytest.raises(SealedDataError, match="no KEY record"):
        data.open(0, sealed)
    stranger = SealedData(rsa.generate_private_key(65537, 2048))
    stranger.learn(image.records)
    with pytest.raises(SealedDataError, match="sealed to fleet key"):
        stranger.open(payment.epoch, sealed)
    with pytest.raises(SealedDataError, match="KEY record"):
        data.learn_key(1, b"\x01\x02")
    broken = bytearray(next(r for r in image.records if r.type == schema.KEY).body)
    broken[-5] ^= 1
    data.learn_key(1, bytes(broken))
    with pytest.raises(SealedDataError, match="does not open"):
        data.open(1, sealed)


def test_private_key_files(tmp_path):
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        path = tmp_path / "fleet.key"
        path.write_bytes(
            PRIVATE.private_bytes(
                encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        assert load_private_key(path).private_numbers() == PRIVATE.private_numbers()
    path.write_bytes(b"not a key")
    with pytest.raises(SealedDataError, match="not a private key"):
        load_private_key(path)
    with pytest.raises(SealedDataError, match="give the fleet's private key"):
        load_private_key(tmp_path / "none")


def test_a_header_of_the_first_format_is_read():
    """Format 1 headers carry no receipt; the newest ACK record tells it."""
    _, flash = made(records=150, receipt_at=100)
    journal_records = seqs(image_of(flash))
    for place in range(3):
        at = place * BLOCK
        head = bytearray(flash.data[at : at + 28])
        head[0:8] = b"FFJ1\x01\xff\xff\xff"
        head[20:28] = b"\xff" * 8
        crc = binascii.crc32(head)
        flash.data[at : at + 32] = head + struct.pack("<I", crc)
    image = image_of(flash)
    assert seqs(image) == journal_records and image.acked_seq == 100
    assert [s.header.format for s in image.order] == [1, 1, 1]
    journal = Journal(flash, KEY)
    assert journal.mount(1) == 2 and journal.acked_seq == 100 and journal.last_seq == 151
    while journal._place == 2:
        journal.append(schema.EVENT, bytes(20), 1)
    assert [s.header.format for s in image_of(flash).order] == [1, 1, 1, 2]
    assert image_of(flash).findings == []
