# Reading the journal back: every seq in order, what is damaged, the newest of a type.
# MIT licence, (c) 2026 The Flagfall contributors.

from array import array

from .medium import SECTOR
from .places import NONE
from .record import MAX_RECORD, SLOT, Damage, Record, length_at, seq_at, slot_bytes
from .sector import GOOD, HEADER

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_REMAINS = const(256)  # bytes of a damaged record that are shown


class Reading:
    """The half of `ring.Journal` that only reads; the state is set by the other half."""

    def read(self, from_seq):
        """Yield Record or Damage for every seq from `from_seq` to the newest, in order.

        Records that a receipt covers may be gone, and are then left out without a word. The
        iterator may be kept while records are appended and receipts arrive.
        """
        expected = max(from_seq, 1)
        if self._place == NONE or expected > self.last_seq:
            return
        place = (self._place - self._distance(expected)) % self.sectors
        remains = (place, HEADER)
        while True:
            growing = place == self._place
            limit = self._limit(place)
            upto = self.last_seq
            index = self._index(place)
            for i in range(0, len(index), 2):
                offset, seq = index[i], index[i + 1]
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
        """The first seq of the sector opened after `place`; 0 if that is not told."""
        if place == self._place:
            return 0
        generation = self._places.header(place).generation
        header = self._places.header((place + 1) % self.sectors)
        next_one = header.state == GOOD and header.generation == generation + 1
        return header.first_seq if next_one and not header.moved else 0

    def _index(self, place):
        """The records of a sector: offset, seq, offset, seq, ... in an array.

        Whoever reads the journal holds it while he may take his time with each record.
        """
        index = array("I")
        for offset in self._places.walk(place):
            index.append(offset)
            index.append(seq_at(self._sector, offset))
        return index

    def _read_record(self, place, offset, seq):
        """The bytes of the record at `offset`, or None if it is not there any more."""
        whole = self._whole
        for _ in range(2):
            self.medium.read(place, offset, self._first_slot)
            stop = offset + slot_bytes(self._record[2] | self._record[3] << 8)
            if stop > min(SECTOR, offset + MAX_RECORD):
                continue
            if stop - offset > SLOT:
                self.medium.read(place, offset + SLOT, whole[SLOT : stop - offset])
            n = length_at(self._record, 0, stop - offset)
            if n and seq_at(self._record, 0) == seq:
                return bytes(whole[:n])
        return None

    def _damage(self, first, last, remains):
        first = max(first, self.acked_seq + 1)
        if first > last or not self._keep:
            return None
        place, offset = remains
        raw = bytearray(min(_REMAINS, SECTOR - offset))
        if raw:
            self.medium.read(place, offset, raw)
        return Damage(first, last, place * SECTOR + offset, bytes(raw))

    def headers(self, place, count):
        """[state, generation, first seq] of up to `count` sectors from `place` on.

        The state is one of sector.BLANK, GOOD, DAMAGED, RETIRED. For a look from outside.
        """
        out = []
        for at in range(place, min(place + count, self.sectors)):
            header = self._places.header(at)
            out.append([header.state, header.generation, header.first_seq])
        return out

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
            header = self._places.header(place)
            if header.state == GOOD and header.generation < self._generation - back:
                continue  # of a round before: it failed to erase
            index = self._index(place)
            for i in range(len(index) - 2, -1, -2):
                raw = self._read_record(place, index[i], index[i + 1])
                if raw and raw[1] == type:
                    return Record(raw)
        return None
