# Deliberate bugs: the journal with one thing done wrong. Each must break a promise that
# power_cuts checks, or those checks are worth nothing.

from flagfall.journal import reading, recovery, ring, schema, sector
from flagfall.journal.record import NO_LINK, Record, seq_at
from flagfall.journal.ring import Journal
from flagfall.journal.sector import HEADER
from nor_flash import BLOCK, NorFlash, NorViolation
from power_cuts import Life, Violation, depth_1, lived, operations, steps_of


def caught(journal_class, lives=((1, 4, 60), (3, 3, 50), (8, 5, 90), (6, 4, 70))):
    # Whether any life under this journal breaks a promise.
    for seed, sectors, count in lives:
        try:
            lived(seed, sectors, count, [], journal_class, keep=False)
            depth_1(seed, sectors, count, 3, "tgh", journal_class, keep=False)
        except (Violation, NorViolation):
            return True
    return False


def sound(lives):
    return not caught(Journal, lives)


def patched(module, name, function, journal_class=Journal, **kwargs):
    # `caught` while `module.name` is another function.
    original = getattr(module, name)
    setattr(module, name, function)
    try:
        return caught(journal_class, **kwargs)
    finally:
        setattr(module, name, original)


def test_the_journal_without_a_bug_is_not_accused():
    assert sound(((1, 4, 60), (6, 4, 70)))


def test_header_before_erase():
    class Bug(Journal):
        def _prepare(self, on_append):
            place = (self._place + 1) % self.sectors
            return place if self._live < self.sectors else Journal._prepare(self, on_append)

    assert caught(Bug)


def test_idle_erases_two_sectors_ahead():
    class Bug(Journal):
        def idle(self):
            self.medium.erase((self._place + 2) % self.sectors)
            return Journal.idle(self)

    assert caught(Bug)


def test_everything_is_free_after_any_receipt():
    class Bug(Journal):
        def _measure(self):
            Journal._measure(self)
            if self.acked_seq:
                self._live = min(self._live, 1)

    assert caught(Bug)


def test_receipt_counts_before_it_is_in_flash():
    class Bug(Journal):
        def append(self, type, body, time):
            if type == schema.ACK:
                return self.last_seq
            return Journal.append(self, type, body, time)

    assert caught(Bug)


def test_receipt_is_forgotten_at_a_start():
    class Bug(Journal):
        def mount(self, first_epoch):
            epoch = Journal.mount(self, first_epoch)
            self.acked_seq = 0
            self._measure()
            return epoch

    assert caught(Bug)


def test_receipt_is_taken_for_one_more():
    class Bug(Journal):
        def mount(self, first_epoch):
            epoch = Journal.mount(self, first_epoch)
            self.acked_seq += 1
            return epoch

    assert caught(Bug)


def test_append_returns_before_it_has_programmed():
    class Bug(Journal):
        waiting = None

        def _write(self, type, body, time):
            # Programs the record of the call before.
            if self.waiting and self._offset + 1248 <= BLOCK:
                Journal._write(self, *self.waiting)
            self.waiting = (type, body, time)
            return self.last_seq + 1

    assert caught(Bug)


def test_crc_over_the_header_only():
    # A torn body passes.
    def length_at(buf, offset, stop):
        n = buf[offset + 2] | buf[offset + 3] << 8 if offset + 36 <= stop else 9999
        good = buf[offset] == 0xA7 if offset < stop else False
        return n + 36 if good and n <= 1200 and offset + n + 36 <= stop else 0

    assert _patched_twice("length_at", length_at)


def _patched_twice(name, function):
    modules = (sector, recovery)
    originals = [getattr(module, name) for module in modules]
    for module in modules:
        setattr(module, name, function)
    try:
        return patched(reading, name, function)
    finally:
        for module, original in zip(modules, originals):  # noqa: B905
            setattr(module, name, original)


def test_seq_is_used_again_after_a_start():
    class Bug(Journal):
        def mount(self, first_epoch):
            epoch = Journal.mount(self, first_epoch)
            if self._place >= 0:
                self.last_seq = self._places.header(self._place).first_seq - 1
            return epoch

    assert caught(Bug)


def test_epoch_stays_the_same_after_a_start():
    class Bug(Journal):
        def mount(self, first_epoch):
            epoch = Journal.mount(self, first_epoch)
            if epoch > first_epoch:
                self.epoch = epoch - 1
            return self.epoch

    assert caught(Bug)


def test_chain_starts_anew_after_a_start():
    class Bug(Journal):
        def mount(self, first_epoch):
            epoch = Journal.mount(self, first_epoch)
            self._link = NO_LINK
            return epoch

    assert caught(Bug)


def test_tail_right_behind_the_last_good_record():
    # Programs over the remains of the record that the power cut.
    def first_free(buf):
        return HEADER

    assert patched(recovery, "tail", first_free)


def test_tail_behind_the_last_slot_that_is_not_blank():
    # The last slot of a record reads FF if only the last byte of its CRC, FF, stands in it.
    class Bug(Journal):
        def mount(self, first_epoch):
            epoch = Journal.mount(self, first_epoch)
            if self._place >= 0:
                self.medium.read(self._place, 0, self._sector)
                self._offset = sector.tail(self._sector)
            return epoch

    assert blank_last_slot(Journal)
    assert not blank_last_slot(Bug)


