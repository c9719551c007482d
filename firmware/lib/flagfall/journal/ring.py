# The journal: an append-only ring of records on a raw flash partition.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 2, docs/journal.md. What `append` returned is in flash; what no receipt
# covers is never erased; nothing is programmed twice.

from . import schema
from .medium import SECTOR, Medium
from .places import NONE, Places
from .record import (
    MAX_RECORD,
    NO_LINK,
    Damage,
    JournalError,
    Record,
    build,
    epoch_at,
    length_at,
    mac_good,
    seq_at,
    slot_bytes,
)
from .sector import DAMAGED, GOOD, HEADER, RETIRED, UNTOLD, build_header, tail

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_ROOM = const(4064)  # bytes of a sector that take records
_REMAINS = const(256)  # bytes of a damaged record that are shown
_ATTEMPTS = const(4)  # programs that may fail, one after the other, before append gives up


class JournalFull(JournalError):
    """No room that a receipt has freed. Metering goes on; cards must be refused."""


class ReceiptError(JournalError):
    """A receipt for a record that the journal does not hold as the receipt says."""


class Journal:
    """The journal on `flash` (see medium.py for its protocol), its records MACed by `journal_key`.

    `keep_unacked=False` makes a free-running ring that overwrites its oldest sector (for
    CHECKPOINT records). Call `mount` first. Not re-entrant: one task at a time calls it, but an
    iterator from `read` may be left open meanwhile.

    last_seq, epoch, acked_seq and the counters `drops` (appends refused for want of room) and
    `erases_on_append` are integers; `medium` counts programs, erases and reads.
    """

    def __init__(self, flash, journal_key, keep_unacked=True):
        self.medium = Medium(flash)
        self._key = journal_key
        self._keep = keep_unacked
        self._sector = bytearray(SECTOR)
        self._record = bytearray(MAX_RECORD)
        self._head = bytearray(HEADER)
        self._places = Places(self.medium, journal_key, self._sector)
        self.sectors = self.medium.sectors
        self.drops = self.erases_on_append = 0
        self._forget()

    def _forget(self):
        self.epoch = self.last_seq = self.acked_seq = self.retired = 0
        self._link = NO_LINK  # for the next record
        self._place = NONE  # the newest sector
        self._offset = SECTOR  # where the next record goes in it
        self._generation = 0
        self._live = 0  # places from the oldest that must stay to the newest
        self._skip = 0  # places after the newest that failed
        self._ready = NONE  # a place erased and not yet opened
        self._newest = {}  # type: (place, offset, seq) of its newest record
        self._key_body = None  # of this epoch's KEY record
        self._key_here = False  # whether it stands in the newest sector

    # Mount.

    def mount(self, first_epoch):
        """Find the newest record; return the new epoch, `first_epoch` on a blank partition.

        Changes nothing in flash. Whatever the partition holds is taken for what it is: remains
        of a record that was being programmed are left behind, rubbish is room. Raises FlashError
        if the flash does not answer.
        """
        self._forget()
        place = self._places.newest()
        if place == NONE:
            self.epoch = first_epoch
            return first_epoch
        self._place = place
        header = self._places.header(place)
        self._generation = header.generation
        self.retired = header.retired
        seen = header.epoch
        last = header.first_seq - 1 if header.state == GOOD else 0
        back = 0
        found = self._places.walk(place)
        self._offset = tail(self._sector)
        if found:
            # The last slot of a record reads FF if nothing but FF bytes of its CRC stand there.
            n = length_at(self._sector, found[-1], SECTOR)
            self._offset = max(self._offset, found[-1] + slot_bytes(n - 36))
        if header.state != GOOD:
            self._offset = SECTOR  # readable, but nothing more is put there
            self._generation = self._generation_near(place)
        seen = max(seen, self._torn_epoch(found, seen))
        if self._keep:
            acked = self._acked_in(found)
            if header.acked != UNTOLD:
                acked = max(acked, header.acked)
        # The newest sector may hold no record yet: then the link is in the one before it.
        while not found and back < min(3, self.sectors - 1):
            back += 1
            found = self._places.walk((place - back) % self.sectors)
        if found:
            offset = found[-1]
            seq = seq_at(self._sector, offset)
            seen = max(seen, epoch_at(self._sector, offset))
            if seq >= last:
                last = seq
                n = length_at(self._sector, offset, SECTOR)
                self._link = bytes(self._sector[offset + n - 16 : offset + n - 12])
            for offset in found:
                at = ((place - back) % self.sectors, offset, seq_at(self._sector, offset))
                self._newest[self._sector[offset + 1]] = at
        self.last_seq = max(last, 0)
        self.epoch = seen + 1 if seen else first_epoch
        if self._keep:
            if header.acked == UNTOLD and not acked:
                acked = self._acked_before()
            self.acked_seq = min(acked, self.last_seq)
        self._measure()
        return self.epoch

    def _generation_near(self, place):
        """A generation for a sector whose header is damaged: that of the nearest before it."""
        for back in range(1, self.sectors):
            header = self._places.header((place - back) % self.sectors)
            if header.state == GOOD:
                return header.generation + back
        return 1

    def _torn_epoch(self, found, last):
        """The epoch of a record that was being programmed at the tail; 0 if it cannot be told."""
        buf = self._sector
        offset = HEADER
        if found:
            offset = found[-1]
            last = epoch_at(buf, offset)
            offset += slot_bytes(length_at(buf, offset, SECTOR) - 36)
        if offset < SECTOR and last and buf[offset] == 0xA7:
            epoch = epoch_at(buf, offset)
            if last < epoch <= last + 16:
                return epoch
        return 0

    def _acked_in(self, found):
        """What the ACK records among `found` in the sector buffer cover."""
        acked = 0
        for offset in found:
            if self._sector[offset + 1] == schema.ACK:
                acked = max(acked, self._upto(offset))
        return acked

    def _acked_before(self):
        """What the newest receipt covers, where the newest sector does not tell."""
        for back in range(1, self.sectors):
            place = (self._place - back) % self.sectors
            header = self._places.header(place)
            if header.state in (GOOD, DAMAGED):
                acked = self._acked_in(self._places.walk(place))
                if header.acked != UNTOLD:
                    return max(acked, header.acked)
                if acked:
                    return acked
            elif header.state != RETIRED:
                break
        return 0

    def _upto(self, offset):
        """The seq that the ACK record at `offset` covers; 0 if it is not one of ours."""
        n = length_at(self._sector, offset, SECTOR)
        raw = memoryview(self._sector)[offset : offset + n]
        if not mac_good(self._key, raw):
            return 0
        try:
            upto = schema.unpack(schema.ACK, raw[20 : n - 16])["upto_seq"]
        except schema.SchemaError:
            return 0
        return upto if upto < seq_at(raw, 0) else 0

    def _measure(self):
        """Count the places that must stay: `_live`."""
        if self._place == NONE:
            self._live = 0
        elif self._keep:
            self._live = 1 + self._places.distance(self.acked_seq + 1, self._place)
        else:
            self._live = 1

    # Append.

    def append(self, type, body, time):
        """Put a record in flash; return its seq. It is durable when this returns.

        `time` in UTC seconds since 2000. The newest KEY record of this epoch is repeated ahead
        of the first PAYMENT of each further sector, so that any sector can be opened alone.
        Raises JournalFull, RecordError (the body is too long) or FlashError.
        """
        need = slot_bytes(len(body))
        if type == schema.PAYMENT and self._key_body is not None:
            ahead = slot_bytes(len(self._key_body))
            if self._offset + need + (0 if self._key_here else ahead) > SECTOR:
                self._open_for(type)
            if not self._key_here:
                self._write(schema.KEY, self._key_body, time)
        if self._offset + need > SECTOR:
            self._open_for(type)
        seq = self._write(type, body, time)
        if type == schema.KEY:
            self._key_body = bytes(body)
        return seq

    def _open_for(self, type):
        """Open a sector; all but receipts leave the last free one alone."""
        if self._keep and type != schema.ACK and self._free_sectors() < 2:
            self.drops += 1
            raise JournalFull("the journal is full: pull it and hand back the receipt")
        self._open()

    def _free_sectors(self):
        return max(0, self.sectors - self._live - max(self.retired, self._skip))

    def _open(self):
        """Open the next sector that works."""
        for _ in range(_ATTEMPTS):
            place = self._prepare(True)
            build_header(
                self._head,
                self._generation + 1,
                self.last_seq + 1,
                self.epoch,
                self.acked_seq,
                self.retired,
            )
            self._ready = NONE
            if self.medium.program(place, 0, self._head):
                self._live = self._live + 1 + self._skip if self._keep else 1
                self._skip = 0
                self._place = place
                self._generation += 1
                self._offset = HEADER
                self._key_here = False
                return
            self._fail()
        raise JournalError("no sector after %d takes a header" % self._place)

    def _fail(self):
        """The place that was next does not work: step over it."""
        self._skip += 1
        self.retired += 1
        self._ready = NONE

    def _prepare(self, on_append):
        """Return the next place, erased; NONE if none is free (JournalFull on append)."""
        while self._live + self._skip < self.sectors:
            place = (self._place + 1 + self._skip) % self.sectors
            if place == self._ready:
                return place
            if self._places.header(place).state == RETIRED:
                self._skip += 1
                continue
            if on_append and self.medium.blank(place):
                return place
            if on_append and self._generation:
                self.erases_on_append += 1
            if self.medium.erase(place) or self.medium.erase(place):
                self._ready = place
                return place
            self._fail()
        if on_append:
            self.drops += 1
            raise JournalFull("the journal is full: pull it and hand back the receipt")
        return NONE

    def _write(self, type, body, time):
        """Program the record at the tail, verified. The caller has made room."""
        seq = self.last_seq + 1
        size = build(self._record, self._key, type, seq, self.epoch, time, self._link, body)
        record = memoryview(self._record)[:size]
        for _ in range(_ATTEMPTS):
            if self._offset + size > SECTOR:
                self._open()
            offset = self._offset
            self._offset += size
            if self.medium.program(self._place, offset, record):
                break
        else:
            raise JournalError("flash sector %d does not take records" % self._place)
        self.last_seq = seq
        end = 20 + len(body)
        self._link = bytes(record[end : end + 4])
        self._newest[type] = (self._place, offset, seq)
        if type == schema.KEY:
            self._key_here = True
        return seq

    def idle(self):
        """Erase the next sector ahead of time. Returns True if it erased (40 ms on a chip).

        Call it when the vehicle stands and nobody waits, and once after `mount`.
        """
        if self._ready != NONE:
            return False
        before = self.medium.erases
        self._prepare(False)
        return self.medium.erases != before

    # Read.

    def read(self, from_seq):
        """Yield Record or Damage for every seq from `from_seq` to the newest, in order.

        Records that a receipt covers may be gone, and are then left out without a word. The
        iterator may be kept while records are appended and receipts arrive.
        """
        expected = max(from_seq, 1)
        if self._place == NONE or expected > self.last_seq:
            return
        place = (self._place - self._places.distance(expected, self._place)) % self.sectors
        remains = (place, HEADER)
        while True:
            growing = place == self._place
            limit = self._limit(place)
            upto = self.last_seq
            for offset, seq in self._index(place):
                if seq < expected or (limit and seq >= limit):
                    continue
                raw = self._read_record(place, offset, seq)
                if raw is None:
                    continue
                if seq > expected:
                    damage = self._damage(expected, seq - 1, remains)
                    if damage:
                        yield damage
                expected = seq + 1
                remains = (place, offset + slot_bytes(len(raw) - 36))
                yield Record(raw)
            if not growing:
                place = (place + 1) % self.sectors
            elif self.last_seq == upto:
                break
        damage = self._damage(expected, upto, remains)
        if damage:
            yield damage

    def _limit(self, place):
        """The first seq of the sector after `place`; 0 for the newest."""
        if place == self._place:
            return 0
        header = self._places.header((place + 1) % self.sectors)
        return header.first_seq if header.state == GOOD else 0

    def _index(self, place):
        return [(offset, seq_at(self._sector, offset)) for offset in self._places.walk(place)]

    def _read_record(self, place, offset, seq):
        """The bytes of the record at `offset`, or None if it is not there any more."""
        for _ in range(2):
            self.medium.read(place, offset, memoryview(self._record)[: self._span(offset)])
            n = length_at(self._record, 0, self._span(offset))
            if n and seq_at(self._record, 0) == seq:
                return bytes(memoryview(self._record)[:n])
        return None

    def _span(self, offset):
        return min(MAX_RECORD, SECTOR - offset)

    def _damage(self, first, last, remains):
        first = max(first, self.acked_seq + 1)
        if first > last or not self._keep:
            return None
        place, offset = remains
        raw = bytearray(min(_REMAINS, SECTOR - offset))
        if raw:
            self.medium.read(place, offset, raw)
        return Damage(first, last, place * SECTOR + offset, bytes(raw))

    def newest(self, type):
        """The newest Record of `type`, or None."""
        at = self._newest.get(type)
        if at:
            raw = self._read_record(at[0], at[1], at[2])
            if raw:
                return Record(raw)
        if self._place == NONE:
            return None
        for back in range(self.sectors):
            place = (self._place - back) % self.sectors
            for offset, seq in reversed(self._index(place)):
                raw = self._read_record(place, offset, seq)
                if raw and raw[1] == type:
                    return Record(raw)
        return None

    # Receipts.

    def acknowledge(self, epoch, seq, link, time):
        """Take the host's receipt for everything up to `seq`; return how many sectors it freed.

        `epoch` and `link` (the first 4 bytes of its MAC) must be those of record `seq`. Raises
        ReceiptError if they are not. Doing it again does nothing.
        """
        if not 1 <= seq <= self.last_seq:
            raise ReceiptError("a receipt up to seq %d; the newest is %d" % (seq, self.last_seq))
        for record in self.read(seq):
            if record.__class__ is Record and record.seq == seq:
                if record.epoch != epoch or record.mac[:4] != link:
                    raise ReceiptError("a receipt for another record than seq %d" % seq)
            elif seq > self.acked_seq:
                raise ReceiptError("a receipt up to seq %d, which cannot be read" % seq)
            break
        if seq <= self.acked_seq:
            return 0
        before = self._live
        live = 1 + self._places.distance(seq + 1, self._place)
        body = schema.pack(schema.ACK, epoch=epoch, upto_seq=seq, link=link)
        if self._free_sectors() < 2:
            # A receipt that frees nothing must not eat the last room: a later one tells it too.
            # One that frees a sector goes ahead without room: the next header carries it.
            self.acked_seq = seq
            if live == before:
                return 0
            if self._offset + slot_bytes(len(body)) > SECTOR and not self._free_sectors():
                self._live = live
        self.append(schema.ACK, body, time)
        self.acked_seq = seq
        self._measure()
        return max(0, before - live)

    # Room.

    @property
    def capacity(self):
        """Bytes of slots that the partition takes; one sector is kept for receipts."""
        return (self.sectors - self.retired - 1) * _ROOM

    @property
    def used(self):
        """Bytes of slots that no receipt has freed."""
        if not self._live:
            return 0
        return min(self.capacity, (self._live - 1) * _ROOM + min(self._offset, SECTOR) - HEADER)

    @property
    def free(self):
        """Bytes of slots that can be written now."""
        return self.capacity - self.used

    @property
    def nearly_full(self):
        """Whether 80 % of the room is used: the driver is told to have the unit pulled."""
        return self.used * 5 >= self.capacity * 4

    def room_for_card(self):
        """Whether a card may be taken: a reserve is kept back for trips and receipts."""
        return not self._keep or self._free_sectors() > max(2, self.sectors // 16)
