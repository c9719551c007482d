"""The simulator's book: what the acquirer holds to be true, in a file of its own.

It shares nothing with the ledger, so that the two can be compared.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

_TABLES = """
create table if not exists terminals (
    terminal_id text primary key, batch integer not null, keys blob not null);
create table if not exists sales (
    terminal_id text not null, batch integer not null, stan integer not null,
    amount integer not null, last_digits text not null, atc integer not null,
    cryptogram blob not null unique, reference text not null,
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


class Book:
    """An open book; each change is on the disk when its method returns."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def batch(self, terminal_id: str) -> int:
        """The terminal's open batch: 1 at first, one more after each that balanced."""
        row = self._db.execute(
            "select batch from terminals where terminal_id = ?", (terminal_id,)
        ).fetchone()
        return row[0] if row else 1

    def keys(self, terminal_id: str) -> bytes:
        row = self._db.execute(
            "select keys from terminals where terminal_id = ?", (terminal_id,)
        ).fetchone()
        return row[0] if row else b""

    def sign_in(self, terminal_id: str, keys: bytes) -> int:
        batch = self.batch(terminal_id)
        self._db.execute(
            "insert into terminals values (?, ?, ?) on conflict(terminal_id)"
            " do update set keys = excluded.keys",
            (terminal_id, batch, keys),
        )
        return batch

    def add(self, sale: Sale) -> str:
        """Book a sale: "new", "same" if it is there already, "other" if its STAN is taken."""
        try:
            self._db.execute(
                "insert into sales values (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    sale.terminal_id,
                    sale.batch,
                    sale.stan,
                    sale.amount,
                    sale.last_digits,
                    sale.atc,
                    sale.cryptogram,
                    f"{sale.batch:06d}{sale.stan:06d}",
                ),
            )
        except sqlite3.IntegrityError:
            known = self._db.execute(
                "select amount from sales where cryptogram = ?", (sale.cryptogram,)
            ).fetchone()
            return "same" if known and known[0] == sale.amount else "other"
        return "new"

    def totals(self, terminal_id: str, batch: int) -> tuple[int, int]:
        """(payments, minor units) of a batch."""
        row = self._db.execute(
            "select count(*), coalesce(sum(amount), 0) from sales"
            " where terminal_id = ? and batch = ?",
            (terminal_id, batch),
        ).fetchone()
        return row[0], row[1]

    def settle(self, terminal_id: str, batch: int, count: int, amount: int) -> int:
        """1 if the totals balance (the batch is closed then), else 2. A repeat gets the same."""
        known = self._db.execute(
            "select verdict from settlements where terminal_id = ? and batch = ?"
            " and count = ? and amount = ?",
            (terminal_id, batch, count, amount),
        ).fetchone()
        if known:
            return known[0]
        verdict = 1 if self.totals(terminal_id, batch) == (count, amount) else 2
        self._db.execute(
            "insert or replace into settlements values (?, ?, ?, ?, ?)",
            (terminal_id, batch, count, amount, verdict),
        )
        if verdict == 1:
            self._db.execute(
                "update terminals set batch = ? where terminal_id = ? and batch = ?",
                (batch + 1, terminal_id, batch),
            )
        return verdict

    def everything(self) -> dict[str, int]:
        """Payments and minor units in the whole book, and those of settled batches."""
        count, amount = self._db.execute(
            "select count(*), coalesce(sum(amount), 0) from sales"
        ).fetchone()
        settled = self._db.execute(
            "select coalesce(sum(count), 0), coalesce(sum(amount), 0) from settlements"
            " where verdict = 1"
        ).fetchone()
        return {
            "payments": count,
            "amount": amount,
            "settled_payments": settled[0],
            "settled_amount": settled[1],
        }
