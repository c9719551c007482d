"""The ledger as other rooms use it."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from flagfall import clock

from flagfall_host.closing import Closing
from flagfall_host.ledger import database, decisions, listing, matters, summary
from flagfall_host.ledger.booking import Booking, BookingResult
from flagfall_host.ledger.check import check
from flagfall_host.ledger.errors import BadUnitId, LedgerError
from flagfall_host.ledger.findings import Finding
from flagfall_host.ledger.frontier import Frontier
from flagfall_host.ledger.standing import Receipt, Standing, standing_of
from flagfall_host.ledger.tables import DAMAGES, UNITS

_UNIT_ID = re.compile(r"[A-Z0-9-]{1,16}")


class Damage(Protocol):
    """Records that a unit can no longer read, as `depot` and `flagfall.journal` know them."""

    first_seq: int
    last_seq: int
    address: int
    raw: bytes


class Ledger(Closing):
    """One open ledger. Each call is a transaction of its own, durable when it returns.

    Safe to use from several threads and several processes at once.
    """

    def __init__(self, engine: sa.Engine, now: Callable[[], int]) -> None:
        self.engine = engine
        self.now = now

    @staticmethod
    def open(
        where: str | Path, now: Callable[[], int] | None = None, *, create: bool = True
    ) -> "Ledger":
        """Open the ledger in a file or at a database URL; with `create`, made if not there.

        `now()` gives UTC seconds since 2000 and defaults to this machine's clock. Raises
        CannotOpen.
        """
        engine = database.engine_for(where)
        if not create:
            database.must_exist(engine)
        try:
            database.migrate(engine)
        except LedgerError:
            engine.dispose()
            raise
        return Ledger(engine, now or (lambda: clock.from_unix(time.time())))

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()

    def __repr__(self) -> str:
        return f"Ledger({self.engine.url!r})"

    # Booking.

    def book(self, unit_id: str, raws: list[bytes], journal_key: bytes) -> BookingResult:
        """Book records of a unit: each of `raws` one record as in flash, without slot padding.

        What is damaged, forged or contradicts an earlier record is refused and named, the rest
        is booked; what is booked already counts as repeated.
        """
        checked(unit_id)
        with database.writing(self.engine) as connection:
            return Booking(connection, unit_id, self.now()).book(raws, journal_key)

    def book_many(
        self, deliveries: list[tuple[str, list[bytes], bytes]]
    ) -> list[tuple[BookingResult, Standing]]:
        """Book the records of several units in one transaction: all of them or none.

        Each of `deliveries` is what `book` takes; the answers come in the same order, each with
        where the unit then stands. One commit for many units is what a gateway lives from.
        """
        for unit_id, _, _ in deliveries:
            checked(unit_id)
        # The units' rows are locked in one order everywhere: two gateways never wait in a ring.
        order = sorted(range(len(deliveries)), key=lambda i: deliveries[i][0])
        out: dict[int, tuple[BookingResult, Standing]] = {}
        with database.writing(self.engine) as connection:
            for i in order:
                unit_id, raws, journal_key = deliveries[i]
                booking = Booking(connection, unit_id, self.now())
                result = booking.book(raws, journal_key)
                out[i] = (result, booking.standing())
        return [out[i] for i in range(len(deliveries))]

    def book_damage(self, unit_id: str, damage: Damage, accepted: bool = False) -> None:
        """Record that a unit has lost records. `accepted`: a person has said that they are lost.

        Only an accepted loss lets `last_seq` and `receipt` go on behind it.
        """
        if not 1 <= damage.first_seq <= damage.last_seq:
            raise LedgerError(f"no such records: {damage.first_seq} to {damage.last_seq}")
        checked(unit_id)
        with database.writing(self.engine) as connection:
            frontier = Frontier(connection, unit_id)
            statement = database.insert(connection, DAMAGES).values(
                unit_id=unit_id,
                life=frontier.first_epoch,
                first_seq=damage.first_seq,
                last_seq=damage.last_seq,
                address=damage.address,
                accepted=int(accepted),
                booked_at=self.now(),
                raw=bytes(damage.raw),
            )
            if accepted:
                statement = statement.on_conflict_do_update(
                    index_elements=["unit_id", "life", "first_seq", "last_seq"],
                    set_={"accepted": 1},
                )
            else:
                statement = statement.on_conflict_do_nothing()
            connection.execute(statement)
            frontier.move_on()

    def accept_missing(self, unit_id: str, first_seq: int, last_seq: int) -> None:
        """Record that these records are nowhere any more and that a person accepts it."""
        self.book_damage(unit_id, _Missing(first_seq, last_seq), accepted=True)

    def begin_life(self, unit_id: str, first_epoch: int) -> None:
        """The unit was provisioned anew: its seqs count from 1 again, from this epoch on."""
        checked(unit_id)
        with database.writing(self.engine) as connection:
            frontier = Frontier(connection, unit_id)
            if first_epoch <= frontier.max_epoch:
                raise LedgerError(
                    f"unit {unit_id}: epoch {first_epoch} is not above {frontier.max_epoch}, the "
                    "newest that is booked; provision it with a higher --epoch"
                )
            frontier.begin_life(first_epoch)

    # Asking.

    def standing(self, unit_id: str) -> Standing:
        """`last_seq` and `receipt` in one look."""
        return standing_of(self._unit(unit_id))

    def last_seq(self, unit_id: str) -> int:
        """The seq up to which all records are booked, or lost and accepted as lost; 0: none."""
        return self.standing(unit_id).last_seq

    def receipt(self, unit_id: str) -> Receipt | None:
        """The newest record up to which everything is booked or accepted; None: none."""
        return self.standing(unit_id).receipt

    def _unit(self, unit_id: str) -> dict[str, Any] | None:
        with database.reading(self.engine) as connection:
            row = connection.execute(sa.select(UNITS).where(UNITS.c.unit_id == unit_id))
            found = row.mappings().first()
            return dict(found) if found else None

    def units(self) -> list[dict[str, Any]]:
        """Each unit that has records: id, records, last_seq, newest time, lost records."""
        with database.reading(self.engine) as connection:
            return listing.units(connection)

    def summary(self, unit_id: str | None = None) -> dict[str, Any]:
        """Trips and money of one unit or of all; the keys are those of `summary.summary`."""
        with database.reading(self.engine) as connection:
            return summary.summary(connection, unit_id)

    def latest_totals(self, unit_id: str) -> dict[str, int] | None:
        """The fields of the newest TOTALS record; None if there is none."""
        with database.reading(self.engine) as connection:
            return summary.latest_totals(connection, unit_id)

    def check(
        self,
        unit_id: str | None = None,
        journal_key: Callable[[str], bytes] | None = None,
        *,
        acknowledged: bool = False,
    ) -> list[Finding]:
        """Prove the ledger: every finding, none if all is well.

        `journal_key(unit_id)` lets the MACs be proven too. `acknowledged`: those too that
        somebody has looked into and acknowledged.
        """
        with database.reading(self.engine) as connection:
            found = check(connection, unit_id, journal_key)
            done = set() if acknowledged else decisions.acknowledged(connection)
        return [f for f in found if f not in done]

    def matters(self, unit_id: str | None = None) -> list[Finding]:
        """What somebody must still look into: the cheap part of `check`."""
        with database.reading(self.engine) as connection:
            return matters.open_matters(connection, unit_id)

    # What a person decides. `who` and `why` are kept with each decision.

    def resolve(self, unit_id: str, seq: int, to: str, who: str, why: str) -> dict[str, Any]:
        """Move a payment's disputed money on: to captured, settled or refused.

        What a person has refused he has looked into: `check` does not name it again.
        """
        with database.writing(self.engine) as connection:
            row = decisions.resolve(connection, unit_id, seq, to, who, why, self.now())
            left = matters.money_matter(unit_id, seq, row["amount"], to)
            if left:
                decisions.acknowledge(connection, [left], who, why, self.now())
            return row

    def dispute(self, unit_id: str, seq: int, who: str, why: str) -> dict[str, Any]:
        """Put a payment's money under dispute after a complaint."""
        with database.writing(self.engine) as connection:
            return decisions.dispute(connection, unit_id, seq, who, why, self.now())

    def acknowledge(self, findings: Iterable[Finding], who: str, why: str) -> None:
        """Note that somebody has looked into these findings of `check`."""
        with database.writing(self.engine) as connection:
            decisions.acknowledge(connection, findings, who, why, self.now())

    def rows(
        self, what: str, unit_id: str | None = None, within: tuple[int, int] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The rows of `what` (see `listing.rows`), oldest first, without sealed data."""
        with database.reading(self.engine) as connection:
            yield from listing.rows(connection, what, unit_id, within)

    def record(self, unit_id: str, seq: int) -> list[dict[str, Any]]:
        """The record with this seq, one for each epoch that has it; see `listing.record`."""
        with database.reading(self.engine) as connection:
            return listing.record(connection, unit_id, seq)

    # For the acquirer side.

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction, as a context manager that gives the connection."""
        return database.writing(self.engine)

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A reading transaction, as a context manager that gives the connection."""
        return database.reading(self.engine)


class _Missing:
    address = 0
    raw = b""

    def __init__(self, first_seq: int, last_seq: int) -> None:
        self.first_seq = first_seq
        self.last_seq = last_seq


def checked(unit_id: str) -> str:
    """The id, if a unit may be called so. Raises BadUnitId."""
    if not _UNIT_ID.fullmatch(unit_id):
        raise BadUnitId(f"unit id {unit_id!r}: 1 to 16 characters of A-Z, 0-9 and -")
    return unit_id
