"""A unit's log in plain words, read over the cable beside the running meter.

Read like a pull, but into no ledger: no receipt is given, so nothing in the unit is freed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flagfall.journal import schema
from flagfall.journal.record import Record

from flagfall_host.depot.link import Link
from flagfall_host.depot.pull import pull
from flagfall_host.depot.pulled import DamagedRange, PullResult
from flagfall_host.ledger.verification import Refused, verify
from flagfall_host.record_words import words

LOG_TYPES = (schema.EVENT, schema.SHIFT)


@dataclass(frozen=True)
class LogLine:
    """One line: a record in plain words. `time` in UTC seconds since 2000; 0 for damage."""

    seq: int
    epoch: int
    time: int
    type: str
    text: str


@dataclass
class _Nothing:
    """What this reader says of a batch, in the words of `depot.pulled.Booking`."""

    repeated: int = 0
    refused: list[Any] = field(default_factory=list)
    findings: list[object] = field(default_factory=list)


class LogReader:
    """Gives each record from `first` on to `show`, once; `every`: not only the event log's."""

    def __init__(self, first: int, show: Callable[[LogLine], None], every: bool = False) -> None:
        self._last = first - 1
        self._show = show
        self._every = every

    def read(self, link: Link) -> PullResult:
        """Read what is new. Raises what a pull raises."""
        return pull(link, self, accept_damaged=True)

    # As a pull sees it.

    def last_seq(self, unit_id: str) -> int:
        return self._last

    def receipt(self, unit_id: str) -> None:
        return None

    def book(self, unit_id: str, raws: list[bytes], journal_key: bytes) -> _Nothing:
        for raw in raws:
            found = verify(unit_id, raw, journal_key)
            if isinstance(found, Refused):
                self._show(LogLine(found.seq, found.epoch, 0, "FORGED", str(found)))
                self._last = max(self._last, found.seq)
                continue
            self._last = found.seq
            if self._every or found.type in LOG_TYPES:
                self._show(_line(found))
        return _Nothing()

    def book_damage(self, unit_id: str, damage: DamagedRange, accepted: bool = False) -> None:
        self._last = max(self._last, damage.last_seq)
        if damage.raw:
            text = f"records {damage.first_seq} to {damage.last_seq} cannot be read any more"
            self._show(LogLine(damage.first_seq, 0, 0, "DAMAGED", text))


def _line(record: Record) -> LogLine:
    try:
        text = words(record.type, schema.unpack(record.type, record.body))
    except schema.SchemaError as e:
        text = f"cannot be read: {e}"
    return LogLine(record.seq, record.epoch, record.time, schema.type_name(record.type), text)
