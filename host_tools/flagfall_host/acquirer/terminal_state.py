"""What a terminal must not forget: batch, STAN, wrapped keys, and what it has asked.

Every change here is committed before the message that depends on it is sent, so that a repeat
after a crash is the same question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from flagfall_host.ledger import money
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.tables import MONEY, PAYMENTS, SETTLEMENTS, TERMINALS

LAST_STAN = 999_999
BALANCED = 1
# States of a settlement row.
BEGUN, CLOSED, UNBALANCED = "begun", "balanced", "unbalanced"


@dataclass(frozen=True)
class Upload:
    """One payment on its way: who it is, and the batch and STAN of its message."""

    unit_id: str
    epoch: int
    seq: int
    amount: int
    state: str
    batch: int
    stan: int

    @property
    def key(self) -> money.Key:
        return self.unit_id, self.epoch, self.seq


@dataclass(frozen=True)
class Settled:
    """A batch's totals; `balanced` once the acquirer has agreed. `amount` in minor units."""

    batch: int
    stan: int
    count: int
    amount: int
    balanced: bool


class TerminalState:
    """One terminal's rows in the ledger's database."""

    def __init__(self, ledger: Ledger, terminal_id: str, merchant_id: str) -> None:
        self._ledger = ledger
        self._id = terminal_id
        with ledger.writing() as db:
            if db.execute(sa.select(TERMINALS).where(self._mine())).first() is None:
                db.execute(
                    TERMINALS.insert().values(
                        terminal_id=terminal_id,
                        merchant_id=merchant_id,
                        batch=0,
                        next_stan=1,
                        signed_in=0,
                        working_keys=b"",
                    )
                )

    def _mine(self) -> sa.ColumnElement[bool]:
        return TERMINALS.c.terminal_id == self._id

    def _get(self, column: sa.Column[Any]) -> Any:
        with self._ledger.reading() as db:
            return db.execute(sa.select(column).where(self._mine())).scalar_one()

    @property
    def batch(self) -> int:
        """The open batch; 0 before the first sign-in."""
        return int(self._get(TERMINALS.c.batch))

    @property
    def wrapped_keys(self) -> bytes:
        """DE62 of the newest sign-in; b"" before the first."""
        return bytes(self._get(TERMINALS.c.working_keys))

    def signed_in(self, batch: int, wrapped_keys: bytes) -> None:
        with self._ledger.writing() as db:
            db.execute(
                TERMINALS.update()
                .where(self._mine())
                .values(batch=batch, working_keys=wrapped_keys, signed_in=self._ledger.now())
            )

    def next_stan(self) -> int:
        """A system trace audit number (DE11) that this terminal has not used lately."""
        with self._ledger.writing() as db:
            return self._take_stan(db)

    def _take_stan(self, db: sa.Connection) -> int:
        stan = db.execute(sa.select(TERMINALS.c.next_stan).where(self._mine())).scalar_one()
        following = stan + 1 if stan < LAST_STAN else 1
        db.execute(TERMINALS.update().where(self._mine()).values(next_stan=following))
        return int(stan)

    # --- uploads ---------------------------------------------------------------------------

    def queue(self, units: Sequence[str] | None = None) -> int:
        """Give every captured payment its batch and STAN; return how many there were."""
        with self._ledger.writing() as db:
            batch = db.execute(sa.select(TERMINALS.c.batch).where(self._mine())).scalar_one()
            captured = (
                sa.select(MONEY)
                .join(PAYMENTS, _same(PAYMENTS, MONEY))
                .where(MONEY.c.state == money.CAPTURED)
                .order_by(PAYMENTS.c.time, MONEY.c.unit_id, MONEY.c.seq)
            )
            if units is not None:
                captured = captured.where(MONEY.c.unit_id.in_(units))
            rows = db.execute(captured).all()
            for row in rows:
                stan = self._take_stan(db)
                self._move(
                    db,
                    (row.unit_id, row.epoch, row.seq),
                    money.CAPTURED,
                    money.QUEUED,
                    f"batch {batch}, STAN {stan}",
                    terminal_id=self._id,
                    batch=batch,
                    stan=stan,
                )
        return len(rows)

    def open_uploads(self) -> list[Upload]:
        """Payments without a final answer, in the order of their STAN.

        One that was on its way when a program died is unknown: it is asked again.
        """
        with self._ledger.writing() as db:
            dead = db.execute(
                sa.select(MONEY).where(
                    MONEY.c.terminal_id == self._id, MONEY.c.state == money.SENT
                )
            ).all()
            for row in dead:
                key = (row.unit_id, row.epoch, row.seq)
                self._move(db, key, money.SENT, money.UNKNOWN, "the sender died")
        query = (
            sa.select(MONEY)
            .where(
                MONEY.c.terminal_id == self._id,
                MONEY.c.state.in_((money.QUEUED, money.UNKNOWN)),
            )
            .order_by(MONEY.c.batch, MONEY.c.stan)
        )
        with self._ledger.reading() as db:
            return [
                Upload(r.unit_id, r.epoch, r.seq, r.amount, r.state, r.batch, r.stan)
                for r in db.execute(query)
            ]

    def asking(self, upload: Upload) -> str:
        """The question goes out now; returns the state that the payment is in from here on."""
        if upload.state == money.QUEUED:
            self.move(upload, money.QUEUED, money.SENT, "asked")
            return money.SENT
        return upload.state

    def move(self, upload: Upload, was: str, state: str, why: str) -> None:
        with self._ledger.writing() as db:
            self._move(db, upload.key, was, state, why)

    def _move(
        self, db: sa.Connection, key: money.Key, was: str, state: str, why: str, **values: Any
    ) -> None:
        money.move(db, [key], was, state, why, self._ledger.now(), **values)

    # --- settlement ------------------------------------------------------------------------

    def settlement(self, batch: int, currency: int) -> Settled:
        """The question of this batch's settlement: the same at every repeat until it is answered.

        After an answer that it does not balance, the totals are added up afresh.
        """
        where = (SETTLEMENTS.c.terminal_id == self._id, SETTLEMENTS.c.batch == batch)
        with self._ledger.writing() as db:
            row = db.execute(sa.select(SETTLEMENTS).where(*where)).first()
            if row is not None and row.state != UNBALANCED:
                closed = row.state == CLOSED
                return Settled(batch, row.stan, row.payments, row.amount, closed)
            count, amount = db.execute(
                sa.select(
                    sa.func.count(), sa.func.coalesce(sa.func.sum(MONEY.c.amount), 0)
                ).where(*self._in_batch(batch))
            ).one()
            values = {
                "stan": self._take_stan(db),
                "payments": int(count),
                "amount": int(amount),
                "currency": currency,
                "state": BEGUN,
                "uploaded": 0,
                "end_stan": 0,
                "changed_at": self._ledger.now(),
            }
            if row is None:
                db.execute(
                    SETTLEMENTS.insert().values(terminal_id=self._id, batch=batch, **values)
                )
            else:
                db.execute(SETTLEMENTS.update().where(*where).values(**values))
        return Settled(batch, values["stan"], int(count), int(amount), False)

    def _in_batch(self, batch: int) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            MONEY.c.terminal_id == self._id,
            MONEY.c.batch == batch,
            MONEY.c.state == money.ACCEPTED,
        )

    def settled(self, batch: int, verdict: int) -> None:
        """Keep the verdict (DE48); the payments of a balanced batch are settled."""
        state = CLOSED if verdict == BALANCED else UNBALANCED
        with self._ledger.writing() as db:
            db.execute(
                SETTLEMENTS.update()
                .where(SETTLEMENTS.c.terminal_id == self._id, SETTLEMENTS.c.batch == batch)
                .values(state=state, changed_at=self._ledger.now())
            )
            if verdict == BALANCED:
                rows = db.execute(sa.select(MONEY).where(*self._in_batch(batch))).all()
                money.move(
                    db,
                    [(r.unit_id, r.epoch, r.seq) for r in rows],
                    money.ACCEPTED,
                    money.SETTLED,
                    f"batch {batch} balanced",
                    self._ledger.now(),
                )


def _same(a: sa.Table, b: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        a.c.unit_id == b.c.unit_id, a.c.epoch == b.c.epoch, a.c.seq == b.c.seq
    )
