# What the journal takes of the heap: a unit reads thousands of records on one that is never still.
#
# On MicroPython all that is allocated counts, on CPython what is still held. The figures are those
# of 64 bits; a unit needs about half of them.

import gc

from flagfall.journal import schema
from flagfall.journal.record import slot_bytes
from flagfall.journal.ring import Journal
from nor_flash import BLOCK, NorFlash

try:
    allocated = gc.mem_alloc
except AttributeError:
    import tracemalloc

    def allocated():
        return tracemalloc.get_traced_memory()[0]


MANY = 14
RECORD = 480  # beside the record's own bytes: the object, and views that are dropped at once
APPEND = 1150  # of it the two hashes of the MAC are most
HELD = 1800  # by an iterator that is open: what it knows of a sector full of short records
LEFT = 1000  # bytes of odds and ends that CPython keeps; less than the records that were read


class Still(NorFlash):
    # Reads and programs allocate nothing, as esp32.Partition's do.
    def readblocks(self, block, buf, offset=0):
        self.read_bytes += len(buf)
        at = block * BLOCK + offset
        i = 0
        while i < len(buf):
            buf[i] = self.data[at + i]
            i += 1

    def writeblocks(self, block, buf, offset=None):
        at = block * BLOCK + offset
        i = 0
        while i < len(buf):
            self.data[at + i] = buf[i]
            i += 1


def started():
    flash = Still(8 * BLOCK)
    journal = Journal(flash, bytes(32))
    journal.mount(1)
    return flash, journal


def measured(work):
    # Bytes allocated by work(), and those that are still held after it.
    gc.collect()
    gc.disable()
    try:
        if not hasattr(gc, "mem_alloc"):
            tracemalloc.start()
        before = allocated()
        work()
        taken = allocated() - before
        gc.collect()
        return taken, allocated() - before
    finally:
        gc.enable()
        if not hasattr(gc, "mem_alloc"):
            tracemalloc.stop()


def test_reading_takes_the_record_and_little_else():
    for size in (1, 64, 200):
        flash, journal = started()
        for i in range(MANY + 1):
            journal.append(schema.EVENT, bytes(size), i)
        records = journal.read(1)
        next(records)
        flash.read_bytes = 0

        def some(records=records):
            for _ in range(MANY - 1):
                next(records)

        taken, held = measured(some)
        print("a record of %d bytes: %d bytes of heap" % (size + 36, taken // (MANY - 1)))
        assert taken <= (MANY - 1) * (size + 36 + RECORD)
        assert held <= LEFT
        assert flash.read_bytes == (MANY - 1) * slot_bytes(size), "only the record is read"


def test_an_open_iterator_holds_little_even_of_a_sector_full_of_short_records():
    _, journal = started()
    for i in range(63):
        journal.append(schema.EVENT, b"", i)
    held = []

    def begin():
        records = journal.read(1)
        next(records)
        held.append(records)

    taken = measured(begin)[1]
    print("an open iterator: %d bytes of heap" % taken)
    assert taken <= HELD


def test_a_record_appended_leaves_nothing_behind():
    _, journal = started()
    body = bytes(64)
    journal.append(schema.EVENT, body, 0)

    def some():
        for i in range(MANY):
            journal.append(schema.EVENT, body, i)

    taken, held = measured(some)
    print("an append: %d bytes of heap, dropped at once" % (taken // MANY))
    assert taken <= MANY * APPEND
    assert held <= LEFT
