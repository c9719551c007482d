# Where in the partition things stand: the newest sector, and the sector that holds a seq.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Sectors are opened in the order of their place, round and round, so their generations and first
# seqs, taken from the place after the newest, only rise. Both questions are answered by binary
# search over headers; places that tell nothing (blank, damaged, retired) are stepped over.

from .record import seq_at
from .sector import BLANK, DAMAGED, GOOD, HEADER, RETIRED, read_header, walk

NONE = -1  # no such place
_ANY = 1 << 29  # more than there are generations
_BLANKS = 4  # so many blank places in a row were never written, says a first look
_DEAD = 16  # one more than may fail in a row without taking even the mark of it


class Places:
    """Reads headers of `medium`. `buf` is a 4096-byte buffer shared with the journal."""

    def __init__(self, medium, key, buf):
        self._medium = medium
        self._key = key
        self._buf = buf
        self._scratch = bytearray(HEADER)
        self.count = medium.sectors

    def header(self, place):
        """The Header at `place` (see sector.Header)."""
        return read_header(self._medium, place, self._scratch)

    def walk(self, place):
        """Read the sector into the shared buffer; return the offsets of its good records."""
        self._medium.read(place, 0, self._buf)
        return walk(self._buf, self._key, self._medium, place)

    def newest(self):
        """The place of the newest sector, or NONE if no place holds a record or a good header."""
        first = 0
        header = self.header(0)
        while header.state != GOOD:
            first += 1
            if first == self.count:
                return self._newest_without_headers()
            header = self.header(first)
        place = self._last_not_older(first, header.generation)
        if not self._nothing_newer(place):
            place = self._newest_of_all()
        # The header of the newest may be damaged: what follows then holds later records.
        last = -1
        for _ in range(self.count):
            after = (place + 1) % self.count
            if self.header(after).state != DAMAGED:
                break
            if last < 0:
                last = self._last_seq(place)
            newer = self._last_seq(after)
            if newer <= last:
                break
            place, last = after, newer
        return place

    def _last_seq(self, place):
        found = self.walk(place)
        return seq_at(self._buf, found[-1]) if found else 0

    def _last_not_older(self, first, generation):
        """The last place from `first` on whose generation is at least that of `first`."""
        low, high = first, self.count  # low qualifies; from high on none does
        while high - low > 1:
            middle = (low + high) // 2
            probe, blanks, newer = middle, 0, False
            while probe < high and blanks < _BLANKS:
                header = self.header(probe)
                if header.state == GOOD:
                    newer = header.generation >= generation
                    break
                blanks = blanks + 1 if header.state == BLANK else 0
                probe += 1
            if newer:
                low = probe
            else:
                high = middle
        return low

    def _nothing_newer(self, place):
        """Look behind `place` for a newer generation: past what failed, then ever further."""
        generation = self.header(place).generation
        step = 1
        dead = 0
        while step < self.count:
            header = self.header((place + step) % self.count)
            if header.state == GOOD and header.generation > generation:
                return False
            if header.state != RETIRED:
                dead += 1  # blank, damaged, or it could not be erased and tells of a round before
            step += 1 if step < 4 or dead < _DEAD else step // 2
        return True

    def _newest_of_all(self):
        """Look at every header: some place reads blank that should not."""
        best, generation = NONE, 0
        for place in range(self.count):
            header = self.header(place)
            if header.state == GOOD and header.generation > generation:
                best, generation = place, header.generation
        return best

    def _newest_without_headers(self):
        """No header is good: go by the records."""
        best, last = NONE, 0
        for place in range(self.count):
            if self.header(place).state == DAMAGED:
                found = self.walk(place)
                if found and seq_at(self._buf, found[-1]) > last:
                    best, last = place, seq_at(self._buf, found[-1])
        return best

    def distance(self, seq, newest, generation, retired):
        """How many places before `newest` the sector stands that holds `seq`, or would.

        That is the last sector whose first seq is not above `seq`. If all first seqs that can be
        read are above it: the furthest place that may hold it. `generation` and `retired` are
        those of the newest sector.
        """
        # More blanks in a row than failed sectors were ever counted were never written.
        limit = _BLANKS + retired
        low, high = -1, self.count  # by position: 0 is the place after the newest
        while high - low > 1:
            middle = (low + high) // 2
            probe, blanks, older = middle, 0, False
            while probe < high:
                place = (newest + 1 + probe) % self.count
                first = self._first_seq(place, generation - (self.count - 1 - probe), retired)
                if first:
                    older = first <= seq
                    break
                blanks = blanks + 1 if self.header(place).state == BLANK else 0
                if blanks == limit:
                    older = True
                    break
                probe += 1
            if older:
                low = probe
            else:
                high = middle
        if low < 0:
            low = self._before_first(newest)
        return self.count - 1 - low

    def _first_seq(self, place, generation, retired):
        """The first seq of a sector whose generation should be about this; 0 if it tells none.

        A sector of a round before stands where one failed to erase. Its header is sound, but
        tells nothing about what is around it.
        """
        header = self.header(place)
        if header.state == GOOD:
            near = generation <= header.generation <= generation + retired
            return header.first_seq if near else 0
        if header.state == DAMAGED:
            found = self.walk(place)
            if found:
                return seq_at(self._buf, found[0])
        return 0

    def stepped_over(self, newest, generation):
        """How many places of the last round were stepped over because they failed."""
        for distance in range(self.count - 1, 0, -1):
            header = self.header((newest - distance) % self.count)
            if header.state == GOOD and generation - distance <= header.generation < generation:
                return distance - (generation - header.generation)
        return 0

    def _before_first(self, newest):
        """The position from which on places may hold what is older than all that can be read."""
        position = 0
        while position < self.count - 1:
            if self._first_seq((newest + 1 + position) % self.count, 1, _ANY):
                break
            position += 1
        while position and self.header((newest + position) % self.count).state == DAMAGED:
            position -= 1
        return position
