"""What only a person can decide: money that is disputed, and exceptions that are looked into.

Each decision leaves a row with who, when and why, which nothing changes later.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema

from flagfall_host.ledger import money
from flagfall_host.ledger.errors import DecisionError
from flagfall_host.ledger.findings import Finding
from flagfall_host.ledger.tables import DECISIONS, MONEY, MOVES, PAYMENTS

ACKNOWLEDGED = "acknowledged"
DISPUTED = "disputed"
RESOLVED = "resolved"
# Where disputed money may go, and what that says.
WAYS_OUT = {
    money.CAPTURED: "it is good and was never uploaded: upload it",
    money.SETTLED: "the acquirer's statement shows that it was paid",
    money.REFUSED: "it will not be paid: written off, or given back",
}
# Not to be acknowledged: a ledger that contradicts its own evidence, and money that waits.
NEVER = ("evidence", "money", "disputed")
_UPLOADED = (money.SENT, money.UNKNOWN, money.ACCEPTED, money.SETTLED)


def resolve(
    connection: sa.Connection, unit_id: str, seq: int, to: str, who: str, why: str, now: int
) -> dict[str, Any]:
    """Move disputed money on to a state of WAYS_OUT; returns its row as it was."""
    if to not in WAYS_OUT:
        raise DecisionError(f"{to}: disputed money goes to one of {', '.join(WAYS_OUT)}")
    row = _money(connection, unit_id, seq, money.DISPUTED)
    forget: dict[str, None] = {}
    if to == money.CAPTURED:
        _must_be_uploadable(connection, row)
        forget = dict.fromkeys(("terminal_id", "batch", "stan", "message_sha256"))
    _move(connection, row, to, who, why, now, **forget)
    _note(connection, RESOLVED, "money", row, f"disputed to {to}", who, why, now)
    return row


def dispute(
    connection: sa.Connection, unit_id: str, seq: int, who: str, why: str, now: int
) -> dict[str, Any]:
    """A later complaint: put a payment's money under dispute; returns its row as it was."""
    row = _money(connection, unit_id, seq, None)
    if money.DISPUTED not in money.WAYS[row["state"]]:
        raise DecisionError(
            f"{unit_id} record {seq}: its money is {row['state']}: only the acquirer can say what "
            "becomes of it; upload first"
            if row["state"] != money.DISPUTED
            else f"{unit_id} record {seq}: is disputed already: {row['why']}"
        )
    _move(connection, row, money.DISPUTED, who, why, now)
    _note(connection, DISPUTED, "money", row, f"{row['state']} to disputed", who, why, now)
    return row


def acknowledge(
    connection: sa.Connection, findings: Iterable[Finding], who: str, why: str, now: int
) -> None:
    """Note that a person has looked into `findings`. Raises DecisionError for one of NEVER."""
    for f in findings:
        if f.kind in NEVER:
            raise DecisionError(
                f"{f.unit_id} record {f.first_seq}: disputed money waits for `flagfall ledger "
                "resolve`"
                if f.kind == "disputed"
                else f"{f}: the ledger contradicts its own evidence: restore a backup"
            )
        connection.execute(
            DECISIONS.insert().values(
                at=now,
                who=who,
                decision=ACKNOWLEDGED,
                kind=f.kind,
                unit_id=f.unit_id,
                first_seq=f.first_seq,
                last_seq=f.last_seq,
                about=f.text,
                why=why,
            )
        )


def acknowledged(connection: sa.Connection) -> set[Finding]:
    """The findings that somebody has acknowledged; one that reads otherwise since is not."""
    d = DECISIONS.c
    rows = connection.execute(
        sa.select(d.kind, d.unit_id, d.first_seq, d.last_seq, d.about).where(
            d.decision == ACKNOWLEDGED
        )
    )
    return {Finding(*row) for row in rows}


def _money(connection: sa.Connection, unit_id: str, seq: int, state: str | None) -> dict[str, Any]:
    """The newest money row of this record number, in `state` if one is named."""
    m = MONEY.c
    query = sa.select(MONEY).where(m.unit_id == unit_id, m.seq == seq).order_by(m.epoch.desc())
    rows = [dict(r) for r in connection.execute(query).mappings()]
    if not rows:
        raise DecisionError(
            f"{unit_id} record {seq}: no money hangs on it; `flagfall ledger list money` lists all"
        )
    for row in rows:
        if state in (None, row["state"]):
            return row
    raise DecisionError(f"{unit_id} record {seq}: its money is {rows[0]['state']}, not {state}")


def _must_be_uploadable(connection: sa.Connection, row: dict[str, Any]) -> None:
    name = f"{row['unit_id']} record {row['seq']}"
    p, m = PAYMENTS.c, MOVES.c
    outcome = connection.execute(
        sa.select(p.outcome).where(
            p.unit_id == row["unit_id"], p.epoch == row["epoch"], p.seq == row["seq"]
        )
    ).scalar()
    if outcome == schema.DECLINED:
        raise DecisionError(
            f"{name}: the unit refused the card's answer, so there is nothing to upload: settled "
            "or refused"
        )
    uploaded = connection.execute(
        sa.select(m.state).where(
            m.unit_id == row["unit_id"],
            m.epoch == row["epoch"],
            m.seq == row["seq"],
            m.state.in_(_UPLOADED),
        )
    ).first()
    if uploaded:
        raise DecisionError(
            f"{name}: it was uploaded before, and a second upload would charge the card twice: "
            "settled or refused"
        )


def _move(
    connection: sa.Connection,
    row: dict[str, Any],
    to: str,
    who: str,
    why: str,
    now: int,
    **values: Any,
) -> None:
    key = (row["unit_id"], row["epoch"], row["seq"])
    one = money.Move(key, row["state"], to, f"{why} ({who})", values)
    money.move_all(connection, [one], now)


def _note(
    connection: sa.Connection,
    decision: str,
    kind: str,
    row: dict[str, Any],
    about: str,
    who: str,
    why: str,
    now: int,
) -> None:
    connection.execute(
        DECISIONS.insert().values(
            at=now,
            who=who,
            decision=decision,
            kind=kind,
            unit_id=row["unit_id"],
            first_seq=row["seq"],
            last_seq=row["seq"],
            about=about,
            why=why,
        )
    )
