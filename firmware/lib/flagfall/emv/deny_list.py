# The deny list: hashed card numbers and ranges of numbers, looked up where they lie in flash.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Layout, all integers little-endian:
#
#   0   4  magic "FFDL"
#   4   1  format, 1
#   5   1  kind: 0 whole list, 1 delta
#   6   1  hash bytes per entry, 6 to 8
#   7   1  reserved, 0
#   8   4  version of the list, or of the list that the delta makes
#   12  4  version the delta starts from; 0 in a whole list
#   16  4  entries (delta: entries to add)
#   20  4  ranges
#   24  4  entries to take away; 0 in a whole list
#   28  4  reserved, 0
#   32  16 salt
#   48  32 SHA-256 of the body; in a delta: of the body of the list that it makes
#   80  32 SHA-256 of bytes 0 to 79
#   112    body: ranges, then entries, then (delta) entries to take away
#
# A range is two numbers of 10 digits as BCD (5 bytes each), the first and last of the leading
# ten digits that are denied, sorted, not overlapping. An entry is the leading bytes of
# SHA-256(salt, PAN digits as ASCII), sorted. A delta carries all ranges, which are few.

import hashlib

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


HEADER = 112
MAX_ENTRIES = 1000000
MAX_RANGES = 2000
_RANGE = const(10)
_BLOCK = const(512)  # bytes of one read
_WHOLE = const(0)
_DELTA = const(1)


class DenyListError(ValueError):
    """The bytes are no usable deny list: keep the old one."""


class Header:
    """The first 112 bytes, checked."""

    def __init__(self, data):
        if len(data) < HEADER or bytes(data[:4]) != b"FFDL":
            raise DenyListError("deny list: not one, or cut off")
        if hashlib.sha256(bytes(data[:80])).digest() != bytes(data[80:HEADER]):
            raise DenyListError("deny list: header is damaged")
        if data[4] != 1 or data[5] > _DELTA or not 6 <= data[6] <= 8:
            raise DenyListError("deny list: format is not known")
        number = [int.from_bytes(data[at : at + 4], "little") for at in range(8, 28, 4)]
        self.delta = data[5] == _DELTA
        self.size = data[6]
        self.version, self.base, self.entries, self.ranges, self.removals = number
        self.salt = bytes(data[32:48])
        self.digest = bytes(data[48:80])
        if self.entries > MAX_ENTRIES or self.ranges > MAX_RANGES or self.removals > MAX_ENTRIES:
            raise DenyListError("deny list: too long")
        if not self.delta and (self.removals or self.base):
            raise DenyListError("deny list: a whole list takes nothing away")

    def length(self):
        """Bytes of the whole file."""
        return HEADER + self.ranges * _RANGE + (self.entries + self.removals) * self.size


def pan_hash(salt, pan, size):
    """The entry of card number `pan` (text of digits)."""
    return hashlib.sha256(salt + pan.encode()).digest()[:size]


def leading_digits(pan):
    """The ten leading digits of `pan` as 5 BCD bytes, zeros behind a shorter one."""
    return bytes.fromhex((pan + "0000000000")[:10])


class DenyList:
    """A list behind `read(offset, size)`, which returns exactly `size` bytes of it.

    Constructing reads it once from end to end and raises DenyListError unless it is whole: the
    caller keeps two places and goes on using the old one if the new one is refused. With
    `checked` only the header is read: what is behind it was checked before, or is checked by
    `check_in_steps`. `reads` counts the reads of the last look-up.
    """

    def __init__(self, read, checked=False):
        self._read = read
        self.header = Header(read(0, HEADER))
        if self.header.delta:
            raise DenyListError("deny list: a delta is no list by itself")
        self.reads = 0
        if not checked:
            self._check()

    @property
    def version(self):
        return self.header.version

    def _check(self):
        for _ in self.check_in_steps():
            pass

    def check_in_steps(self):
        """Read all of it, one block a step. Raises DenyListError if it is not whole."""
        h = hashlib.sha256()
        at = HEADER
        end = self.header.length()
        while at < end:
            n = min(_BLOCK, end - at)
            block = self._read(at, n)
            if len(block) != n:
                raise DenyListError("deny list: cut off")
            h.update(block)
            at += n
            yield
        if h.digest() != self.header.digest:
            raise DenyListError("deny list: body is damaged")

    def __contains__(self, pan):
        """True if `pan` (text of digits) is denied."""
        self.reads = 0
        header = self.header
        entries_at = HEADER + header.ranges * _RANGE
        key = leading_digits(pan)
        at = self._floor(HEADER, header.ranges, _RANGE, 5, key)
        if at is not None and key <= at[5:10]:
            return True
        key = pan_hash(header.salt, pan, header.size)
        at = self._floor(entries_at, header.entries, header.size, header.size, key)
        return at == key

    def denied(self, pan):
        """`Terminal`'s question, as a plain function."""
        return pan in self

    def _floor(self, start, count, size, key_size, key):
        """The last of `count` sorted items whose key is not above `key`, or None.

        Halves by blocks, not by items, so that 100,000 entries take 11 reads.
        """
        per_block = _BLOCK // size
        low = 0
        high = (count + per_block - 1) // per_block  # blocks
        found = None
        while low < high:
            middle = (low + high) // 2
            first = middle * per_block
            n = min(per_block, count - first)
            self.reads += 1
            block = self._read(start + first * size, n * size)
            if key < block[:key_size]:
                high = middle
                continue
            low = middle + 1
            inside = self._in_block(block, n, size, key_size, key)
            found = bytes(block[inside * size : inside * size + size])
            if inside < n - 1:
                break
        return found

    def _in_block(self, block, n, size, key_size, key):
        low = 0
        high = n
        while high - low > 1:
            middle = (low + high) // 2
            if key < block[middle * size : middle * size + key_size]:
                high = middle
            else:
                low = middle
        return low


