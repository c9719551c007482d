"""Programs that may be killed: before or after a commit, or before a receipt is handed over."""

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from flagfall_host.ledger.booking import BookingResult
from flagfall_host.ledger.errors import StorageFailed
from flagfall_host.ledger.ledger import Ledger, Receipt
from flagfall_host.ledger.standing import Standing
from flagfall_host.simulation.faults import Faults, strikes
from flagfall_host.simulation.story import Story


class Killed(BaseException):
    """A program was killed. Not an Exception: no handler of the program's sees it."""


class Fate:
    """What may happen to a program at its database. `story` counts what did."""

    def __init__(self, chance: random.Random, faults: Faults, story: Story) -> None:
        self.faults = faults
        # Of the program and of those that follow it: a death closes its connections, and it
        # keeps the statements that it has compiled.
        self.engine: sa.Engine | None = None
        self._chance = chance
        self._story = story

    def hits(self, fault: str) -> bool:
        """Whether this fault strikes now, by its rate."""
        return strikes(self._chance, self.faults, fault, self._story.strike)

    def may_die(self, when: str) -> None:
        if self.hits("killed_after_commit"):
            raise Killed(when)

    def may_keep_receipt(self) -> None:
        if self.hits("receipt_kept"):
            raise Killed("before the receipt")

    def may_refuse(self) -> None:
        if self.hits("database_refuses"):
            raise StorageFailed("the database is full")

    def before_commit(self, _connection: sa.Connection) -> None:
        if self.hits("killed_before_commit"):
            raise Killed("before a commit")


class MortalLedger(Ledger):
    """The real ledger in a program with a fate."""

    fate: Fate

    @classmethod
    def of(cls, path: Any, now: Callable[[], int], fate: Fate) -> "MortalLedger":
        """Open the ledger at `path` in a program of its own."""
        if fate.engine is None:
            fate.engine = Ledger.open(path).engine
            sa.event.listen(fate.engine, "commit", fate.before_commit)
        ledger = cls(fate.engine, now)
        ledger.fate = fate
        return ledger

    def book(self, unit_id: str, raws: list[bytes], journal_key: bytes) -> BookingResult:
        self.fate.may_refuse()
        result = super().book(unit_id, raws, journal_key)
        self.fate.may_die("after booking")
        return result

    def book_many(
        self, deliveries: list[tuple[str, list[bytes], bytes]]
    ) -> list[tuple[BookingResult, Standing]]:
        self.fate.may_refuse()
        answers = super().book_many(deliveries)
        self.fate.may_die("after booking")
        return answers

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:  # type: ignore[override]
        self.fate.may_refuse()
        with super().writing() as connection:
            yield connection
        self.fate.may_die("after a commit")

    def receipt(self, unit_id: str) -> Receipt | None:
        self.fate.may_keep_receipt()
        return super().receipt(unit_id)
