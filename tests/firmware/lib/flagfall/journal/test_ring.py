# The journal over the NOR model: what it promises while nothing goes wrong, and when it is full.

from expect import raises
from flagfall.journal import schema
from flagfall.journal.record import Damage, RecordError
from flagfall.journal.ring import Journal, JournalFull, ReceiptError
from nor_flash import BLOCK, NorFlash

KEY = bytes(range(32))


def started(sectors=8, flash=None, first_epoch=5, keep=True):
    flash = flash or NorFlash(sectors * BLOCK)
    journal = Journal(flash, KEY, keep)
    journal.mount(first_epoch)
    return flash, journal


def event(journal, text="x", time=1000):
    return journal.append(schema.EVENT, schema.pack(schema.EVENT, code=1, text=text), time)


def fill(journal, most, text="x"):
    for _ in range(most):
        try:
            event(journal, text)
        except JournalFull:
            return True
    return False


def receipt(journal, seq, time=2000):
    record = next(journal.read(seq))
    return journal.acknowledge(record.epoch, record.seq, record.mac[:4], time)


def seqs(journal, from_seq=1):
    return [record.seq for record in journal.read(from_seq)]


def test_blank_partition():
    flash, journal = started()
    assert (journal.epoch, journal.last_seq, journal.acked_seq) == (5, 0, 0)
    assert seqs(journal) == [] and journal.newest(schema.EVENT) is None
    assert flash.programs == flash.erases == 0
    assert journal.room_for_card() and not journal.nearly_full and journal.used == 0


def test_append_and_read_back():
    _, journal = started()
    assert [event(journal, "a" * i, i) for i in range(1, 101)] == list(range(1, 101))
    records = list(journal.read(1))
    assert [r.seq for r in records] == list(range(1, 101))
    assert records[41].time == 42 and records[41].epoch == 5
    assert schema.unpack(schema.EVENT, records[41].body)["text"] == "a" * 42
    assert records[0].link == b"\0\0\0\0"
    for i in range(1, 100):
        assert records[i].link == records[i - 1].mac[:4]
    assert seqs(journal, 97) == [97, 98, 99, 100]
    assert seqs(journal, 101) == [] and seqs(journal, 0) == list(range(1, 101))


def test_mount_goes_on_under_the_next_epoch():
    flash, journal = started()
    for _ in range(70):
        event(journal)
    _, again = started(flash=flash)
    assert (again.epoch, again.last_seq) == (6, 70)
    assert event(again) == 71
    records = list(again.read(69))
    assert [(r.seq, r.epoch) for r in records] == [(69, 5), (70, 5), (71, 6)]
    assert records[2].link == records[1].mac[:4]


def test_a_start_that_wrote_nothing_leaves_no_epoch():
    flash, journal = started()
    event(journal)
    assert started(flash=flash)[1].epoch == 6
    assert started(flash=flash)[1].epoch == 6


def test_receipts():
    flash, journal = started()
    for _ in range(200):
        event(journal)
        journal.idle()
    used = journal.used
    assert receipt(journal, 150) == 2
    assert journal.acked_seq == 150 and journal.used < used
    last = journal.last_seq
    assert receipt(journal, 150) == 0 and receipt(journal, 3) == 0
    assert journal.last_seq == last  # doing it again writes nothing
    assert started(flash=flash)[1].acked_seq == 150


def test_receipts_for_what_is_not_there():
    _, journal = started()
    for _ in range(9):
        event(journal)
    record = next(journal.read(4))
    link = record.mac[:4]
    raises(ReceiptError, journal.acknowledge, 5, 10, link, 1)
    raises(ReceiptError, journal.acknowledge, 5, 0, link, 1)
    raises(ReceiptError, journal.acknowledge, 6, 4, link, 1)
    raises(ReceiptError, journal.acknowledge, 5, 4, b"\0\0\0\0", 1)
    raises(ReceiptError, journal.acknowledge, 5, 3, link, 1)
    assert journal.acked_seq == 0 and journal.last_seq == 9


def test_wrap_a_hundred_times_without_an_erase_on_append():
    flash, journal = started(4)
    for _ in range(63 * 4 * 100):
        seq = event(journal)
        journal.idle()
        if seq % 60 == 0:
            receipt(journal, seq)
    assert journal.erases_on_append == 0 and journal.drops == 0
    wear = flash.erases_by_block
    assert max(wear) - min(wear) <= 1
    # Bytes programmed for each byte of slots.
    assert flash.program_bytes * 100 <= journal.last_seq * 64 * 101
    _, again = started(flash=flash)
    assert again.last_seq == journal.last_seq and again.acked_seq == journal.acked_seq


def test_full_refuses_and_a_receipt_frees():
    for sectors in (4, 7, 16):
        flash, journal = started(sectors)
        while True:
            try:
                event(journal)
            except JournalFull:
                break
        full = journal.last_seq
        assert full == (sectors - 1) * 63  # the last sector is left for receipts
        assert journal.drops == 1 and journal.nearly_full and not journal.room_for_card()
        raises(JournalFull, event, journal)
        assert seqs(journal) == list(range(1, full + 1))
        again = started(flash=flash)[1]
        raises(JournalFull, event, again)
        assert seqs(again) == list(range(1, full + 1))
        assert receipt(again, 10) == 0
        raises(JournalFull, event, again)
        assert receipt(again, 63) == 1
        assert seqs(again, 64)[: full - 63] == list(range(64, full + 1))
        receipt(again, again.last_seq)
        for _ in range(3):
            event(again)
        assert again.room_for_card() and not again.nearly_full