def blank_last_slot(journal_class):
    # Whether a record whose CRC ends in FF, in a slot of its own, is left whole.
    for i in range(4000):
        flash = NorFlash(3 * BLOCK)
        journal = journal_class(flash, bytes(32))
        journal.mount(1)
        journal.append(schema.EVENT, b"%029d" % i, 1)
        if flash.data[HEADER + 64] == 0xFF:
            journal.mount(1)
            journal.append(schema.EVENT, b"next", 1)
            items = list(journal.read(1))
            return [item.seq for item in items if item.__class__ is Record] == [1, 2]
    raise Violation("no such record found")


def test_generation_does_not_rise():
    class Bug(Journal):
        def _open(self):
            self._generation = 0
            Journal._open(self)

    assert caught(Bug)


def test_first_seq_of_the_sector_is_one_too_high():
    def wrong(buf, generation, first_seq, *more, **named):
        sector.build_header(buf, generation, first_seq + 1, *more, **named)

    assert patched(ring, "build_header", wrong)


def test_mount_wipes_what_it_does_not_understand():
    # A sector that was being erased or opened makes this one start from nothing.
    class Bug(Journal):
        def mount(self, first_epoch):
            for place in range(self.sectors):
                if self._places.header(place).state == sector.DAMAGED:
                    for other in range(self.sectors):
                        self.medium.erase(other)
            return Journal.mount(self, first_epoch)

    assert caught(Bug)


def test_read_stops_at_remains():
    class Bug(Journal):
        def _index(self, place):
            found = Journal._index(self, place)
            out = []
            at = HEADER
            for i in range(0, len(found), 2):
                offset = found[i]
                if offset != at:
                    break
                out += [offset, found[i + 1]]
                at = offset + (self._sector[offset + 2] | self._sector[offset + 3] << 8) + 36 + 31
                at &= ~31
            return out

    assert caught(Bug)


def test_receipt_is_not_compared():
    # Only a host that hands back wrong receipts shows it.
    from expect import raises
    from flagfall.journal.ring import ReceiptError

    flash = NorFlash(4 * BLOCK)
    journal = Journal(flash, bytes(32))
    journal.mount(1)
    for _ in range(3):
        journal.append(schema.EVENT, b"\1", 1)
    record = next(journal.read(2))
    assert record.__class__ is Record
    for epoch, seq, link in (
        (record.epoch + 1, 2, record.mac[:4]),
        (record.epoch, 3, record.mac[:4]),
        (record.epoch, 2, b"\0\0\0\0"),
    ):
        raises(ReceiptError, journal.acknowledge, epoch, seq, link, 1)


def faulty_life(journal_class):
    # Sectors 1 and 2 take no programs and do not say so.
    flash = NorFlash(6 * BLOCK)
    flash.silent_program.update((1, 2))
    life = Life(steps_of(1, 60), flash, journal_class)
    try:
        life.live()
    except (Violation, NorViolation):
        return False
    return True


def test_program_is_not_verified():
    class Bug(Journal):
        def __init__(self, flash, key):
            Journal.__init__(self, flash, key)
            program = self.medium.program

            def unchecked(place, offset, buf):
                program(place, offset, buf)
                return True

            self.medium.program = unchecked

    assert faulty_life(Journal)
    assert not faulty_life(Bug)


def test_wrong_read_is_believed():
    class Bug(Journal):
        def __init__(self, flash, key):
            Journal.__init__(self, flash, key)
            places = self._places
            places.walk = lambda place: self._once(places, place)

        def _once(self, places, place):
            self.medium.read(place, 0, self._sector)
            return sector.walk(self._sector, self._key)

    assert wrong_reads(Journal)
    assert not wrong_reads(Bug)


def wrong_reads(journal_class):
    # Whether a start finds all however which of its reads comes back wrong.
    flash = NorFlash(4 * BLOCK)
    journal = journal_class(flash, bytes(32))
    journal.mount(1)
    for _ in range(8):
        journal.append(schema.EVENT, bytes(1100), 1)
    for n in range(12):
        for _ in range(16):
            flash.wrong_read_after(n)
            again = journal_class(flash, bytes(32))
            if again.mount(1) != 2 or again.last_seq != 8:
                return False
    return True


def test_remains_are_searched_without_the_mac():
    # A record stands whole inside the body of a damaged one.
    assert hidden_record(bytes(32)) == []
    assert hidden_record(None) != []


def hidden_record(key):
    flash = NorFlash(3 * BLOCK)
    journal = Journal(flash, b"another key")
    journal.mount(1)
    journal.append(schema.EVENT, b"\1", 1)
    inner = bytes(flash.data[HEADER : HEADER + 64])
    flash = NorFlash(3 * BLOCK)
    journal = Journal(flash, bytes(32))
    journal.mount(1)
    journal.append(schema.EVENT, bytes(12) + inner, 1)
    flash.data[HEADER + 21] ^= 1
    buf = flash.data[:BLOCK]
    return [seq_at(buf, offset) for offset in sector.walk(buf, key)]


def test_operations_are_counted():
    assert operations(1, 4, 60) > 50
