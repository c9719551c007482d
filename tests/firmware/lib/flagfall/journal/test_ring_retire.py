# A sector that stops taking programs: what is live in it moves on, and it is not used again.

from flagfall.journal import schema
from flagfall.journal.ring import Journal
from flagfall.journal.sector import GOOD, RETIRED
from nor_flash import BLOCK, NorFlash

KEY = bytes(range(32))


def event(journal):
    return journal.append(schema.EVENT, bytes(100), journal.last_seq)


def receipt(journal):
    record = next(journal.read(journal.last_seq))
    return journal.acknowledge(record.epoch, record.seq, record.mac[:4], 1)


def failed(receipt_at=0):
    # 20 records in sector 0, which then fails; the last goes to sector 1.
    flash = NorFlash(6 * BLOCK)
    journal = Journal(flash, KEY)
    journal.mount(1)
    journal.idle()
    for i in range(1, 21):
        event(journal)
        if i == receipt_at:
            receipt(journal)
    journal.idle()
    flash.silent_program.add(0)
    seq = event(journal)
    flash.silent_program.clear()
    return flash, journal, seq


def state(journal, place):
    return journal._places.header(place).state


def test_live_records_move():
    flash, journal, seq = failed()
    assert seq == 21 and journal._place == 1 and journal.erases_on_append == 0
    assert [r.seq for r in journal.read(1)] == list(range(1, 22))
    header = journal._places.header(1)
    assert (header.first_seq, header.moved, state(journal, 0)) == (1, True, GOOD)
    assert journal.idle() and state(journal, 0) == RETIRED
    for _ in range(2):
        assert [r.seq for r in journal.read(1)] == list(range(1, 22))
        assert [r.time for r in journal.read(5)] == list(range(4, 21))
        journal = Journal(flash, KEY)
        assert journal.mount(1) == 2 and journal.last_seq == 21


def test_only_what_is_live_moves():
    flash, journal, seq = failed(receipt_at=15)
    assert seq == 22  # the receipt is a record too
    assert journal._places.header(1).first_seq == 16
    assert [r.seq for r in journal.read(16)] == list(range(16, 23))
    journal.idle()
    assert [r.seq for r in journal.read(1)] == list(range(16, 23))


def test_a_retired_sector_is_not_used_again():
    flash, journal, _ = failed()
    journal.idle()
    for round in range(300):
        event(journal)
        journal.idle()
        if round % 20 == 0:
            receipt(journal)
        if round % 70 == 0:
            journal = Journal(flash, KEY)
            journal.mount(1)
            journal.idle()
    assert state(journal, 0) == RETIRED and journal.erases_on_append == 0
    assert flash.erases_by_block[0] <= 2 and max(flash.erases_by_block[1:]) > 2
    assert journal.retired == 1 and journal.capacity == 4 * 4064
    assert [r.seq for r in journal.read(journal.acked_seq + 1)][-1] == journal.last_seq


def test_a_move_that_the_power_cuts_is_done_again():
    for mode in ("before", "torn", "garbage", "half-erase"):
        for at in range(24):
            flash = NorFlash(6 * BLOCK)
            journal = Journal(flash, KEY)
            journal.mount(1)
            for _ in range(20):
                event(journal)
            journal.idle()
            flash.silent_program.add(0)
            flash.cut_after(at, mode)
            done = 20
            try:
                done = event(journal)
            except Exception as e:
                if e.__class__.__name__ != "PowerCut":
                    raise
            flash.power_on()
            again = Journal(flash, KEY)
            again.mount(1)
            assert again.last_seq in (done, 21)
            assert [r.seq for r in again.read(1)] == list(range(1, again.last_seq + 1))
            last = event(again)
            for _ in range(3):
                again.idle()
            again = Journal(flash, KEY)
            again.mount(1)
            assert [r.seq for r in again.read(1)] == list(range(1, last + 1)), (mode, at)


def test_newest_of_each_type_over_rounds():
    flash = NorFlash(5 * BLOCK)
    journal = Journal(flash, KEY)
    journal.mount(1)
    for i in range(150):
        journal.append(schema.TOTALS if i % 9 == 0 else schema.EVENT, bytes(90), i)
        journal.idle()
        if i % 20 == 0:
            receipt(journal)
        if i % 31 == 0:
            journal = Journal(flash, KEY)
            journal.mount(1)
        assert journal.newest(schema.TOTALS).time == i // 9 * 9
        assert journal.newest(schema.SHIFT) is None
