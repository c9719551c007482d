"""What the ledger comes to: trips, cash, card money by state."""

from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema

from flagfall_host.ledger import money
from flagfall_host.ledger.errors import SeveralCurrencies
from flagfall_host.ledger.tables import (
    DAMAGES,
    MONEY,
    PAYMENTS,
    RECORDS,
    REFUSALS,
    TOTALS,
    TRIPS,
    UNITS,
)


def summary(connection: sa.Connection, unit_id: str | None) -> dict[str, Any]:
    """Sums over one unit's records, or over all units'.

    units, records, trips; currency (ISO 4217 numeric, None without money); fares, supplements;
    cash and unpaid: fare and supplements of the trips so paid; card_payments and card_amount:
    what units have approved; campaigns: what they pay of fares paid by tap;
    states: {money state: (payments, amount)}, those that occur,
    disputed debits that a unit refused included; declined and torn_open: payments; damaged:
    records lost; refused: records that were not booked. Raises SeveralCurrencies.
    """

    def of(table: sa.Table, *columns: Any) -> sa.Select:
        query = sa.select(*columns).select_from(table)
        return query.where(table.c.unit_id == unit_id) if unit_id else query

    def one(query: sa.Select) -> int:
        return int(connection.execute(query).scalar() or 0)

    t, m, p, d = TRIPS.c, MONEY.c, PAYMENTS.c, DAMAGES.c
    sums = of(TRIPS, t.paid, sa.func.count(), sa.func.sum(t.fare), sa.func.sum(t.supplements))
    trips = {
        how: (number, int(fares), int(supplements))
        for how, number, fares, supplements in connection.execute(sums.group_by(t.paid))
    }
    sums = of(MONEY, m.state, sa.func.count(), sa.func.sum(m.amount)).group_by(m.state)
    states = {
        state: (payments, int(amount)) for state, payments, amount in connection.execute(sums)
    }
    approved = p.outcome.in_(money.APPROVED_OUTCOMES)
    return {
        "units": one(of(UNITS, sa.func.count())),
        "records": one(of(RECORDS, sa.func.count())),
        "currency": _currency(connection, of),
        "trips": sum(number for number, _, _ in trips.values()),
        "fares": sum(fares for _, fares, _ in trips.values()),
        "supplements": sum(supplements for _, _, supplements in trips.values()),
        "cash": sum(trips.get(schema.CASH, (0, 0, 0))[1:]),
        "unpaid": sum(trips.get(schema.OPEN, (0, 0, 0))[1:]),
        "campaigns": one(of(TRIPS, sa.func.sum(t.discount))),
        "card_payments": one(of(PAYMENTS, sa.func.count()).where(approved)),
        "card_amount": one(of(PAYMENTS, sa.func.sum(p.amount)).where(approved)),
        "states": {state: states[state] for state in money.STATES if state in states},
        "declined": one(of(PAYMENTS, sa.func.count()).where(p.outcome == schema.DECLINED)),
        "torn_open": len(connection.execute(torn_open(unit_id)).all()),
        "damaged": one(of(DAMAGES, sa.func.sum(d.last_seq - d.first_seq + 1))),
        "refused": one(of(REFUSALS, sa.func.count())),
    }


def torn_open(unit_id: str | None) -> sa.Select:
    """The torn payments (unit_id, seq, amount, time) that no later record has resolved."""
    torn, later = PAYMENTS.alias("torn"), PAYMENTS.alias("later")
    resolved = sa.exists().where(
        later.c.unit_id == torn.c.unit_id,
        later.c.torn_seq == torn.c.seq,
        later.c.seq > torn.c.seq,
        later.c.epoch >= torn.c.epoch,
    )
    query = sa.select(torn.c.unit_id, torn.c.seq, torn.c.amount, torn.c.time).where(
        torn.c.outcome == schema.TORN, ~resolved
    )
    return query.where(torn.c.unit_id == unit_id) if unit_id else query


def _currency(connection: sa.Connection, of: Any) -> int | None:
    found = set()
    for table in (TRIPS, MONEY):
        found |= {c for (c,) in connection.execute(of(table, table.c.currency).distinct())}
    if len(found) > 1:
        named = ", ".join(f"{c:03d}" for c in sorted(found))
        raise SeveralCurrencies(
            f"the ledger holds money in several currencies ({named}): ask for one unit"
        )
    return found.pop() if found else None


def latest_totals(connection: sa.Connection, unit_id: str) -> dict[str, int] | None:
    """The newest TOTALS of a unit, with the seq, epoch and time of its record."""
    row = connection.execute(
        sa.select(TOTALS)
        .where(TOTALS.c.unit_id == unit_id)
        .order_by(TOTALS.c.epoch.desc(), TOTALS.c.seq.desc())
        .limit(1)
    )
    found = row.mappings().first()
    return {k: v for k, v in found.items() if k != "unit_id"} if found else None
