"""The ledger: every record of every unit, once, with its bytes as evidence.

    ledger = Ledger.open("ledger.sqlite")           # or a SQLAlchemy URL
    ledger.book(unit_id, raws, journal_key)         # durable when it returns
    ledger.receipt(unit_id)                         # (epoch, seq, link) a unit may be told

Each call is one transaction. SQLite runs in WAL mode with synchronous=FULL, so that what a receipt
says has reached the disk.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from flagfall.journal.record import Record, RecordError, mac_good, parse
from sqlalchemy import Connection, Engine, create_engine, event, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError

from flagfall_host.errors import FlagfallError
from flagfall_host.ledger import migrate, schema
from flagfall_host.ledger.derive import derived_row

_BUSY_S = 30  # how long a second process may hold the file
_ADVANCE = 1_000  # rows looked at in one step while the receipt moves on


class LedgerError(FlagfallError):
    """The ledger cannot be opened or written."""


class DamageLike(Protocol):
    """Records that cannot be read: seqs, flash address, what is there."""

    @property
    def first_seq(self) -> int: ...
    @property
    def last_seq(self) -> int: ...
    @property
    def address(self) -> int: ...
    @property
    def raw(self) -> bytes: ...


@dataclass
class Finding:
    """A record that does not fit: `kind` is crc, mac, conflict or link."""

    seq: int
    epoch: int
    kind: str
    text: str


@dataclass
class BookingResult:
    """What one call of `book` did."""

    new: int = 0
    repeated: int = 0
    refused: list[Finding] = field(default_factory=list)  # not booked
    findings: list[Finding] = field(default_factory=list)  # booked, but the chain does not hold


class Ledger:
    """An open ledger. Use `Ledger.open`; close it when done (it is a context manager)."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    @classmethod
    def open(cls, where: str | Path) -> "Ledger":
        """Open (and make, or bring up to date) the ledger at a path or SQLAlchemy URL."""
        url = str(where) if "://" in str(where) else f"sqlite:///{where}"
        try:
            if url.startswith("sqlite:///"):
                Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(url, connect_args=_connect_args(url))
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _durable)
                event.listen(engine, "begin", _immediate)
            migrate.upgrade(engine)
        except (DBAPIError, OSError) as e:
            reason = str(e.orig) if isinstance(e, DBAPIError) else str(e)
            raise LedgerError(f"ledger {where}: cannot be opened: {reason.strip()}") from e
        return cls(engine, str(where))

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- booking ---------------------------------------------------------------------------

    def book(self, unit_id: str, raws: Iterable[bytes], journal_key: bytes) -> BookingResult:
        """Book records (each as in flash, without padding) of one unit; durable on return.

        CRC and MAC are checked; a record that fails, or one that contradicts a booked one, is
        refused and kept as a finding. Repeats are counted and change nothing.
        """
        result = BookingResult()
        try:
            with self.engine.begin() as db:
                links = _Links(db, unit_id)
                for raw in raws:
                    self._book_one(db, unit_id, raw, journal_key, result, links)
                self._advance(db, unit_id)
        except OperationalError as e:
            raise LedgerError(
                f"ledger {self.name}: nothing was booked: {str(e.orig).strip()}. The unit keeps "
                "its records; mend this and pull again"
            ) from e
        return result

    def _book_one(
        self,
        db: Connection,
        unit_id: str,
        raw: bytes,
        journal_key: bytes,
        result: BookingResult,
        links: "_Links",
    ) -> None:
        try:
            record = parse(raw)
        except RecordError as e:
            self._refuse(db, unit_id, Finding(0, 0, "crc", str(e)), raw, result)
            return
        where = f"record {record.seq} of epoch {record.epoch}"
        if not mac_good(journal_key, record.raw):
            text = f"{where}: MAC is not the unit's"
            self._refuse(db, unit_id, _finding(record, "mac", text), raw, result)
            return
        row = {
            "unit_id": unit_id,
            "epoch": record.epoch,
            "seq": record.seq,
            "type": record.type,
            "time": record.time,
            "link": record.link,
            "mac": record.mac,
            "raw": record.raw,
        }
        if not self._insert(db, schema.records, row):
            if links.raw(record.epoch, record.seq) != record.raw:
                text = f"{where}: other bytes are booked under this name"
                self._refuse(db, unit_id, _finding(record, "conflict", text), raw, result)
            else:
                result.repeated += 1
            return
        result.new += 1
        before = links.before(record)
        if before is not None and before != record.link:
            finding = _finding(record, "link", f"{where}: does not follow the record before it")
            result.findings.append(finding)
            self._keep(db, unit_id, finding, None)
        links.note(record)
        derived = derived_row(record)
        if derived is not None:
            table, fields = derived
            db.execute(
                table.insert().values(
                    unit_id=unit_id, epoch=record.epoch, seq=record.seq, **fields
                )
            )

    def _refuse(
        self, db: Connection, unit_id: str, finding: Finding, raw: bytes, result: BookingResult
    ) -> None:
        result.refused.append(finding)
        self._keep(db, unit_id, finding, raw)

    def _keep(self, db: Connection, unit_id: str, finding: Finding, raw: bytes | None) -> None:
        row = {
            "unit_id": unit_id,
            "epoch": finding.epoch,
            "seq": finding.seq,
            "kind": finding.kind,
            "text": finding.text[:255],
            "raw": raw,
        }
        self._insert(db, schema.findings, row)

    def _insert(self, db: Connection, table: Any, row: dict[str, Any]) -> bool:
        """Insert, or do nothing if the key is there. True if it was new."""
        make = sqlite.insert if self.engine.dialect.name == "sqlite" else postgresql.insert
        return db.execute(make(table).values(**row).on_conflict_do_nothing()).rowcount == 1

    def book_damage(self, unit_id: str, damage: DamageLike, accepted: bool = False) -> None:
        """Keep the loss of records; if `accepted`, receipts may go past it."""
        key = {
            "unit_id": unit_id,
            "first_seq": damage.first_seq,
            "last_seq": damage.last_seq,
        }
        row = {**key, "address": damage.address, "raw": bytes(damage.raw), "accepted": accepted}
        with self.engine.begin() as db:
            if not self._insert(db, schema.damage, row) and accepted:
                table = schema.damage
                db.execute(
                    update(table)
                    .where(*(table.c[name] == value for name, value in key.items()))
                    .values(accepted=True)
                )
            self._advance(db, unit_id)

    # --- receipts --------------------------------------------------------------------------

    def last_seq(self, unit_id: str) -> int:
        """The seq up to which nothing is missing; 0 if nothing is booked."""
        receipt = self.receipt(unit_id)
        return receipt[1] if receipt else 0

    def receipt(self, unit_id: str) -> tuple[int, int, bytes] | None:
        """(epoch, seq, link) of the newest record up to which all is booked, or None."""
        table = schema.units
        with self.engine.connect() as db:
            row = db.execute(select(table).where(table.c.unit_id == unit_id)).first()
        return (row.upto_epoch, row.upto_seq, row.upto_link) if row else None

    def _advance(self, db: Connection, unit_id: str) -> None:
        """Move the receipt on over what is booked without a gap."""
        units, records = schema.units, schema.records
        row = db.execute(select(units).where(units.c.unit_id == unit_id)).first()
        if row is None:
            first = db.execute(
                select(func.min(records.c.seq)).where(records.c.unit_id == unit_id)
            ).scalar()
            if first is None:
                return
            upto, epoch, link = first - 1, 0, b""
        else:
            upto, epoch, link = row.upto_seq, row.upto_epoch, row.upto_link
        start = upto
        while True:
            rows = db.execute(
                select(records.c.seq, records.c.epoch, records.c.mac)
                .where(records.c.unit_id == unit_id, records.c.seq > upto)
                .order_by(records.c.seq, records.c.epoch)
                .limit(_ADVANCE)
            ).all()
            moved = False
            for r in rows:
                if r.seq > upto + 1 and not self._loss_accepted(db, unit_id, upto + 1, r.seq - 1):
                    rows = []
                    break
                upto, epoch, link = r.seq, r.epoch, r.mac[:4]
                moved = True
            if not rows or not moved:
                break
        if upto == start:
            return
        values = {"upto_seq": upto, "upto_epoch": epoch, "upto_link": link}
        if row is None:
            db.execute(units.insert().values(unit_id=unit_id, **values))
        else:
            db.execute(update(units).where(units.c.unit_id == unit_id).values(**values))

    def _loss_accepted(self, db: Connection, unit_id: str, first: int, last: int) -> bool:
        table = schema.damage
        found = db.execute(
            select(table.c.first_seq).where(
                table.c.unit_id == unit_id,
                table.c.accepted,
                table.c.first_seq <= first,
                table.c.last_seq >= last,
            )
        ).first()
        return found is not None


