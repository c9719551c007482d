# What a start finds in the partition: the end of the journal, and how far receipts reach.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Nothing is changed here. Whatever the partition holds is taken for what it is: remains of a
# record that was being programmed are left behind, rubbish is room.

from . import schema
from .medium import SECTOR
from .places import NONE
from .record import NO_LINK, epoch_at, length_at, mac_good, seq_at, slot_bytes
from .sector import DAMAGED, GOOD, HEADER, RETIRED, UNTOLD, tail

_BACK = 4  # sectors before the newest that a move, or one without a record, may leave to look at


class Start:
    """The state in which a journal was left.

    place and offset: the newest sector and where the next record goes; generation, retired: of
    its header; last_seq, link, epoch: of the newest record (epoch 0: none was seen); acked: what
    receipts cover; newest: type to (place, offset, seq); moving: the failing sector whose
    records were being moved, or NONE.
    """

    def __init__(self, places, buf, key, keep):
        self._places = places
        self._buf = buf
        self._key = key
        self.place = places.newest()
        self.offset = SECTOR
        self.generation = self.retired = self.last_seq = self.epoch = self.acked = 0
        self.link = NO_LINK
        self.newest = {}
        self.moving = NONE
        if self.place != NONE:
            self._look(keep)

    def _look(self, keep):
        header = self._places.header(self.place)
        found = self._places.walk(self.place)
        self.retired = header.retired
        self.epoch = header.epoch
        if header.state == GOOD:
            self.generation = header.generation
            self.last_seq = header.first_seq - 1
            self.offset = self._tail(found)
        self.epoch = max(self.epoch, self._torn_epoch(found))
        acked = 0 if header.acked == UNTOLD else header.acked
        acked = max(acked, self._acked_in(found))
        place = self.place
        back = 0
        self._take(found, place)
        # The newest sector may hold no record yet: then the link is in the one before it. If it
        # was being filled with records from a failing one, the newest of them may still be there.
        while (not self.newest or header.moved) and back < min(_BACK, self._places.count - 1):
            back += 1
            place = (self.place - back) % self._places.count
            found = self._places.walk(place)
            if found and header.moved and seq_at(self._buf, found[-1]) > self.last_seq:
                self.moving = place
                self.offset = SECTOR
            self._take(found, place)
        if header.state != GOOD:
            # Readable, but nothing more is put there: offset stays at the end.
            self.generation = self._generation_near()
        if keep:
            if header.acked == UNTOLD and not acked:
                acked = self._acked_before()
            self.acked = min(acked, self.last_seq)

    def _tail(self, found):
        offset = tail(self._buf)
        if found:
            # The last slot of a record reads FF if nothing but FF bytes of its CRC stand there.
            offset = max(offset, self._end(found[-1]))
        return offset

    def _end(self, offset):
        return offset + slot_bytes(length_at(self._buf, offset, SECTOR) - 36)

    def _take(self, found, place):
        """Take the newest of the records in the buffer, if none newer was seen."""
        if not found:
            return
        buf = self._buf
        offset = found[-1]
        seq = seq_at(buf, offset)
        self.epoch = max(self.epoch, epoch_at(buf, offset))
        if seq < self.last_seq or (seq == self.last_seq and self.newest):
            return
        self.last_seq = seq
        n = length_at(buf, offset, SECTOR)
        self.link = bytes(buf[offset + n - 16 : offset + n - 12])
        for offset in found:
            self.newest[buf[offset + 1]] = (place, offset, seq_at(buf, offset))

    def _generation_near(self):
        """The generation of a sector whose header is damaged, by the nearest good one before."""
        after = 1
        for back in range(1, self._places.count):
            place = (self.place - back) % self._places.count
            header = self._places.header(place)
            if header.state == GOOD:
                return header.generation + after
            # Others with a damaged header were opened too; places that failed were not.
            if header.state == DAMAGED and self._places.walk(place):
                after += 1
        return after

    def _torn_epoch(self, found):
        """The epoch of a record that was being programmed at the tail; 0 if it cannot be told."""
        buf = self._buf
        offset = HEADER
        last = self.epoch
        if found:
            last = epoch_at(buf, found[-1])
            offset = self._end(found[-1])
        if offset < SECTOR and last and buf[offset] == 0xA7:
            epoch = epoch_at(buf, offset)
            if last < epoch <= last + 16:
                return epoch
        return 0

    def _acked_in(self, found):
        """What the ACK records among `found` in the sector buffer cover."""
        acked = 0
        for offset in found:
            if self._buf[offset + 1] == schema.ACK:
                acked = max(acked, self._upto(offset))
        return acked

    def _acked_before(self):
        """What the newest receipt covers, where the newest sector does not tell."""
        for back in range(1, self._places.count):
            place = (self.place - back) % self._places.count
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
        n = length_at(self._buf, offset, SECTOR)
        raw = memoryview(self._buf)[offset : offset + n]
        if not mac_good(self._key, raw):
            return 0
        try:
            upto = schema.unpack(schema.ACK, raw[20 : n - 16])["upto_seq"]
        except schema.SchemaError:
            return 0
        return upto if upto < seq_at(raw, 0) else 0
