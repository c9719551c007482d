"""What must agree at the end: units and ledger; and where no card number may stand.

Every function raises Violation.
"""

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flagfall.link import messages

from flagfall_host.acquirer.book import Book
from flagfall_host.depot.link import Link
from flagfall_host.ledger import money
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.tables import MONEY
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.wallet import ISSUER
from flagfall_host.simulation.watch import Violation
from flagfall_host.simulation.wires import Line, LineFaults

UnitKey = Callable[[str], bytes | None]  # a unit's key, by its name
_SUMS = ("card_payments", "card_amount", "fares", "supplements")


def told_by(
    taxi: Taxi, key: UnitKey, chance: random.Random, nonces: random.Random
) -> dict[str, Any]:
    """What the unit says of itself over its cable, in a fiber."""
    line = Line(taxi.outside.cable, chance, LineFaults())
    with Link(line, key, nonce=nonces.randbytes) as link:
        link.open()
        return link.ask(messages.INFO)  # type: ignore[return-value]


def totals_agree(name: str, told: dict[str, Any], ledger: Ledger) -> None:
    """A unit's totals are the ledger's sums, and none of its records found no room."""
    summary = ledger.summary(name)
    for what in _SUMS:
        if told["totals"][what] != summary[what]:
            raise Violation(
                f"{name}: its total of {what} is {told['totals'][what]}, the ledger's "
                f"{summary[what]}"
            )
    if told["journal"]["drops"]:
        raise Violation(f"{name}: {told['journal']['drops']} records dropped")


def ledger_is_well(ledger: Ledger, late: bool) -> None:
    """The ledger's own check finds nothing but what the office must look into, and no defect: a
    torn payment whose card never came back, and (`late`) one whose card came back after the
    passenger had paid otherwise."""
    findings = [f for f in ledger.check() if f.kind != "torn" and not (late and f.kind == "trip")]
    if findings:
        raise Violation(f"the ledger's own check: {findings[0]}")


def newest_booked(ledger: Path, unit_id: str) -> int:
    """The seq of a unit's newest record whose booking is done; 0: none is. `ledger` is read by
    hands that no fault of the simulation reaches."""
    if not ledger.exists():
        return 0  # no program of the office has begun yet
    with contextlib.closing(sqlite3.connect(ledger)) as db:
        if not db.execute("select 1 from sqlite_master where name = 'records'").fetchone():
            return 0
        query = "select max(seq) from records where unit_id = ?"
        return int(db.execute(query, (unit_id,)).fetchone()[0] or 0)


def accepted_is_booked(ledger: Path, book: Book) -> None:
    """The acquirer has what the ledger takes for accepted, also before they settle."""
    with contextlib.closing(sqlite3.connect(ledger)) as db:
        accepted = set(
            db.execute(
                "select terminal_id, batch, stan from money where state = ?", (money.ACCEPTED,)
            )
        )
    if accepted:
        accepted -= {sale[:3] for sale in book.sales()}
    if accepted:
        raise Violation(f"taken for accepted, not in the acquirer's book: {min(accepted)}")


def money_has_come(ledger: Ledger) -> None:
    """No payment's money is still on its way: settled, refused, or for a person to look at."""
    m = MONEY.c
    with ledger.reading() as db:
        ended = (money.SETTLED, money.REFUSED, money.DISPUTED)
        row = db.execute(sa.select(m.unit_id, m.seq, m.state).where(m.state.not_in(ended))).first()
    if row:
        raise Violation(f"{row.unit_id} record {row.seq}: its money is for ever {row.state}")


def no_card_numbers(folder: Path, story: Iterable[str], cards: Iterable[str]) -> None:
    """None of the `cards`' numbers stands in a file, but in the acquirer's book, or in `story`."""
    numbers = [number.encode() for number in cards]
    for path in folder.rglob("*"):
        if path.is_file() and "book" not in path.name:
            _no_number_in(path.read_bytes(), numbers, path.name)
    _no_number_in("\n".join(story).encode(), numbers, "the story")


def _no_number_in(data: bytes, numbers: list[bytes], where: str) -> None:
    # One look for what all of them begin with, before one for each.
    if ISSUER.encode() in data and any(number in data for number in numbers):
        raise Violation(f"a card number stands in {where}")
