"""What the ledger says of a period: sums by unit, shift, hour; taps by outcome; money that waits.

Periods are [start, end) in UTC seconds since 2000. A trip belongs to the moment it ended, a tap
to the moment of its record.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema

from flagfall_host.ledger import money
from flagfall_host.ledger.tables import (
    MONEY,
    MOVES,
    PAYMENTS,
    RECORDS,
    SETTLEMENTS,
    SHIFTS,
    TRIPS,
    UNITS,
)

# Money that is not yet where it belongs: with the acquirer and in a closed batch.
TO_UPLOAD = (money.CAPTURED, money.QUEUED, money.SENT, money.UNKNOWN)
UNSETTLED = (*TO_UPLOAD, money.ACCEPTED)

Within = tuple[int, int]


def trips(
    connection: sa.Connection, within: Within, unit_id: str | None
) -> Iterator[dict[str, Any]]:
    """Every trip that ended in the period, by time."""
    t = TRIPS.c
    query = sa.select(TRIPS).where(t.end_time >= within[0], t.end_time < within[1])
    if unit_id:
        query = query.where(t.unit_id == unit_id)
    query = query.order_by(t.end_time, t.unit_id, t.seq)
    for row in connection.execute(query).yield_per(1000).mappings():
        yield dict(row)


def taps(
    connection: sa.Connection, within: Within, unit_id: str | None
) -> Iterator[dict[str, Any]]:
    """Every tap of the period, by time: nothing sealed, with the state of its money or None."""
    p, m = PAYMENTS.c, MONEY.c
    hidden = ("sealed", "card_tag")
    both = PAYMENTS.outerjoin(
        MONEY, sa.and_(p.unit_id == m.unit_id, p.seq == m.seq, p.epoch == m.epoch)
    )
    query = (
        sa.select(*(c for c in p if c.name not in hidden), m.state)
        .select_from(both)
        .where(p.time >= within[0], p.time < within[1])
        .order_by(p.time, p.unit_id, p.seq)
    )
    if unit_id:
        query = query.where(p.unit_id == unit_id)
    for row in connection.execute(query).yield_per(1000).mappings():
        yield dict(row)


def shifts(connection: sa.Connection, unit_id: str | None) -> list[dict[str, Any]]:
    """Every shift: unit_id, shift, driver, `begin` and `end` (their rows; end None: open)."""
    s = SHIFTS.c
    query = sa.select(SHIFTS).order_by(s.unit_id, s.epoch, s.seq)
    if unit_id:
        query = query.where(s.unit_id == unit_id)
    out: list[dict[str, Any]] = []
    for found in connection.execute(query).mappings():
        row = dict(found)
        last = out[-1] if out else None
        if row["event"] == schema.SIGN_IN:
            head = {name: row[name] for name in ("unit_id", "shift", "driver")}
            out.append({**head, "begin": row, "end": None})
        elif last and last["end"] is None and _same_shift(last["begin"], row):
            last["end"] = row
        # A sign-out without a sign-in is a finding of `check`, and no shift.
    return out


def _same_shift(begin: dict[str, Any], end: dict[str, Any]) -> bool:
    return begin["unit_id"] == end["unit_id"] and begin["shift"] == end["shift"]


def _among(shift: dict[str, Any], c: Any) -> list[Any]:
    """Whether a record, its columns being `c`, belongs to the shift."""
    begin, end = shift["begin"], shift["end"]
    out = [
        c.unit_id == shift["unit_id"],
        c.seq > begin["seq"],
        c.epoch >= begin["epoch"],
        c.shift == shift["shift"],
    ]
    return out if end is None else [*out, c.seq < end["seq"], c.epoch <= end["epoch"]]


def discounts_of_shift(connection: sa.Connection, shift: dict[str, Any]) -> int:
    """What campaigns paid of a shift's fares."""
    query = sa.select(sa.func.sum(TRIPS.c.discount)).where(*_among(shift, TRIPS.c))
    return int(connection.execute(query).scalar() or 0)


def of_shift(connection: sa.Connection, shift: dict[str, Any]) -> dict[str, Any]:
    """trips, fares (with supplements), card_payments, card_amount of the records of a shift."""
    t, p = TRIPS.c, PAYMENTS.c
    trips, fares = connection.execute(
        sa.select(sa.func.count(), sa.func.sum(t.fare + t.supplements)).where(*_among(shift, t))
    ).one()
    taps, amount = connection.execute(
        sa.select(sa.func.count(), sa.func.sum(p.amount)).where(
            *_among(shift, p), p.outcome.in_(money.APPROVED_OUTCOMES)
        )
    ).one()
    return {
        "trips": trips,
        "fares": int(fares or 0),
        "card_payments": taps,
        "card_amount": int(amount or 0),
    }


