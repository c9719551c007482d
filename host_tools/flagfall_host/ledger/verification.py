"""Whether some bytes are one record of one unit: form, CRC and MAC (docs/formats.md 2.2)."""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from flagfall.journal.record import Record, RecordError, parse

FORM = "form"
FORGED = "forged"
CONTRADICTION = "contradiction"
_MAC = 12  # bytes
_TRAILER = 16  # MAC and CRC
_HEADER = 20

_WORDS = {
    FORM: "its marker, length or CRC is wrong: damaged on its way or in the unit's flash",
    FORGED: "its MAC is not of this unit's key: forged, or a record of another unit",
    CONTRADICTION: "another record of the same number is booked already; the first one stays",
}


@dataclass(frozen=True)
class Refused:
    """A record that was not booked. `seq` and `epoch` are what it claims; 0 if unreadable."""

    unit_id: str
    epoch: int
    seq: int
    reason: str
    raw: bytes

    @property
    def sha256(self) -> str:
        return sha256(self.raw).hexdigest()

    def __str__(self) -> str:
        return f"{self.unit_id} record {self.seq} (epoch {self.epoch}): {_WORDS[self.reason]}"

    def __repr__(self) -> str:
        return f"Refused({self})"


def verify(unit_id: str, raw: bytes, journal_key: bytes) -> Record | Refused:
    """The Record in `raw` (no padding), or why it is none of this unit's."""
    try:
        record = parse(raw)
    except RecordError:
        claims = raw if len(raw) >= _HEADER else bytes(_HEADER)
        epoch = int.from_bytes(claims[8:12], "little")
        seq = int.from_bytes(claims[4:8], "little")
        return Refused(unit_id, epoch, seq, FORM, bytes(raw))
    # hmac.digest is the same function as flagfall.hmac_sha256 and forty times faster.
    mac = hmac.digest(journal_key, record.raw[:-_TRAILER], "sha256")[:_MAC]
    if not hmac.compare_digest(mac, record.mac):
        return Refused(unit_id, record.epoch, record.seq, FORGED, record.raw)
    return record


def link_of(raw: bytes) -> bytes:
    """What the next record's link must be: the first 4 bytes of this record's MAC."""
    return raw[-_TRAILER : -_TRAILER + 4]
