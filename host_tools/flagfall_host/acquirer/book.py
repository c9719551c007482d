"""The simulator's book: what the acquirer holds to be true, in a file of its own.

It shares nothing with the ledger, so that the two can be compared.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

BALANCED, UNBALANCED, TOLD = 1, 2, 4  # verdicts on a batch; TOLD: settled by a batch upload
_TABLES = """
create table if not exists terminals (
    terminal_id text primary key, batch integer not null, keys blob not null);
create table if not exists sales (
    terminal_id text not null, batch integer not null, stan integer not null,
    amount integer not null, last_digits text not null, atc integer not null,
    cryptogram blob not null unique, reference text not null,
    primary key (terminal_id, batch, stan));
create table if not exists declined (
    cryptogram blob primary key, code text not null) without rowid;
create table if not exists told (
    terminal_id text not null, batch integer not null, stan integer not null,
    amount integer not null, cryptogram blob not null unique,
    primary key (terminal_id, batch, stan));
create table if not exists settlements (
    terminal_id text not null, batch integer not null, count integer not null,
    amount integer not null, verdict integer not null, primary key (terminal_id, batch));
"""


@dataclass(frozen=True)
class Sale:
    """One accepted upload. `amount` in minor units; of the card only the last four digits."""

    terminal_id: str
    batch: int
    stan: int
    amount: int
    last_digits: str
    atc: int
    cryptogram: bytes

    @property
    def reference(self) -> str:
        """The acquirer's own number of it (DE37)."""
        return f"{self.batch:06d}{self.stan:06d}"