def unsettled(
    connection: sa.Connection, unit_id: str | None
) -> Iterator[tuple[int, int, int, str]]:
    """(time of the tap, amount, currency, state) of all money that waits, oldest first."""
    p, m = PAYMENTS.c, MONEY.c
    both = MONEY.join(
        PAYMENTS, sa.and_(p.unit_id == m.unit_id, p.seq == m.seq, p.epoch == m.epoch)
    )
    query = (
        sa.select(p.time, m.amount, m.currency, m.state)
        .select_from(both)
        .where(m.state.in_(UNSETTLED))
        .order_by(p.time)
    )
    if unit_id:
        query = query.where(m.unit_id == unit_id)
    for row in connection.execute(query):
        yield row.time, row.amount, row.currency, row.state


def settlements(connection: sa.Connection, within: Within) -> list[dict[str, Any]]:
    """The batches whose settlement changed in the period."""
    s = SETTLEMENTS.c
    query = (
        sa.select(SETTLEMENTS)
        .where(s.changed_at >= within[0], s.changed_at < within[1])
        .order_by(s.changed_at, s.terminal_id, s.batch)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def pulled(connection: sa.Connection) -> dict[str, dict[str, int]]:
    """By unit: when it was last pulled, and up to which of its records it is complete."""
    r, u = RECORDS.c, UNITS.c
    out = {}
    for unit_id, upto, newest in connection.execute(
        sa.select(u.unit_id, u.upto_seq, u.max_seq).order_by(u.unit_id)
    ).all():
        booked_at = connection.execute(
            sa.select(sa.func.max(r.booked_at)).where(
                r.unit_id == unit_id, r.seq > newest - 1, r.seq <= newest
            )
        ).scalar()
        out[unit_id] = {"booked_at": booked_at or 0, "complete_up_to": upto, "newest": newest}
    return out


def newest_time(connection: sa.Connection, unit_id: str) -> int:
    """The time of a unit's newest record, by the unit's own clock; 0: it has none."""
    r = RECORDS.c
    query = (
        sa.select(r.time)
        .where(r.unit_id == unit_id)
        .order_by(r.epoch.desc(), r.seq.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or 0


def behind(connection: sa.Connection, unit_id: str, first: int, last: int) -> list[dict[str, Any]]:
    """The records numbered first..last of a unit, at most 12: the evidence's very bytes."""
    r = RECORDS.c
    query = (
        sa.select(r.seq, r.epoch, r.type, r.time, r.raw)
        .where(r.unit_id == unit_id, r.seq >= first, r.seq <= last)
        .order_by(r.seq, r.epoch)
        .limit(12)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def same_debit(connection: sa.Connection, unit_id: str, seq: int) -> list[int]:
    """The other approved taps of the card of tap `seq` with the same card counter."""
    one, other = PAYMENTS.alias("one"), PAYMENTS.alias("other")
    query = (
        sa.select(other.c.seq)
        .where(
            one.c.unit_id == unit_id,
            one.c.seq == seq,
            one.c.card_tag != bytes(8),
            other.c.unit_id == unit_id,
            other.c.card_tag == one.c.card_tag,
            other.c.atc == one.c.atc,
            other.c.outcome.in_(money.APPROVED_OUTCOMES),
            other.c.seq != seq,
        )
        .order_by(other.c.seq)
        .limit(12)
    )
    return list(connection.execute(query).scalars())


def moves(connection: sa.Connection, unit_id: str, seq: int) -> list[dict[str, Any]]:
    """How the money of record `seq` has moved: at, was, state, why."""
    v = MOVES.c
    query = (
        sa.select(v.at, v.was, v.state, v.why)
        .where(v.unit_id == unit_id, v.seq == seq)
        .order_by(v.id)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def standing(connection: sa.Connection, unit_id: str, seq: int) -> list[dict[str, Any]]:
    """How the money of record `seq` stands: changed_at, state, why."""
    m = MONEY.c
    query = (
        sa.select(m.changed_at, m.state, m.why)
        .where(m.unit_id == unit_id, m.seq == seq)
        .order_by(m.epoch)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
