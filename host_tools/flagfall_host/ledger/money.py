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

from collections.abc import Iterable
from typing import Any

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


def move(
    connection: sa.Connection,
    keys: Iterable[Key],
    was: str,
    state: str,
    why: str,
    now: int,
    **values: Any,
) -> None:
    """Move each of `keys` from `was` to `state`, with the reason; all or none.

    Raises MoneyError where no way leads, or if one is not in the state `was` any more.
    """
    if state not in WAYS[was]:
        raise MoneyError(f"money does not go from {was} to {state}")
    for unit_id, epoch, seq in keys:
        done = connection.execute(
            MONEY.update()
            .where(
                MONEY.c.unit_id == unit_id,
                MONEY.c.epoch == epoch,
                MONEY.c.seq == seq,
                MONEY.c.state == was,
            )
            .values(state=state, why=why, changed_at=now, **values)
        )
        if done.rowcount != 1:
            raise MoneyError(
                f"{unit_id} record {seq}: its money is not {was} any more: another program has "
                "moved it; run the same command again"
            )
        connection.execute(
            MOVES.insert().values(
                unit_id=unit_id, epoch=epoch, seq=seq, was=was, state=state, at=now, why=why
            )
        )
