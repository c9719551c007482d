"""Booking: records in, each once, with everything that follows from them, in one transaction."""

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema
from flagfall.journal.record import NO_LINK, Record

from flagfall_host.ledger import money, tables
from flagfall_host.ledger.database import add_all, insert
from flagfall_host.ledger.findings import Finding
from flagfall_host.ledger.frontier import Frontier
from flagfall_host.ledger.standing import Standing
from flagfall_host.ledger.typed_rows import TYPED, derive
from flagfall_host.ledger.verification import CONTRADICTION, Refused, link_of, verify

_CHUNK = 500  # seqs asked for at once


@dataclass
class BookingResult:
    """What became of the records given to `Ledger.book`.

    `refused` are not booked and named; `findings` speak of records that are booked.
    """

    new: int = 0
    repeated: int = 0
    refused: list[Refused] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Booking:
    """One transaction's work for one unit."""

    def __init__(self, connection: sa.Connection, unit_id: str, now: int) -> None:
        self._connection = connection
        self._unit_id = unit_id
        self._now = now
        self._frontier = Frontier(connection, unit_id)
        self._result = BookingResult()

    def book(self, raws: list[bytes], journal_key: bytes) -> BookingResult:
        """Book what is good and not booked yet."""
        good = []
        for raw in raws:
            found = verify(self._unit_id, raw, journal_key)
            if isinstance(found, Refused):
                self._result.refused.append(found)
            else:
                good.append(found)
        fresh = self._fresh(good)
        if fresh:
            self._store(fresh)
            self._frontier.booked(fresh)
        self._result.new = len(fresh)
        self._keep_refusals()
        return self._result

    def standing(self) -> Standing:
        """Where the unit stands once this transaction is committed."""
        return self._frontier.standing()

    def _fresh(self, records: list[Record]) -> list[Record]:
        """Those that are not booked, in the order of epoch and seq, each once."""
        records = sorted(records, key=lambda r: (r.epoch, r.seq))
        self._begin_life(records)
        known = self._known(records)
        fresh = []
        for record in records:
            key = (record.epoch, record.seq)
            if key not in known:
                known[key] = record.raw
                fresh.append(record)
            elif known[key] == record.raw:
                self._result.repeated += 1
            else:
                refused = Refused(self._unit_id, *key, CONTRADICTION, record.raw)
                self._result.refused.append(refused)
        self._check_links(fresh, known)
        return fresh

    def _begin_life(self, records: list[Record]) -> None:
        """A first record of a later epoch than any: the unit was provisioned anew."""
        for record in records:
            if record.seq == 1 and record.link == NO_LINK and self._frontier.is_new_life(record):
                self._frontier.begin_life(record.epoch)

    def _known(self, records: list[Record]) -> dict[tuple[int, int], bytes]:
        """The bytes of what is booked under the seqs of `records` and the seqs before them."""
        newest = self._frontier.max_seq
        seqs = {r.seq for r in records}
        seqs |= {s - 1 for s in seqs}
        if records and records[0].epoch >= self._frontier.max_epoch:
            seqs = {s for s in seqs if s <= newest}  # nothing is booked above
        out: dict[tuple[int, int], bytes] = {}
        wanted = sorted(seqs)
        r = tables.RECORDS.c
        for i in range(0, len(wanted), _CHUNK):
            rows = self._connection.execute(
                sa.select(r.epoch, r.seq, r.raw).where(
                    r.unit_id == self._unit_id, r.seq.in_(wanted[i : i + _CHUNK])
                )
            )
            out.update({(epoch, seq): bytes(raw) for epoch, seq, raw in rows})
        return out

    def _check_links(self, fresh: list[Record], known: dict[tuple[int, int], bytes]) -> None:
        """Name what does not follow from the record before it."""
        first_epoch = self._frontier.first_epoch
        by_seq: dict[int, list[tuple[int, bytes]]] = {}
        for (epoch, seq), raw in known.items():
            by_seq.setdefault(seq, []).append((epoch, raw))
        for record in fresh:
            same = [e for e, _ in by_seq[record.seq] if e != record.epoch and e >= first_epoch]
            if same and record.epoch >= first_epoch:
                text = f"also booked under epoch {same[0]}: the unit's flash was set back"
                self._find("fork", record, text)
            before = [
                raw
                for epoch, raw in by_seq.get(record.seq - 1, ())
                if first_epoch <= epoch <= record.epoch or epoch <= record.epoch < first_epoch
            ]
            if not before:
                if record.seq != 1:
                    self._find("gap", record, "the record before it is not booked (yet)")
            elif not any(link_of(raw) == record.link for raw in before):
                text = "it does not follow from the record before it (link)"
                self._find("link", record, text)

    def _find(self, kind: str, record: Record, text: str) -> None:
        self._result.findings.append(Finding(kind, self._unit_id, record.seq, record.seq, text))

    def _store(self, fresh: list[Record]) -> None:
        unit_id, now = self._unit_id, self._now
        add_all(
            self._connection,
            tables.RECORDS,
            [
                {
                    "unit_id": unit_id,
                    "epoch": r.epoch,
                    "seq": r.seq,
                    "type": r.type,
                    "time": r.time,
                    "booked_at": now,
                    "raw": r.raw,
                }
                for r in fresh
            ],
        )
        rows = derive(unit_id, fresh, lambda record, e: self._find("unread", record, str(e)))
        if schema.PAYMENT in rows:
            self._store_money(rows[schema.PAYMENT])
        for type, typed in rows.items():
            add_all(self._connection, TYPED[type], typed)

    def _store_money(self, payments: list[dict[str, Any]]) -> None:
        pairs = [(row, money.of_payment(row, self._now)) for row in payments]
        with_money = [(row, entry) for row, entry in pairs if entry is not None]
        rows, entries = [row for row, _ in with_money], [entry for _, entry in with_money]
        money.dispute_repeats(self._connection, rows, entries)
        add_all(self._connection, tables.MONEY, entries)

    def _keep_refusals(self) -> None:
        rows = [
            {
                "unit_id": self._unit_id,
                "sha256": r.sha256,
                "epoch": r.epoch,
                "seq": r.seq,
                "reason": r.reason,
                "refused_at": self._now,
                "raw": r.raw,
            }
            for r in self._result.refused
        ]
        if rows:
            statement = insert(self._connection, tables.REFUSALS).on_conflict_do_nothing()
            self._connection.execute(statement, rows)
