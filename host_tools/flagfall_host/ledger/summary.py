"""What the ledger comes to: trips, cash, card money by state."""

from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema

from flagfall_host.ledger import money
from flagfall_host.ledger.errors import SeveralCurrencies
from flagfall_host.ledger.tables import MONEY, PAYMENTS, RECORDS, TOTALS, TRIPS

_PAID = {schema.OPEN: "open", schema.CASH: "cash", schema.CARD: "card"}


def summary(connection: sa.Connection, unit_id: str | None) -> dict[str, Any]:
    """Sums over one unit's records, or over all.

    records; currency (None if there is no money yet); trips, fares, supplements; trips_by_payment
    {"open" | "cash" | "card": {"trips", "amount"}}, amount being fare and supplements; cash, its
    amount for short; card_payments and card_amount, approved payments only; card_by_state
    {state: {"payments", "amount"}} for every state, disputed debits that the unit refused
    included; declined, torn_open (payments). Raises SeveralCurrencies.
    """

    def of(table: sa.Table, *columns: Any) -> sa.Select:
        query = sa.select(*columns).select_from(table)
        return query.where(table.c.unit_id == unit_id) if unit_id else query

    records = connection.execute(of(RECORDS, sa.func.count())).scalar_one()
    t, m, p = TRIPS.c, MONEY.c, PAYMENTS.c
    sums = of(TRIPS, t.paid, sa.func.count(), sa.func.sum(t.fare), sa.func.sum(t.supplements))
    trips = {
        how: (number, int(fares), int(supplements))
        for how, number, fares, supplements in connection.execute(sums.group_by(t.paid))
    }
    sums = of(MONEY, m.state, sa.func.count(), sa.func.sum(m.amount)).group_by(m.state)
    states = {
        state: {"payments": payments, "amount": int(amount)}
        for state, payments, amount in connection.execute(sums)
    }
    approved = connection.execute(
        of(PAYMENTS, sa.func.count(), sa.func.sum(p.amount)).where(
            p.outcome.in_(money.APPROVED_OUTCOMES)
        )
    ).one()
    declined = connection.execute(
        of(PAYMENTS, sa.func.count()).where(p.outcome == schema.DECLINED)
    ).scalar_one()
    by_payment = {}
    for how, word in _PAID.items():
        number, fares, supplements = trips.get(how, (0, 0, 0))
        by_payment[word] = {"trips": number, "amount": fares + supplements}
    return {
        "records": records,
        "currency": _currency(connection, of),
        "trips": sum(number for number, _, _ in trips.values()),
        "fares": sum(fares for _, fares, _ in trips.values()),
        "supplements": sum(supplements for _, _, supplements in trips.values()),
        "trips_by_payment": by_payment,
        "cash": by_payment["cash"]["amount"],
        "card_payments": approved[0],
        "card_amount": int(approved[1] or 0),
        "card_by_state": {
            state: states.get(state, {"payments": 0, "amount": 0}) for state in money.STATES
        },
        "declined": declined,
        "torn_open": len(connection.execute(torn_open(unit_id)).all()),
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
