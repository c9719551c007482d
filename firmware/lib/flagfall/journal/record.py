# The record as it stands in flash: header, body, MAC, CRC, in slots of 32 bytes.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md 2.2. A record is built once, programmed once and from then on only read; the
# same bytes travel to the host.

import binascii
import struct

from flagfall.hmac_sha256 import equal, hmac_sha256

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


SLOT = const(32)  # bytes; records start at multiples of it
MAX_BODY = const(1200)  # bytes
MAX_RECORD = const(1248)  # bytes of slots of the longest record
NO_LINK = b"\0\0\0\0"  # of seq 1, and where the record before could not be read

_MARKER = const(0xA7)
_HEADER = const(20)  # bytes before the body
_MAC = const(12)  # bytes of the MAC that are kept
_OVERHEAD = const(36)  # header, MAC and CRC
_RESIDUE = 0x2144DF1C  # CRC32 of anything with its own CRC32, little-endian, behind it


class JournalError(Exception):
    """The root of what the journal raises. `str(error)` says what happened and where."""


class RecordError(JournalError):
    """Bytes that should be one record are not."""


class Record:
    """One good record.

    seq, epoch, time (UTC seconds since 2000) and type are integers, link is 4 bytes, body, mac
    (12 bytes) and raw are bytes; raw is the record as in flash without its slot padding.
    """

    def __init__(self, raw):
        _, self.type, self._n, self.seq, self.epoch, self.time = struct.unpack_from("<BBHIII", raw)
        self.raw = raw

    # Cut out when asked for: a pull sends `raw` as it is, and a unit has no memory to spare.

    @property
    def link(self):
        return bytes(self.raw[16:20])

    @property
    def body(self):
        return bytes(self.raw[_HEADER : _HEADER + self._n])

    @property
    def mac(self):
        return bytes(self.raw[_HEADER + self._n : _HEADER + self._n + _MAC])

    def __repr__(self):
        return "Record(seq=%d, epoch=%d, type=%d)" % (self.seq, self.epoch, self.type)


class Damage:
    """Records that counted and can no longer be read: seqs `first_seq` to `last_seq`.

    `address` is where in the partition their remains begin, `raw` up to 256 bytes of them.
    """

    def __init__(self, first_seq, last_seq, address, raw):
        self.first_seq = first_seq
        self.last_seq = last_seq
        self.address = address
        self.raw = raw

    def __repr__(self):
        return "Damage(%d..%d at 0x%x)" % (self.first_seq, self.last_seq, self.address)


def slot_bytes(body_length):
    """Bytes of flash, in whole slots, that a record with a body of this length takes."""
    return (body_length + _OVERHEAD + SLOT - 1) // SLOT * SLOT


def build(buf, key, type, seq, epoch, time, link, body):
    """Write the record into `buf` (at least MAX_RECORD bytes); return its length in slots, bytes.

    Raises RecordError for a body longer than MAX_BODY. The rest of the last slot is set to FF.
    """
    n = len(body)
    if n > MAX_BODY:
        raise RecordError("a record body of %d bytes; at most %d fit" % (n, MAX_BODY))
    view = memoryview(buf)
    struct.pack_into("<BBHIII", buf, 0, _MARKER, type, n, seq, epoch, time)
    view[16:20] = link
    view[_HEADER : _HEADER + n] = body
    end = _HEADER + n
    view[end : end + _MAC] = hmac_sha256(key, view[:end])[:_MAC]
    end += _MAC
    struct.pack_into("<I", buf, end, binascii.crc32(view[:end]) & 0xFFFFFFFF)
    end += 4
    stop = slot_bytes(n)
    while end < stop:
        buf[end] = 0xFF
        end += 1
    return stop


def length_at(buf, offset, stop):
    """Length in bytes, without padding, of the good record at `offset`; 0 if none stands there.

    Good means marker, length and CRC. `stop` is where readable bytes end.
    """
    if offset + _OVERHEAD > stop or buf[offset] != _MARKER:
        return 0
    n = buf[offset + 2] | buf[offset + 3] << 8
    end = offset + _OVERHEAD + n
    if n > MAX_BODY or end > stop:
        return 0
    crc = binascii.crc32(memoryview(buf)[offset:end])
    return end - offset if crc & 0xFFFFFFFF == _RESIDUE else 0


def seq_at(buf, offset):
    """The seq in the record header at `offset`."""
    return _u32_at(buf, offset + 4)


def epoch_at(buf, offset):
    """The epoch in the record header at `offset`."""
    return _u32_at(buf, offset + 8)


def _u32_at(buf, at):
    # By hand: a walk asks for it at every record, and unpack makes a tuple each time.
    return buf[at] | buf[at + 1] << 8 | buf[at + 2] << 16 | buf[at + 3] << 24


def mac_good(key, raw):
    """Whether the MAC of the record in `raw` (without padding) is that of `key`."""
    end = len(raw) - 4 - _MAC
    view = memoryview(raw)
    return equal(hmac_sha256(key, view[:end])[:_MAC], view[end : end + _MAC])


def parse(raw):
    """The Record in `raw`, which must be exactly one good record. Raises RecordError."""
    raw = bytes(raw)
    if length_at(raw, 0, len(raw)) != len(raw) or not raw:
        raise RecordError("these %d bytes are not one good record" % len(raw))
    return Record(raw)


def split(data):
    """The Records in `data`, where whole records follow each other without padding.

    Raises RecordError at the first byte that does not belong to a good record.
    """
    data = bytes(data)
    out = []
    offset = 0
    while offset < len(data):
        n = length_at(data, offset, len(data))
        if not n:
            raise RecordError("no good record at byte %d of %d" % (offset, len(data)))
        out.append(Record(data[offset : offset + n]))
        offset += n
    return out