def test_full_with_receipts_that_free_nothing():
    # Many receipts, each for one more record: none may eat the room that the last one needs.
    flash, journal = started(4)
    for _ in range(4):
        fill(journal, 1000)
        first = journal.acked_seq + 1
        for seq in range(first, journal.last_seq):
            receipt(journal, seq)
        assert journal.acked_seq >= first
        event(journal)


def test_full_before_a_receipt_across_starts():
    flash, journal = started(4)
    fill(journal, 1000, "x" * 200)
    for _ in range(200):  # a bad contact: starts again and again
        _, journal = started(flash=flash)
        fill(journal, 1)
    assert receipt(journal, journal.last_seq) >= 1
    event(journal)


def test_reserve_is_left_for_trips():
    _, journal = started(64)
    while journal.room_for_card():
        event(journal, "x" * 200)
    kept = journal.free
    trips = 0
    try:
        while True:
            event(journal, "x" * 80)
            trips += 1
    except JournalFull:
        pass
    assert trips >= 40 and kept >= 3 * 4064


def test_nearly_full_at_80_percent():
    _, journal = started(64)
    while not journal.nearly_full:
        event(journal, "x" * 100)
    assert 79 * journal.capacity <= 100 * journal.used <= 82 * journal.capacity
    assert journal.used + journal.free == journal.capacity


def test_body_too_long_changes_nothing():
    flash, journal = started()
    event(journal)
    raises(RecordError, journal.append, schema.EVENT, bytes(1201), 1)
    assert journal.append(schema.EVENT, bytes(1200), 1) == 2
    assert seqs(journal) == [1, 2] and started(flash=flash)[1].last_seq == 2


def test_key_is_repeated_in_each_sector_with_payments():
    flash, journal = started(16)
    journal.append(schema.KEY, bytes(270), 1)
    for _ in range(30):
        journal.append(schema.PAYMENT, bytes(400), 1)
    for _ in range(200):
        event(journal)
    for _ in range(3):
        journal.append(schema.PAYMENT, bytes(400), 1)
    keys = set()
    payments = set()
    for place in range(16):
        for offset in journal._places.walk(place):
            type = journal._sector[offset + 1]
            if type == schema.PAYMENT:
                payments.add(place)
                assert place in keys, "the key stands ahead of the payment"
            if type == schema.KEY:
                assert place not in keys
                keys.add(place)
    assert payments == keys and len(keys) >= 5
    assert started(flash=flash)[1].append(schema.PAYMENT, bytes(400), 1) == journal.last_seq + 1


def test_read_goes_on_while_records_and_receipts_come():
    flash, journal = started(6)
    for _ in range(150):
        event(journal)
    got = []
    for record in journal.read(1):
        got.append(record.seq)
        if record.seq < 2000 and record.seq % 2:
            event(journal)
            journal.idle()
        if record.seq % 50 == 0:
            journal.acknowledge(record.epoch, record.seq, record.mac[:4], 1)
    assert got == list(range(1, journal.last_seq + 1))


def test_checkpoint_ring_runs_free():
    flash, journal = started(3, keep=False)
    assert journal.newest(schema.CHECKPOINT) is None
    for i in range(2000):
        body = schema.pack(schema.CHECKPOINT, position=1, snapshot=b"%d" % i)
        journal.append(schema.CHECKPOINT, body, i)
        journal.idle()
        assert journal.newest(schema.CHECKPOINT).time == i
        if i % 37 == 0:
            _, journal = started(flash=flash, keep=False)
            assert journal.newest(schema.CHECKPOINT).time == i
    assert journal.erases_on_append == 0 and journal.drops == 0
    assert journal.room_for_card() and not journal.nearly_full


def test_damage_inside_is_named_and_the_rest_is_read():
    flash, journal = started()
    for _ in range(150):
        event(journal)
    # Seq 70 to 72: sector 1, the eighth record on; a bit turns in each.
    for seq in (70, 71, 72):
        flash.data[BLOCK + 32 + (seq - 64) * 64 + 25] ^= 4
    items = list(journal.read(1))
    damages = [item for item in items if isinstance(item, Damage)]
    assert [(d.first_seq, d.last_seq) for d in damages] == [(70, 72)]
    assert damages[0].address == BLOCK + 32 + 6 * 64 and len(damages[0].raw) == 256
    assert len(items) == 148
    receipt(journal, 73)
    raises(ReceiptError, journal.acknowledge, 5, 152, b"\0\0\0\0", 1)
    assert not any(isinstance(item, Damage) for item in journal.read(1))


def test_mount_reads_little_at_every_size():
    for sectors in (16, 64, 256, 1024):
        flash, journal = started(sectors)
        for _ in range(3):
            event(journal, "x" * 200)
        checks = 0
        while checks < 6:
            flash.reset_counters()
            _, again = started(flash=flash)
            assert again.last_seq == journal.last_seq and again.acked_seq == journal.acked_seq
            assert flash.read_bytes < 12288, (sectors, flash.read_bytes)
            checks += 1
            for _ in range(sectors):
                journal.append(schema.EVENT, bytes(1200), 1)
                if journal.nearly_full:
                    receipt(journal, journal.last_seq - sectors // 4)
