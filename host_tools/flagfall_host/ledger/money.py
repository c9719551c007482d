"""The states of a card payment's money, and the only ways between them.

captured   approved on the unit and booked here
queued     has its terminal, batch and STAN; not sent yet
sent       durable before the first byte of the message leaves
unknown    no answer came: only the same message again can tell
accepted   the acquirer has it (DE 39 00, or 94: it had it already)
refused    the acquirer does not take it, for good
settled    part of a batch whose totals both sides agree on
disputed   a person must look: debited but refused by the unit, the same debit seen twice,
           card data that cannot be opened, or a later complaint
"""

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from flagfall.journal import schema

from flagfall_host.ledger.errors import MoneyError
from flagfall_host.ledger.tables import MONEY, MOVES, PAYMENTS

CAPTURED = "captured"
QUEUED = "queued"
SENT = "sent"
UNKNOWN = "unknown"
ACCEPTED = "accepted"
REFUSED = "refused"
SETTLED = "settled"
DISPUTED = "disputed"

STATES = (CAPTURED, QUEUED, SENT, UNKNOWN, ACCEPTED, REFUSED, SETTLED, DISPUTED)
WAYS: dict[str, tuple[str, ...]] = {
    CAPTURED: (QUEUED, DISPUTED),
    QUEUED: (SENT, DISPUTED),
    SENT: (QUEUED, UNKNOWN, ACCEPTED, REFUSED),
    UNKNOWN: (ACCEPTED, REFUSED),
    ACCEPTED: (SETTLED, DISPUTED),
    REFUSED: (DISPUTED,),
    SETTLED: (DISPUTED,),
    DISPUTED: (CAPTURED, SETTLED, REFUSED),  # only by a person: decisions.py
}
APPROVED_OUTCOMES = (schema.APPROVED, schema.TORN_DEBITED)
_NO_CARD = bytes(8)
_CHUNK = 300  # payments looked up at once

Key = tuple[str, int, int]  # unit_id, epoch, seq


def of_payment(row: dict[str, Any], now: int) -> dict[str, Any] | None:
    """The money row of a PAYMENT's typed row, or None if no money moved."""
    if row["outcome"] in APPROVED_OUTCOMES:
        state, why = CAPTURED, "approved by the unit"
    elif row["outcome"] == schema.DECLINED and row["reason"].startswith("disputed"):
        state, why = DISPUTED, "the card was debited, but the unit refused its answer"
    else:
        return None
    return {
        "unit_id": row["unit_id"],
        "epoch": row["epoch"],
        "seq": row["seq"],
        "amount": row["amount"],
        "currency": row["currency"],
        "state": state,
        "changed_at": now,
        "why": why,
    }


def dispute_repeats(
    connection: sa.Connection, rows: list[dict[str, Any]], money: list[dict[str, Any]]
) -> None:
    """Mark as disputed, in `money`, what is the same debit of the same card as another row.

    A card counts each transaction (ATC), so two approvals of one card with one ATC are one debit.
    `rows` are the PAYMENT rows about to be booked, one for each of `money`.
    """
    seen = _approved_before(connection, rows)
    for row, entry in zip(rows, money, strict=True):
        card = (row["card_tag"], row["atc"])
        if entry["state"] != CAPTURED or row["card_tag"] == _NO_CARD:
            continue
        if card in seen:
            entry["state"] = DISPUTED
            entry["why"] = "the same card and counter as an earlier approved payment"
        seen.add(card)


def _approved_before(
    connection: sa.Connection, rows: list[dict[str, Any]]
) -> set[tuple[bytes, int]]:
    """(card tag, ATC) of approved payments of the same unit, among them every one in `rows`."""
    p = PAYMENTS.c
    found: set[tuple[bytes, int]] = set()
    for i in range(0, len(rows), _CHUNK):
        part = rows[i : i + _CHUNK]
        query = sa.select(p.card_tag, p.atc).where(
            p.unit_id == part[0]["unit_id"],
            p.card_tag.in_(sorted({row["card_tag"] for row in part})),
            p.atc.in_(sorted({row["atc"] for row in part})),
            p.outcome.in_(APPROVED_OUTCOMES),
        )
        found.update((bytes(tag), atc) for tag, atc in connection.execute(query))
    return found


class Move(NamedTuple):
    """One change of one payment's money. `values` are further columns to set with it."""

    key: Key
    was: str
    state: str
    why: str
    values: dict[str, Any] = {}


def move_all(connection: sa.Connection, moves: Iterable[Move], now: int) -> None:
    """Make every one of `moves`, in order; all or none, if the caller's transaction is.

    Raises MoneyError where no way leads, or if one is not in the state `was` any more.
    """
    # Equal columns make one statement for many rows. A row that moves twice needs two runs.
    run: list[Move] = []
    for one in moves:
        if one.state not in WAYS[one.was]:
            raise MoneyError(f"money does not go from {one.was} to {one.state}")
        if run and (one.values.keys() != run[0].values.keys()):
            _make(connection, run, now)
            run = []
        run.append(one)
    if run:
        _make(connection, run, now)


@functools.cache
def _update(columns: tuple[str, ...]) -> sa.Update:
    """The statement that moves a payment's money, and sets these columns with it."""
    changes: dict[str, Any] = {name: sa.bindparam(f"to_{name}") for name in columns}
    return (
        MONEY.update()
        .where(
            MONEY.c.unit_id == sa.bindparam("of_unit"),
            MONEY.c.epoch == sa.bindparam("of_epoch"),
            MONEY.c.seq == sa.bindparam("of_seq"),
            MONEY.c.state == sa.bindparam("of_state"),
        )
        .values(
            state=sa.bindparam("to_state"),
            why=sa.bindparam("to_why"),
            changed_at=sa.bindparam("at"),
            **changes,
        )
    )


def _make(connection: sa.Connection, run: list[Move], now: int) -> None:
    """Moves that set the same columns. A statement for many rows runs row by row, in order."""
    done = connection.execute(
        _update(tuple(run[0].values)),
        [
            {
                "of_unit": m.key[0],
                "of_epoch": m.key[1],
                "of_seq": m.key[2],
                "of_state": m.was,
                "to_state": m.state,
                "to_why": m.why,
                "at": now,
                **{f"to_{name}": value for name, value in m.values.items()},
            }
            for m in run
        ],
    )
    if done.rowcount != len(run):
        one = run[0]
        raise MoneyError(
            f"{one.key[0]} record {one.key[2]}: its money is not {one.was} any more: another "
            "program has moved it; run the same command again"
            if len(run) == 1
            else f"of {len(run)} payments from {one.key[0]} record {one.key[2]} on, one is not in "
            "its state any more: another program has moved it; run the same command again"
        )
    connection.execute(
        MOVES.insert(),
        [
            {
                "unit_id": m.key[0],
                "epoch": m.key[1],
                "seq": m.key[2],
                "was": m.was,
                "state": m.state,
                "at": now,
                "why": m.why,
            }
            for m in run
        ],
    )
