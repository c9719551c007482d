"""Open matters: what somebody must still look into, found without walking the whole ledger.

`check` proves everything; this is the part of it that a day's end needs and that stays cheap
with ten million records: losses, gaps above the frontier, refusals, torn and disputed payments,
money that the acquirer does not take.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from flagfall.receipt import money as shown

from flagfall_host.ledger import money, tables
from flagfall_host.ledger.decisions import acknowledged
from flagfall_host.ledger.findings import Finding
from flagfall_host.ledger.summary import torn_open
from flagfall_host.ledger.verification import FORM, Refused


def open_matters(connection: sa.Connection, unit_id: str | None = None) -> list[Finding]:
    """Every matter of one unit or of all that nobody has acknowledged yet."""
    u = tables.UNITS.c
    query = sa.select(tables.UNITS).order_by(u.unit_id)
    if unit_id:
        query = query.where(u.unit_id == unit_id)
    done = acknowledged(connection)
    out: list[Finding] = []
    for unit in connection.execute(query).mappings().all():
        name = unit["unit_id"]
        lost = losses(connection, dict(unit))
        found = [
            *lost,
            *_gaps_above(connection, dict(unit), [(f.first_seq, f.last_seq) for f in lost]),
            *refusals(connection, name),
            *torn(connection, name),
            *_money_matters(connection, name),
        ]
        out.extend(f for f in found if f not in done)
    return out


def losses(connection: sa.Connection, unit: dict[str, Any]) -> list[Finding]:
    """Records that the unit could not read any more, of its present life."""
    d = tables.DAMAGES.c
    rows = connection.execute(
        sa.select(tables.DAMAGES)
        .where(d.unit_id == unit["unit_id"], d.life == unit["first_epoch"])
        .order_by(d.first_seq)
    )
    out = []
    for row in rows:
        state = "accepted as lost" if row.accepted else "not accepted yet: pull again"
        where = f"at flash address 0x{row.address:X}, " if row.raw else ""
        text = f"unreadable, {where}{state}"
        out.append(Finding("damaged", unit["unit_id"], row.first_seq, row.last_seq, text))
    return out


def gaps(name: str, first: int, last: int, lost: list[tuple[int, int]]) -> Iterator[Finding]:
    """The parts of first..last that no loss explains."""
    for start, stop in lost:
        if stop < first or start > last:
            continue
        if start > first:
            yield Finding("gap", name, first, start - 1, "never arrived")
        first = stop + 1
    if first <= last:
        yield Finding("gap", name, first, last, "never arrived")


def _gaps_above(
    connection: sa.Connection, unit: dict[str, Any], lost: list[tuple[int, int]]
) -> Iterator[Finding]:
    """Gaps above the frontier; below it everything is booked, or lost and accepted."""
    r = tables.RECORDS.c
    at = unit["upto_seq"]
    if at >= unit["max_seq"]:
        return
    seqs = connection.execute(
        sa.select(r.seq)
        .where(r.unit_id == unit["unit_id"], r.seq > at, r.epoch >= unit["first_epoch"])
        .order_by(r.seq)
    ).scalars()
    for seq in seqs:
        if seq > at + 1:
            yield from gaps(unit["unit_id"], at + 1, seq - 1, lost)
        at = seq


def refusals(connection: sa.Connection, name: str) -> Iterator[Finding]:
    """What was refused, but for what was only damaged on its way and arrived whole later."""
    f, r = tables.REFUSALS.c, tables.RECORDS.c
    rows = connection.execute(
        sa.select(f.epoch, f.seq, f.reason, f.raw, r.seq.label("booked"))
        .select_from(
            tables.REFUSALS.outerjoin(
                tables.RECORDS,
                sa.and_(r.unit_id == f.unit_id, r.seq == f.seq, r.epoch == f.epoch),
            )
        )
        .where(f.unit_id == name)
        .order_by(f.seq, f.sha256)
    )
    for epoch, seq, reason, raw, booked in rows:
        if reason == FORM and booked is not None:
            continue
        refused = Refused(name, epoch, seq, reason, bytes(raw))
        words = str(refused).partition(": ")[2]
        yield Finding("refused", name, seq, seq, f"{words} (bytes {refused.sha256[:8]})")


def torn(connection: sa.Connection, name: str) -> Iterator[Finding]:
    """Torn payments that nothing has resolved."""
    for row in connection.execute(torn_open(name)):
        yield Finding(
            "torn", name, row.seq, row.seq, f"torn payment of {shown(row.amount)}, unresolved"
        )


def money_matter(name: str, seq: int, amount: int, state: str | None) -> Finding | None:
    """What a person must do about a payment's money, if anything."""
    if state == money.DISPUTED:
        return Finding(
            "disputed", name, seq, seq, f"payment of {shown(amount)}: a person must look"
        )
    if state == money.REFUSED:
        return Finding("refused-money", name, seq, seq, f"{shown(amount)} is not paid")
    return None


def _money_matters(connection: sa.Connection, name: str) -> Iterator[Finding]:
    m = tables.MONEY.c
    rows = connection.execute(
        sa.select(m.seq, m.amount, m.state)
        .where(m.unit_id == name, m.state.in_((money.DISPUTED, money.REFUSED)))
        .order_by(m.seq)
    )
    for seq, amount, state in rows:
        found = money_matter(name, seq, amount, state)
        if found:
            yield found
