# Flash that rots: a turned bit anywhere costs its own record and nothing else, whole sectors of
# rubbish never stop a start, and nothing that may be live is freed for want of a header.

from flagfall.journal import schema
from flagfall.journal.record import Damage, Record
from flagfall.journal.ring import Journal, JournalFull
from nor_flash import BLOCK, NorFlash
from power_cuts import Dice

KEY = bytes(range(32))


def filled(sectors, records, size=100, receipt_at=0):
    flash = NorFlash(sectors * BLOCK)
    journal = Journal(flash, KEY)
    journal.mount(1)
    for i in range(1, records + 1):
        seq = journal.append(schema.EVENT, b"%04d" % i + bytes(size), i)
        journal.idle()
        if i == receipt_at:
            record = next(journal.read(seq))
            journal.acknowledge(record.epoch, seq, record.mac[:4], i)
    return flash, journal


def mounted(flash):
    journal = Journal(flash, KEY)
    journal.mount(1)
    return journal


def seqs(journal, from_seq=1):
    return [item.seq for item in journal.read(from_seq) if item.__class__ is Record]


def damaged(journal, from_seq=1):
    out = []
    for item in journal.read(from_seq):
        if item.__class__ is Damage:
            out.extend(range(item.first_seq, item.last_seq + 1))
    return out


def where(sectors, records, size=100):
    # (first byte, end, seq) of each record, without padding: sizes are all the same.
    total = size + 4 + 36
    slots = (total + 31) // 32 * 32
    fits = (BLOCK - 32) // slots
    out = []
    for i in range(records):
        at = i // fits * BLOCK + 32 + i % fits * slots
        out.append((at, at + total, i + 1))
    return out


def test_every_byte_turned_in_turn():
    flash, journal = filled(5, 62)
    places = where(5, 62)
    good = bytes(flash.data)
    last = places[-1][2]
    step = 13  # every byte of a record is met in some record
    for address in range(0, 3 * BLOCK, step):
        flash.data[address] ^= 1 << address % 8
        again = mounted(flash)
        hit = 0
        for first, end, seq in places:
            if first <= address < end:
                hit = seq
        expected = [seq for seq in range(1, last + 1) if seq != hit]
        assert seqs(again) == expected, address
        assert damaged(again) == ([hit] if hit and hit != last else []), address
        seq = again.append(schema.EVENT, b"on", 1)
        assert seqs(again)[-1] == seq == (last if hit == last else last + 1)
        flash.data[:] = good


def test_every_header_byte_of_a_full_ring():
    # A full journal: whichever header rots, nothing is freed before a receipt covers it.
    flash, journal = filled(5, 23 * 3 + 5)
    for byte in range(0, 32, 5):
        for place in range(4):
            copy = NorFlash(5 * BLOCK)
            copy.data[:] = flash.data
            copy.data[place * BLOCK + byte] ^= 0x20
            again = mounted(copy)
            last = again.last_seq
            assert last == journal.last_seq
            try:
                for _ in range(200):
                    again.append(schema.EVENT, bytes(100), 1)
                    again.idle()
            except JournalFull:
                pass
            assert seqs(again) == list(range(1, again.last_seq + 1)), (place, byte)
            record = next(again.read(last))
            again.acknowledge(record.epoch, record.seq, record.mac[:4], 1)
            again.append(schema.EVENT, bytes(100), 1)
            assert damaged(again) == []


def test_all_headers_gone():
    flash, journal = filled(6, 80)
    for place in range(6):
        for i in range(32):
            flash.data[place * BLOCK + i] &= 0x5A
    again = mounted(flash)
    assert seqs(again) == list(range(1, 81)) and damaged(again) == []
    assert again.append(schema.EVENT, b"on", 1) == 81
    assert mounted(flash).last_seq == 81 and seqs(mounted(flash)) == list(range(1, 82))


def test_rubbish_never_stops_a_start():
    dice = Dice(11)
    for _ in range(25):
        flash = NorFlash(4 * BLOCK)
        for i in range(len(flash.data)):
            flash.data[i] = dice.roll(256)
        journal = mounted(flash)
        assert (journal.epoch, journal.last_seq) == (1, 0)
        for i in range(40):
            assert journal.append(schema.EVENT, bytes(100), 1) == i + 1
            journal.idle()
        assert seqs(mounted(flash)) == list(range(1, 41))


def test_zeros_never_stop_a_start():
    flash = NorFlash(4 * BLOCK)
    flash.data[:] = bytes(len(flash.data))
    journal = mounted(flash)
    assert journal.append(schema.EVENT, b"\1", 1) == 1
    assert seqs(mounted(flash)) == [1]


def test_any_one_sector_of_rubbish():
    for receipt_at in (0, 40):
        flash, journal = filled(6, 23 * 4 + 3, receipt_at=receipt_at)
        good = bytes(flash.data)
        dice = Dice(3)
        for place in range(6):
            for fill in ("zeros", "random", "blank"):
                start = place * BLOCK
                for i in range(BLOCK):
                    rubbish = dice.roll(256) if fill == "random" else 0
                    flash.data[start + i] = 0xFF if fill == "blank" else rubbish
                again = mounted(flash)
                got = seqs(again)
                lost = [seq for seq in range(1, journal.last_seq + 1) if seq not in got]
                assert len(lost) <= 27
                gone = damaged(again)
                for seq in lost:
                    newest = seq > again.last_seq or seq > journal.last_seq - 28
                    assert seq in gone or seq <= again.acked_seq or newest, (place, fill, seq)
                again.append(schema.EVENT, b"on", 1)
                assert seqs(again)[-1] == again.last_seq
                flash.data[:] = good


def test_wrong_reads_are_read_again():
    flash, journal = filled(4, 62)
    for n in range(60):
        flash.wrong_read_after(n)
        again = mounted(flash)
        assert seqs(again) == list(range(1, 63)) and damaged(again) == [], n
        flash.wrong_read_after(n % 3)
        assert again.append(schema.EVENT, b"on", 1) == 63
        assert seqs(again) == list(range(1, 64)), n
        flash, journal = filled(4, 62)


def test_half_erased_sectors_that_a_receipt_covers():
    for mode in ("torn", "garbage", "half-erase"):
        flash, journal = filled(4, 23 * 3 - 1, receipt_at=50)
        record = next(journal.read(60))
        journal.acknowledge(record.epoch, record.seq, record.mac[:4], 1)
        # Fill up to the turn, so that sector 0 is next.
        while journal._place != 3:
            journal.append(schema.EVENT, bytes(100), 1)
        flash.cut_after(0, mode)
        try:
            journal.idle()
        except Exception as e:
            if e.__class__.__name__ != "PowerCut":
                raise
        flash.power_on()
        again = mounted(flash)
        assert damaged(again) == []
        assert seqs(again, again.acked_seq + 1)[-1] == again.last_seq
        for _ in range(30):
            again.idle()
            again.append(schema.EVENT, bytes(100), 1)
        assert again.erases_on_append == 0
