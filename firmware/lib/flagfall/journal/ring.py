# The journal: an append-only ring of records on a raw flash partition.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 2, docs/journal.md. What `append` returned is in flash; what no receipt
# covers is never erased; nothing is programmed twice.

from . import schema
from .medium import SECTOR, Medium
from .places import NONE, Places
from .reading import Reading
from .record import (
    MAX_RECORD,
    NO_LINK,
    SLOT,
    JournalError,
    Record,
    build,
    slot_bytes,
)
from .recovery import Start
from .sector import HEADER, RETIRED, build_header

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_ROOM = const(4064)  # bytes of a sector that take records
_BAD = const(16)  # failing places that are remembered until idle marks them, and tried in a row
_ATTEMPTS = const(4)  # programs that may fail, one after the other, before append gives up


class JournalFull(JournalError):
    """No room that a receipt has freed. Metering goes on; cards must be refused."""


class ReceiptError(JournalError):
    """A receipt for a record that the journal does not hold as the receipt says."""


class Journal(Reading):
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
        self._whole = memoryview(self._record)
        self._first_slot = self._whole[:SLOT]
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
        self._moving = NONE  # a failing sector whose live records have not all moved on
        self._bad = []  # places that failed and are to be marked
        self._newest = {}  # type: (place, offset, seq) of its newest record
        self._key_body = None  # of this epoch's KEY record
        self._key_here = False  # whether it stands in the newest sector

    # Mount.

    def mount(self, first_epoch):
        """Find the newest record; return the new epoch, `first_epoch` on a blank partition.

        Changes nothing in flash and takes any content. Raises FlashError if the flash does not
        answer.
        """
        self._forget()
        start = Start(self._places, self._sector, self._key, self._keep)
        self._place = start.place
        self._offset = start.offset
        self._generation = start.generation
        self.retired = start.retired
        self.last_seq = start.last_seq
        self.acked_seq = start.acked
        self._link = start.link
        self._newest = start.newest
        self._moving = start.moving
        self.epoch = start.epoch + 1 if start.epoch else first_epoch
        self._recount()
        self._measure()
        return self.epoch

    def _recount(self):
        """Count the places that the last round stepped over."""
        if self.retired and self._place != NONE:
            self.retired = self._places.stepped_over(self._place, self._generation)

    def _measure(self):
        """Count the places that must stay: `_live`."""
        if self._place == NONE:
            self._live = 0
        elif self._keep:
            self._live = 1 + self._distance(self.acked_seq + 1)
        else:
            self._live = 1

    def _distance(self, seq):
        """How many places before the newest the sector stands from which `seq` is to be read."""
        distance = self._places.distance(seq, self._place, self._generation, self.retired)
        if self._moving != NONE:
            distance = max(distance, (self._place - self._moving) % self.sectors)
        return distance

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

    def key_ahead(self, time):
        """Let this epoch's KEY record, if there is one, stand in the newest sector.

        For what is sealed now and recorded later, perhaps after a loss of power. Raises
        JournalFull or FlashError.
        """
        if self._key_body is None or self._key_here:
            return
        if self._offset + slot_bytes(len(self._key_body)) > SECTOR:
            self._open_for(schema.KEY)
        self._write(schema.KEY, self._key_body, time)

    def _open_for(self, type):
        """Open a sector; all but receipts leave the last free one alone."""
        if self._keep and type != schema.ACK and self._free_sectors() < 2:
            self.drops += 1
            raise JournalFull("the journal is full: pull it and hand back the receipt")
        self._open()

    def _free_sectors(self):
        return max(0, self.sectors - self._live - max(self.retired, self._skip))

    def _open(self):
        """Open the next sector that works; with it goes what is live in a failing one."""
        for _ in range(_BAD):
            place = self._prepare(True)
            moving = self._moving
            first = self._first_to_move() if moving != NONE else 0
            build_header(
                self._head,
                self._generation + 1,
                first or self.last_seq + 1,
                self.epoch,
                self.acked_seq,
                self.retired + self._skip,
                bool(first),
            )
            self._ready = NONE
            if not self.medium.program(place, 0, self._head):
                self._fail(place)
                continue
            self._live = self._live + 1 + self._skip if self._keep else 1
            self.retired += self._skip
            self._skip = 0
            self._place = place
            self._generation += 1
            self._recount()
            self._offset = HEADER
            self._key_here = False
            if place in self._bad:
                self._bad.remove(place)  # it works after all, and may hold live records now
            if first and not self._move(moving, first):
                self._failed(place)
                self._offset = SECTOR
                continue
            self._moving = NONE
            if moving != NONE:
                self._failed(moving)
                self._measure()
            return
        raise JournalError("no sector after %d takes records" % self._place)

    def _first_to_move(self):
        """The first live seq in the failing sector; 0 if it holds none."""
        index = self._index(self._moving)
        for i in range(1, len(index), 2):
            if index[i] > self.acked_seq:
                return index[i] if self._keep else 0
        return 0

    def _move(self, source, first):
        """Copy the records of `source` from `first` on to the newest sector; True if all went."""
        index = self._index(source)
        for i in range(0, len(index), 2):
            offset, seq = index[i], index[i + 1]
            raw = self._read_record(source, offset, seq) if seq >= first else None
            if raw is None:
                continue
            size = slot_bytes(len(raw) - 36)
            record = self._whole[:size]
            record[: len(raw)] = raw
            for i in range(len(raw), size):
                record[i] = 0xFF
            if self._offset + size > SECTOR:
                return False
            at = self._offset
            self._offset += size
            if not self.medium.program(self._place, at, record):
                return False
            if self._newest.get(raw[1], (0, 0, 0))[2] <= seq:
                self._newest[raw[1]] = (self._place, at, seq)
        return True

    def _leave(self):
        """The newest sector fails: nothing more goes there, and what is live in it will move."""
        self._moving = self._place
        self._offset = SECTOR

    def _failed(self, place):
        if place not in self._bad and len(self._bad) < _BAD:
            self._bad.append(place)

    def _fail(self, place):
        """The place that was next does not work: step over it."""
        self._failed(place)
        self._skip += 1
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
            self._fail(place)
        if on_append:
            self.drops += 1
            raise JournalFull("the journal is full: pull it and hand back the receipt")
        return NONE

    def _write(self, type, body, time):
        """Program the record at the tail, verified. The caller has made room."""
        seq = self.last_seq + 1
        for attempt in range(2 * _ATTEMPTS):
            if self._offset + slot_bytes(len(body)) > SECTOR:
                self._open()
            # Built anew each time: opening a sector may use the buffer to move records.
            size = build(self._record, self._key, type, seq, self.epoch, time, self._link, body)
            record = self._whole[:size]
            offset = self._offset
            self._offset += size
            if self.medium.program(self._place, offset, record):
                break
            if attempt % 2:
                self._leave()
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

        Call it when the vehicle stands and nobody waits, and once after `mount`. It also marks
        sectors that failed, so that they are not tried again.
        """
        if self._bad and self._moving == NONE:
            self._retire(self._bad.pop())
            return True
        if self._ready != NONE:
            return False
        before = self.medium.erases
        self._prepare(False)
        return self.medium.erases != before

    def _retire(self, place):
        """Mark a sector that holds nothing live as failing, as well as it still can be."""
        if place == self._place:
            return
        if self.medium.erase(place):
            build_header(self._head, 0, 0, self.epoch, 0, self.retired, False, True)
            self.medium.program(place, 0, self._head)

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
        live = 1 + self._distance(seq + 1)
        body = schema.pack(schema.ACK, epoch=epoch, upto_seq=seq, link=link)
        if self._free_sectors() < 2:
            # A receipt that frees nothing must not eat the last room: a later one tells it too.
            # One that frees a sector goes ahead without room: the next header carries it.
            self.acked_seq = seq
            if live == before:
                return 0
            if self._offset + slot_bytes(len(body)) > SECTOR and not self._free_sectors():
                self._live = live
        try:
            self.append(schema.ACK, body, time)
        except JournalFull:
            # What was free fails: a sector that the receipt frees is opened instead.
            self.drops -= 1
            self.acked_seq = seq
            if live == before:
                return 0
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