class _Links:
    """The MACs of a unit's records, as far as one booking needs them."""

    def __init__(self, db: Connection, unit_id: str) -> None:
        self._db = db
        self._unit_id = unit_id
        self._seen: dict[int, bytes] = {}

    def note(self, record: Record) -> None:
        self._seen[record.seq] = record.mac[:4]

    def before(self, record: Record) -> bytes | None:
        """The link that `record` should carry, or None if the one before it is not known."""
        if record.seq == 1:
            return bytes(4)
        link = self._seen.get(record.seq - 1)
        if link is None:
            table = schema.records
            row = self._db.execute(
                select(table.c.mac)
                .where(
                    table.c.unit_id == self._unit_id,
                    table.c.seq == record.seq - 1,
                    table.c.epoch <= record.epoch,
                )
                .order_by(table.c.epoch.desc())
            ).first()
            link = row.mac[:4] if row else None
        return link

    def raw(self, epoch: int, seq: int) -> bytes | None:
        table = schema.records
        return self._db.execute(
            select(table.c.raw).where(
                table.c.unit_id == self._unit_id, table.c.epoch == epoch, table.c.seq == seq
            )
        ).scalar()


def _finding(record: Record, kind: str, text: str) -> Finding:
    return Finding(record.seq, record.epoch, kind, text)


def _connect_args(url: str) -> dict[str, Any]:
    return {"timeout": _BUSY_S} if url.startswith("sqlite") else {}


def _durable(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _immediate(connection: Connection) -> None:
    # A transaction that reads and then writes must not find the file taken in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
