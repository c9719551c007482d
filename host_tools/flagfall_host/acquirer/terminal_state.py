"""What a terminal must not forget: batch, STAN, wrapped keys, and what it has asked.

Every change here is committed before the message that depends on it is sent, so that a repeat
after a crash is the same question.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from flagfall_host.acquirer.batches import (
    BALANCED,
    BEGUN,
    CLOSED,
    LAST_BATCH,
    LAST_STAN,
    MOST_PAYMENTS,
    NOT_BALANCED,
    TOLD,
    UNBALANCED,
    Settled,
    Upload,
)
from flagfall_host.acquirer.errors import AcquirerError
from flagfall_host.ledger import money
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.tables import MONEY, PAYMENTS, SETTLEMENTS, TERMINALS


class TerminalState:
    """One terminal's rows in the ledger's database."""

    def __init__(self, ledger: Ledger, terminal_id: str, merchant_id: str) -> None:
        self._ledger = ledger
        self._id = terminal_id
        with ledger.writing() as db:
            row = db.execute(sa.select(TERMINALS).where(self._mine())).first()
            if row is not None and row.merchant_id != merchant_id:
                raise AcquirerError(
                    f"terminal {terminal_id} is merchant {row.merchant_id}'s in this ledger, not "
                    f"{merchant_id}'s: check --merchant"
                )
            if row is None:
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
        """Keep what a sign-in brought. Raises AcquirerError for a batch that is closed here."""
        with self._ledger.writing() as db:
            closed = db.execute(
                sa.select(SETTLEMENTS.c.batch).where(
                    *self._of(batch), SETTLEMENTS.c.state.in_((CLOSED, TOLD))
                )
            ).first()
            if closed is not None:
                raise AcquirerError(
                    f"the acquirer opens batch {batch} for terminal {self._id}, which is settled "
                    "in this ledger. Is this another host, or one that was reset? Ask it for a "
                    "new batch number, or use another terminal id"
                )
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
        return self._take_stans(db, 1)[0]

    def _take_stans(self, db: sa.Connection, count: int) -> list[int]:
        locked = sa.select(TERMINALS.c.next_stan).where(self._mine()).with_for_update()
        first = int(db.execute(locked).scalar_one())
        stans = [(first - 1 + i) % LAST_STAN + 1 for i in range(count + 1)]
        db.execute(TERMINALS.update().where(self._mine()).values(next_stan=stans.pop()))
        return stans

    # --- uploads ---------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many payments the open batch still takes."""
        with self._ledger.reading() as db:
            batch = db.execute(sa.select(TERMINALS.c.batch).where(self._mine())).scalar_one()
            return self._room(db, batch)

    def _room(self, db: sa.Connection, batch: int) -> int:
        there = db.execute(
            sa.select(sa.func.count()).where(
                MONEY.c.terminal_id == self._id,
                MONEY.c.batch == batch,
                MONEY.c.state != money.DISPUTED,
            )
        ).scalar_one()
        return max(0, MOST_PAYMENTS - int(there))

    def queue(
        self, currency: int, units: Sequence[str] | None = None, not_units: Sequence[str] = ()
    ) -> int:
        """Give every captured payment its batch and STAN; return how many there were.

        Payments in another currency than the acquirer's stay captured. A batch takes so many as
        a settlement can count; what is over waits for the next batch.
        """
        with self._ledger.writing() as db:
            locked = sa.select(TERMINALS.c.batch).where(self._mine()).with_for_update()
            batch = db.execute(locked).scalar_one()
            captured = (
                sa.select(MONEY)
                .join(PAYMENTS, _same(PAYMENTS, MONEY))
                .where(MONEY.c.state == money.CAPTURED, MONEY.c.currency == currency)
                .order_by(PAYMENTS.c.time, MONEY.c.unit_id, MONEY.c.seq)
                .limit(self._room(db, batch))
            )
            if units is not None:
                captured = captured.where(MONEY.c.unit_id.in_(units))
            if not_units:
                captured = captured.where(MONEY.c.unit_id.not_in(not_units))
            rows = db.execute(captured).all()
            self._renumber(db, batch)
            stans = self._take_stans(db, len(rows))
            moves = [
                money.Move(
                    (row.unit_id, row.epoch, row.seq),
                    money.CAPTURED,
                    money.QUEUED,
                    f"batch {batch}, STAN {stan}",
                    {"terminal_id": self._id, "batch": batch, "stan": stan},
                )
                for row, stan in zip(rows, stans, strict=True)
            ]
            money.move_all(db, moves, self._ledger.now())
        return len(rows)

    def _renumber(self, db: sa.Connection, batch: int) -> None:
        """What was queued for a batch that is closed and never sent goes with the open one."""
        waiting = sa.and_(
            MONEY.c.terminal_id == self._id,
            MONEY.c.state == money.QUEUED,
            MONEY.c.batch != batch,
        )
        for row in db.execute(sa.select(MONEY).where(waiting)).all():
            db.execute(
                MONEY.update()
                .where(
                    MONEY.c.unit_id == row.unit_id,
                    MONEY.c.epoch == row.epoch,
                    MONEY.c.seq == row.seq,
                )
                .values(batch=batch, stan=self._take_stan(db), message_sha256=None)
            )

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
            moves = [
                money.Move(
                    (row.unit_id, row.epoch, row.seq), money.SENT, money.UNKNOWN, "the sender died"
                )
                for row in dead
            ]
            money.move_all(db, moves, self._ledger.now())
        wanted = MONEY.c.state.in_((money.QUEUED, money.UNKNOWN))
        return self._uploads(MONEY.c.terminal_id == self._id, wanted)

    def in_batch(self, batch: int) -> list[Upload]:
        """The accepted payments of a batch, in the order of their STAN."""
        return self._uploads(*self._in_batch(batch))

    def _uploads(self, *where: sa.ColumnElement[bool]) -> list[Upload]:
        query = (
            sa.select(MONEY, PAYMENTS.c.profile)
            .join(PAYMENTS, _same(PAYMENTS, MONEY))
            .where(*where)
            .order_by(MONEY.c.batch, MONEY.c.stan)
        )
        with self._ledger.reading() as db:
            return [
                Upload(
                    r.unit_id,
                    r.epoch,
                    r.seq,
                    r.amount,
                    r.profile,
                    r.state,
                    r.batch,
                    r.stan,
                    r.message_sha256,
                )
                for r in db.execute(query)
            ]

    @staticmethod
    def asking(upload: Upload, sha256: str) -> list[money.Move]:
        """What must be durable before this question leaves: nothing if it is asked again.

        `sha256` is that of the message without its MAC: a repeat must be the very same message.
        """
        if upload.sha256 not in (None, sha256):
            raise AcquirerError(
                f"unit {upload.unit_id}, payment {upload.seq}: its message is not the one that "
                "was sent before: is this another profile? Use the one of the first upload"
            )
        if upload.state != money.QUEUED:
            return []
        sent = {"message_sha256": sha256}
        return [money.Move(upload.key, money.QUEUED, money.SENT, "asked", sent)]

    # --- settlement ------------------------------------------------------------------------

    def open_batches(self) -> list[int]:
        """Batches with accepted payments, or with a settlement that is not finished."""
        with self._ledger.reading() as db:
            held = db.execute(
                sa.select(MONEY.c.batch)
                .where(MONEY.c.terminal_id == self._id, MONEY.c.state == money.ACCEPTED)
                .distinct()
            )
            return sorted({b for (b,) in held} | set(self._begun(db)))

    def begun_batches(self) -> list[int]:
        """Batches whose settlement was asked for and is not finished: nothing joins them."""
        with self._ledger.reading() as db:
            return sorted(self._begun(db))

    def _begun(self, db: sa.Connection) -> list[int]:
        query = sa.select(SETTLEMENTS.c.batch).where(
            SETTLEMENTS.c.terminal_id == self._id,
            SETTLEMENTS.c.state.in_((BEGUN, UNBALANCED)),
        )
        return list(db.execute(query).scalars())

    def newest_settled(self) -> Settled | None:
        """The batch that was settled last."""
        query = (
            sa.select(SETTLEMENTS)
            .where(SETTLEMENTS.c.terminal_id == self._id, SETTLEMENTS.c.state.in_((CLOSED, TOLD)))
            .order_by(SETTLEMENTS.c.changed_at.desc(), SETTLEMENTS.c.batch.desc())
        )
        with self._ledger.reading() as db:
            row = db.execute(query).first()
            return _settled(row) if row else None

    def settlement(self, batch: int, currency: int) -> Settled:
        """The settlement of this batch, begun if it is not: the same question at every repeat."""
        with self._ledger.writing() as db:
            db.execute(sa.select(TERMINALS.c.batch).where(self._mine()).with_for_update())
            row = db.execute(sa.select(SETTLEMENTS).where(*self._of(batch))).first()
            if row is None:
                count, amount = db.execute(
                    sa.select(
                        sa.func.count(), sa.func.coalesce(sa.func.sum(MONEY.c.amount), 0)
                    ).where(*self._in_batch(batch))
                ).one()
                db.execute(
                    SETTLEMENTS.insert().values(
                        terminal_id=self._id,
                        batch=batch,
                        stan=self._take_stan(db),
                        payments=int(count),
                        amount=int(amount),
                        currency=currency,
                        state=BEGUN,
                        uploaded=0,
                        end_stan=0,
                        changed_at=self._ledger.now(),
                    )
                )
                row = db.execute(sa.select(SETTLEMENTS).where(*self._of(batch))).one()
        return _settled(row)

    def _of(self, batch: int) -> tuple[sa.ColumnElement[bool], ...]:
        return SETTLEMENTS.c.terminal_id == self._id, SETTLEMENTS.c.batch == batch

    def _in_batch(self, batch: int) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            MONEY.c.terminal_id == self._id,
            MONEY.c.batch == batch,
            MONEY.c.state == money.ACCEPTED,
        )

    def verdict(self, batch: int, verdict: int) -> None:
        """Keep the acquirer's verdict (DE48); the payments of a balanced batch are settled.

        An error at the acquirer's (3) ends this settlement: the next one is a new question.
        """
        with self._ledger.writing() as db:
            if verdict == BALANCED:
                self._close(db, batch, CLOSED, f"batch {batch} balanced")
            elif verdict == NOT_BALANCED:
                self._update(db, batch, state=UNBALANCED)
            else:
                db.execute(SETTLEMENTS.delete().where(*self._of(batch)))

    def told(self, batch: int, number: int) -> None:
        """The batch upload has told so many payments."""
        with self._ledger.writing() as db:
            self._update(db, batch, uploaded=number)

    def end_stan(self, batch: int) -> int:
        """The STAN of the batch upload's end: the same at every repeat."""
        with self._ledger.writing() as db:
            row = db.execute(sa.select(SETTLEMENTS).where(*self._of(batch))).one()
            if row.end_stan:
                return int(row.end_stan)
            stan = self._take_stan(db)
            self._update(db, batch, end_stan=stan)
            return stan

    def ended(self, batch: int) -> None:
        """The acquirer has taken the end of the batch upload: what it was told stands."""
        with self._ledger.writing() as db:
            self._close(db, batch, TOLD, f"batch {batch} told payment by payment")

    def _close(self, db: sa.Connection, batch: int, state: str, why: str) -> None:
        """Settle the batch's payments; the terminal goes on with the next batch number."""
        self._update(db, batch, state=state)
        rows = db.execute(sa.select(MONEY).where(*self._in_batch(batch))).all()
        moves = [
            money.Move((r.unit_id, r.epoch, r.seq), money.ACCEPTED, money.SETTLED, why)
            for r in rows
        ]
        money.move_all(db, moves, self._ledger.now())
        following = batch + 1 if batch < LAST_BATCH else 1
        db.execute(
            TERMINALS.update()
            .where(self._mine(), TERMINALS.c.batch == batch)
            .values(batch=following)
        )

    def _update(self, db: sa.Connection, batch: int, **values: Any) -> None:
        db.execute(
            SETTLEMENTS.update()
            .where(*self._of(batch))
            .values(changed_at=self._ledger.now(), **values)
        )


def _settled(row: Any) -> Settled:
    return Settled(
        row.batch,
        row.stan,
        row.payments,
        row.amount,
        row.state == CLOSED,
        row.state,
        row.uploaded,
    )


def _same(a: sa.Table, b: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(a.c.unit_id == b.c.unit_id, a.c.epoch == b.c.epoch, a.c.seq == b.c.seq)