class Book:
    """An open book. Changes are on the disk when `flush` returns, all since the last one at once.

    An answer may leave only then: what was booked and not flushed is lost with the host.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self.flush()
        self._db.close()

    def flush(self) -> None:
        """Make what was changed durable."""
        if self._db.in_transaction:
            self._db.execute("commit")

    def _change(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        if not self._db.in_transaction:
            self._db.execute("begin immediate")
        return self._db.execute(statement, values)

    def batch(self, terminal_id: str) -> int:
        """The terminal's open batch: 1 at first, one more after each that was settled."""
        row = self._db.execute(
            "select batch from terminals where terminal_id = ?", (terminal_id,)
        ).fetchone()
        return row[0] if row else 1

    def keys(self, terminal_id: str) -> bytes:
        """The working keys of its last sign-in, wrapped; b"" if it never signed in."""
        row = self._db.execute(
            "select keys from terminals where terminal_id = ?", (terminal_id,)
        ).fetchone()
        return row[0] if row else b""

    def sign_in(self, terminal_id: str, keys: bytes) -> int:
        """Keep new working keys; return the open batch."""
        batch = self.batch(terminal_id)
        self._change(
            "insert into terminals values (?, ?, ?) on conflict(terminal_id)"
            " do update set keys = excluded.keys",
            (terminal_id, batch, keys),
        )
        return batch

    def forget_keys(self) -> None:
        """Lose all working keys: every terminal must sign in again. Its batch stays open."""
        self._change("update terminals set keys = ?", (b"",))

    def add(self, sale: Sale) -> str:
        """Book a sale: "new"; "same" if it is there already, under this very batch and STAN;
        "other" if its STAN, or its cryptogram, is there with something else."""
        return "new" if self._insert(sale) else self._same("sales", sale)

    def _insert(self, sale: Sale) -> bool:
        done = self._change(
            "insert or ignore into sales values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sale.terminal_id,
                sale.batch,
                sale.stan,
                sale.amount,
                sale.last_digits,
                sale.atc,
                sale.cryptogram,
                sale.reference,
            ),
        )
        return done.rowcount == 1

    def decline(self, sale: Sale, code: str) -> str:
        """Say no to this sale for good; the response code that it got first."""
        self._change("insert or ignore into declined values (?, ?)", (sale.cryptogram, code))
        return self.declined(sale) or code

    def declined(self, sale: Sale) -> str | None:
        """The response code of a sale that was declined."""
        row = self._db.execute(
            "select code from declined where cryptogram = ?", (sale.cryptogram,)
        ).fetchone()
        return row[0] if row else None

    def _same(self, table: str, sale: Sale) -> str:
        known = self._db.execute(
            f"select amount, cryptogram from {table}"  # noqa: S608 - one of two names
            " where terminal_id = ? and batch = ? and stan = ?",
            (sale.terminal_id, sale.batch, sale.stan),
        ).fetchone()
        return "same" if known == (sale.amount, sale.cryptogram) else "other"

    def totals(self, terminal_id: str, batch: int) -> tuple[int, int]:
        """(payments, minor units) of a batch."""
        row = self._db.execute(
            "select count(*), coalesce(sum(amount), 0) from sales"
            " where terminal_id = ? and batch = ?",
            (terminal_id, batch),
        ).fetchone()
        return row[0], row[1]

    def settle(
        self, terminal_id: str, batch: int, count: int, amount: int, verdict: int | None = None
    ) -> int:
        """BALANCED if the totals are ours (the batch is closed then), else UNBALANCED.

        A repeat gets the same answer. `verdict` gives one whatever the totals are.
        """
        known = self._db.execute(
            "select verdict from settlements where terminal_id = ? and batch = ?"
            " and count = ? and amount = ?",
            (terminal_id, batch, count, amount),
        ).fetchone()
        if known:
            return min(known[0], UNBALANCED)
        if verdict is None:
            ours = self.totals(terminal_id, batch) == (count, amount)
            verdict = BALANCED if ours else UNBALANCED
        self._close(terminal_id, batch, count, amount, verdict)
        return verdict

    def tell(self, sale: Sale) -> str:
        """Keep what a batch upload says: "new", "same" or "other" as for `add`."""
        done = self._change(
            "insert or ignore into told values (?, ?, ?, ?, ?)",
            (sale.terminal_id, sale.batch, sale.stan, sale.amount, sale.cryptogram),
        )
        if done.rowcount == 1:
            self._insert(sale)  # if it had never arrived, it has now
            return "new"
        return self._same("told", sale)

    def end_batch(self, terminal_id: str, batch: int, count: int) -> int:
        """The batch upload is over: TOLD if so many payments were told, else UNBALANCED."""
        known = self._db.execute(
            "select verdict from settlements where terminal_id = ? and batch = ?",
            (terminal_id, batch),
        ).fetchone()
        told = self._db.execute(
            "select count(*) from told where terminal_id = ? and batch = ?", (terminal_id, batch)
        ).fetchone()[0]
        if known and known[0] == TOLD:
            return TOLD
        if not known or told != count:
            return UNBALANCED
        self._close(terminal_id, batch, *self.totals(terminal_id, batch), TOLD)
        return TOLD

    def _close(self, terminal_id: str, batch: int, count: int, amount: int, verdict: int) -> None:
        self._change(
            "insert or replace into settlements values (?, ?, ?, ?, ?)",
            (terminal_id, batch, count, amount, verdict),
        )
        if verdict != UNBALANCED:
            self._change(
                "update terminals set batch = ? where terminal_id = ? and batch = ?",
                (batch + 1, terminal_id, batch),
            )

    def sales(self) -> list[tuple[str, int, int, int, str, int]]:
        """(terminal, batch, STAN, amount, last four digits, ATC) of every sale, in order."""
        return self._db.execute(
            "select terminal_id, batch, stan, amount, last_digits, atc from sales"
            " order by terminal_id, batch, stan"
        ).fetchall()

    def everything(self) -> dict[str, int]:
        """Payments and minor units in the whole book, and those of settled batches."""
        count, amount = self._db.execute(
            "select count(*), coalesce(sum(amount), 0) from sales"
        ).fetchone()
        settled = self._db.execute(
            "select coalesce(sum(count), 0), coalesce(sum(amount), 0) from settlements"
            " where verdict in (?, ?)",
            (BALANCED, TOLD),
        ).fetchone()
        return {
            "payments": count,
            "amount": amount,
            "settled_payments": settled[0],
            "settled_amount": settled[1],
        }