class _Stream:
    """Sorted entries of a file, one after the other, through a small window."""

    def __init__(self, read, start, count, size):
        self._read = read
        self._start = start
        self._count = count
        self._size = size
        self._at = 0  # entries read, those of the window included
        self._window = b""
        self._offset = 0
        self.entry = None
        self.advance()

    def advance(self):
        if self._offset >= len(self._window) and not self._fill():
            self.entry = None
            return
        entry = bytes(self._window[self._offset : self._offset + self._size])
        if self.entry is not None and entry <= self.entry:
            raise DenyListError("deny list: entries are not in order")
        self.entry = entry
        self._offset += self._size

    def _fill(self):
        n = min(_BLOCK // self._size, self._count - self._at)
        if not n:
            return False
        self._window = self._read(self._start + self._at * self._size, n * self._size)
        if len(self._window) != n * self._size:
            raise DenyListError("deny list: cut off")
        self._at += n
        self._offset = 0
        return True

    def rest_below(self, limit):
        """What is left of the window, taken, if all of it is below `limit` (None: no limit);
        else b"". A delta leaves most of a list as it is: whole blocks go over at once."""
        if self.entry is None:
            return b""
        if limit is not None and self._window[-self._size :] >= limit:
            return b""
        rest = self._window[self._offset - self._size :]
        self._offset = len(self._window)
        self.entry = bytes(self._window[-self._size :])
        self.advance()
        return rest


def apply_delta(old, read_delta, write):
    """Make the list that the delta behind `read_delta` describes of DenyList `old`.

    `write(bytes)` takes the new file from its first byte on, in order. Memory stays bounded.
    Raises DenyListError, also if the outcome is not what the delta promises: then the bytes
    written are worth nothing and the old list stays in force. Returns the new version.
    """
    for _ in apply_delta_in_steps(old, read_delta, write):
        pass
    return Header(read_delta(0, HEADER)).version


def apply_delta_in_steps(old, read_delta, write):
    """As `apply_delta`, a block or so a step: the meter must not wait for a long list."""
    new = Header(read_delta(0, HEADER))
    if not new.delta:
        raise DenyListError("deny list: not a delta")
    if new.base != old.header.version or new.salt != old.header.salt:
        raise DenyListError("deny list: the delta is for version %d" % new.base)
    if new.size != old.header.size:
        raise DenyListError("deny list: the delta has entries of another size")
    size = new.size
    count = old.header.entries + new.entries - new.removals
    if not 0 <= count <= MAX_ENTRIES:
        raise DenyListError("deny list: the delta takes away more than there is")
    write(whole_header(new.version, size, count, new.ranges, new.salt, new.digest))
    h = hashlib.sha256()
    at = HEADER
    ranges_end = HEADER + new.ranges * _RANGE
    while at < ranges_end:
        block = read_delta(at, min(_BLOCK, ranges_end - at))
        if not len(block):
            raise DenyListError("deny list: cut off")
        h.update(block)
        write(block)
        at += len(block)
    added_at = ranges_end + new.entries * size
    kept = _Stream(old._read, HEADER + old.header.ranges * _RANGE, old.header.entries, size)
    added = _Stream(read_delta, ranges_end, new.entries, size)
    removed = _Stream(read_delta, added_at, new.removals, size)
    out = bytearray()
    written = 0
    while kept.entry is not None or added.entry is not None:
        limit = added.entry
        if limit is None or (removed.entry is not None and removed.entry < limit):
            limit = removed.entry
        same = kept.rest_below(limit)
        if same:
            out.extend(same)
            written += len(same) // size
        elif kept.entry is not None and kept.entry == removed.entry:
            kept.advance()
            removed.advance()
        else:
            if added.entry is None or (kept.entry is not None and kept.entry < added.entry):
                source = kept
            elif kept.entry == added.entry:
                raise DenyListError("deny list: the delta adds what is there")
            else:
                source = added
            out.extend(source.entry)
            written += 1
            source.advance()
        if len(out) >= _BLOCK:
            h.update(out)
            write(bytes(out))
            out = bytearray()
            yield
    h.update(out)
    write(bytes(out))
    if removed.entry is not None or written != count or h.digest() != new.digest:
        raise DenyListError("deny list: the delta does not fit the list")


def whole_header(version, size, entries, ranges, salt, digest):
    """The header of a whole list."""
    return make_header(_WHOLE, size, version, 0, entries, ranges, 0, salt, digest)


def make_header(kind, size, version, base, entries, ranges, removals, salt, digest):
    """112 bytes; see the layout at the top."""
    out = bytearray(b"FFDL")
    out.extend(bytes((1, kind, size, 0)))
    for number in (version, base, entries, ranges, removals, 0):
        out.extend(number.to_bytes(4, "little"))
    out.extend(salt)
    out.extend(digest)
    out.extend(hashlib.sha256(bytes(out)).digest())
    return bytes(out)
