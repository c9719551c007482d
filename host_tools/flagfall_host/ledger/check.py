"""`flagfall ledger check`: what the ledger can prove about itself, and every exception to it."""

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema
from flagfall.journal.record import RecordError, parse

from flagfall_host.ledger import money, tables
from flagfall_host.ledger.findings import Finding
from flagfall_host.ledger.matters import gaps, losses, money_matter, refusals, torn
from flagfall_host.ledger.typed_rows import TYPED, typed_row
from flagfall_host.ledger.verification import Refused, link_of, verify

_ROWS = 1000  # fetched at once


def check(
    connection: sa.Connection,
    unit_id: str | None,
    journal_key: Callable[[str], bytes] | None,
) -> list[Finding]:
    """All findings over one unit or all."""
    u = tables.UNITS.c
    query = sa.select(tables.UNITS).order_by(u.unit_id)
    if unit_id:
        query = query.where(u.unit_id == unit_id)
    out: list[Finding] = []
    for unit in connection.execute(query).mappings().all():
        key = journal_key(unit["unit_id"]) if journal_key else None
        out.extend(_records(connection, dict(unit), key))
        out.extend(refusals(connection, unit["unit_id"]))
        out.extend(torn(connection, unit["unit_id"]))
        out.extend(_money(connection, unit["unit_id"]))
        out.extend(_card_trips(connection, unit["unit_id"]))
        out.extend(_shifts(connection, unit["unit_id"]))
    if unit_id is None:
        out.extend(_batches(connection))
    return out


def _records(
    connection: sa.Connection, unit: dict[str, Any], key: bytes | None
) -> Iterator[Finding]:
    """Each record against its MAC and its typed row, the chain, the gaps in it."""
    name = unit["unit_id"]
    damages = losses(connection, unit)
    yield from damages
    lost = [(f.first_seq, f.last_seq) for f in damages]
    before: dict[int, bytes] = {}  # bytes of the records of the seq before, by epoch
    at, here = 0, dict[int, bytes]()
    for seq, epoch, raw, finding in _evidence(connection, name, key):
        if finding:
            yield finding
        if epoch < unit["first_epoch"]:
            continue
        if seq != at:
            if seq > at + 1:
                yield from gaps(name, at + 1, seq - 1, lost)
            before = here if seq == at + 1 else {}
            at, here = seq, {}
        elif here:
            yield Finding(
                "fork", name, seq, seq, "booked under two epochs: the flash was set back"
            )
        here[epoch] = bytes(raw)
        links = [link_of(b) for e, b in before.items() if e <= epoch]
        if links and bytes(raw)[16:20] not in links:
            yield Finding("link", name, seq, seq, "does not follow from the record before it")


def _evidence(
    connection: sa.Connection, name: str, key: bytes | None
) -> Iterator[tuple[int, int, bytes, Finding | None]]:
    """(seq, epoch, bytes) of each record in order, and what is wrong with its own bytes."""
    r = tables.RECORDS.c
    query = (
        sa.select(r.seq, r.epoch, r.raw, r.type).where(r.unit_id == name).order_by(r.seq, r.epoch)
    )
    for chunk in connection.execute(query).partitions(_ROWS):
        rows = _typed_rows(connection, name, chunk[0].seq, chunk[-1].seq)
        for seq, epoch, raw, type in chunk:
            typed = rows.get((type, seq, epoch))
            yield seq, epoch, bytes(raw), _compared(name, (seq, epoch, type), raw, typed, key)


def _typed_rows(
    connection: sa.Connection, name: str, first: int, last: int
) -> dict[tuple[int, int, int], dict[str, Any]]:
    """The typed rows of the seqs first..last, by type, seq and epoch."""
    out = {}
    for type, table in TYPED.items():
        query = sa.select(table).where(
            table.c.unit_id == name, table.c.seq >= first, table.c.seq <= last
        )
        for row in connection.execute(query).mappings():
            out[type, row["seq"], row["epoch"]] = dict(row)
    return out


def _compared(
    name: str,
    said: tuple[int, int, int],
    raw: bytes,
    row: dict[str, Any] | None,
    key: bytes | None,
) -> Finding | None:
    """Do the stored bytes of a record say what the ledger says? `said`: seq, epoch, type."""
    seq, _, type = said
    try:
        record = parse(raw)
    except RecordError:
        return Finding("evidence", name, seq, seq, "its stored bytes are damaged")
    if key is not None and isinstance(verify(name, record.raw, key), Refused):
        return Finding("evidence", name, seq, seq, "its stored bytes are not of this unit's key")
    if (record.seq, record.epoch, record.type) != said:
        return Finding("evidence", name, seq, seq, "its stored bytes are of another record")
    try:
        expected = typed_row(name, record)
    except schema.SchemaError as e:
        return Finding("unread", name, seq, seq, str(e))
    if type in TYPED and row != expected:
        return Finding("evidence", name, seq, seq, "its row differs from its stored bytes")
    return None


def _money(connection: sa.Connection, name: str) -> Iterator[Finding]:
    """Each approved payment has one money row of its amount, and nothing else has one."""
    p, m = tables.PAYMENTS.c, tables.MONEY.c
    both = tables.PAYMENTS.outerjoin(
        tables.MONEY, sa.and_(p.unit_id == m.unit_id, p.seq == m.seq, p.epoch == m.epoch)
    )
    rows = connection.execute(
        sa.select(p.seq, p.outcome, p.reason, p.amount, p.currency, m.amount, m.currency, m.state)
        .select_from(both)
        .where(p.unit_id == name)
        .order_by(p.seq)
    )
    for seq, outcome, reason, amount, currency, money_amount, money_currency, state in rows:
        row = {"outcome": outcome, "reason": reason, "amount": amount, "currency": currency}
        row |= {"unit_id": name, "epoch": 0, "seq": seq}
        wanted = money.of_payment(row, 0)
        if (wanted is None) != (state is None):
            what = "approved, but has no money row" if wanted else "has money, but no approval"
            yield Finding("money", name, seq, seq, what)
        elif wanted and (money_amount, money_currency) != (amount, currency):
            yield Finding("money", name, seq, seq, f"approved {amount}, booked {money_amount}")
        elif matter := money_matter(name, seq, amount, state):
            yield matter
    orphans = connection.execute(
        sa.select(m.seq)
        .select_from(
            tables.MONEY.outerjoin(
                tables.PAYMENTS,
                sa.and_(p.unit_id == m.unit_id, p.seq == m.seq, p.epoch == m.epoch),
            )
        )
        .where(m.unit_id == name, p.seq.is_(None))
    )
    for (seq,) in orphans:
        yield Finding("money", name, seq, seq, "money without a payment record")


def _card_trips(connection: sa.Connection, name: str) -> Iterator[Finding]:
    """A trip paid by card has approved payments of its fare and supplements."""
    t, p = tables.TRIPS.c, tables.PAYMENTS.c
    paid = (
        sa.select(sa.func.coalesce(sa.func.sum(p.amount), 0))
        .where(
            p.unit_id == t.unit_id,
            p.trip == t.trip,
            p.epoch
            >= sa.select(tables.UNITS.c.first_epoch)
            .where(tables.UNITS.c.unit_id == name)
            .scalar_subquery(),
            p.outcome.in_(money.APPROVED_OUTCOMES),
        )
        .scalar_subquery()
    )
    rows = connection.execute(
        sa.select(
            t.seq,
            t.trip,
            t.paid,
            (t.fare + t.supplements - t.discount).label("due"),
            paid.label("paid"),
        )
        .where(
            t.unit_id == name,
            t.epoch
            >= sa.select(tables.UNITS.c.first_epoch)
            .where(tables.UNITS.c.unit_id == name)
            .scalar_subquery(),
        )
        .order_by(t.seq)
    )
    for seq, trip, how, due, by_card in rows:
        by_card = int(by_card)
        if how == schema.CARD and by_card != due:
            yield Finding("trip", name, seq, seq, f"trip {trip}: {due} due, {by_card} by card")
        elif how != schema.CARD and by_card:
            yield Finding(
                "trip", name, seq, seq, f"trip {trip}: not paid by card, yet {by_card} by card"
            )


def _shifts(connection: sa.Connection, name: str) -> Iterator[Finding]:
    """A sign-out's totals are the sums of the records between it and its sign-in."""
    s, t, p = tables.SHIFTS.c, tables.TRIPS.c, tables.PAYMENTS.c
    begun: Any = None
    for row in connection.execute(
        sa.select(tables.SHIFTS).where(s.unit_id == name).order_by(s.epoch, s.seq)
    ).all():
        if row.event == schema.SIGN_IN:
            begun = row
            continue
        if begun is None or begun.shift != row.shift:
            yield Finding("shift", name, row.seq, row.seq, f"shift {row.shift} has no sign-in")
            continue
        within = (begun.seq, row.seq)
        trips = connection.execute(
            sa.select(sa.func.count(), sa.func.sum(t.fare + t.supplements)).where(
                t.unit_id == name, t.seq.between(*within), t.epoch.between(begun.epoch, row.epoch)
            )
        ).one()
        cards = connection.execute(
            sa.select(sa.func.count(), sa.func.sum(p.amount)).where(
                p.unit_id == name,
                p.seq.between(*within),
                p.epoch.between(begun.epoch, row.epoch),
                p.outcome.in_(money.APPROVED_OUTCOMES),
            )
        ).one()
        found = (trips[0], int(trips[1] or 0), cards[0], int(cards[1] or 0))
        said = (row.trips, row.fares, row.card_payments, row.card_amount)
        if found != said:
            words = "trips {}, fares {}, taps {}, by tap {}"
            yield Finding(
                "shift",
                name,
                begun.seq,
                row.seq,
                f"shift {row.shift} says {words.format(*said)}; records say "
                f"{words.format(*found)}",
            )
        begun = None


def _batches(connection: sa.Connection) -> Iterator[Finding]:
    """A settlement's count and amount are those of its payments, disputed later or not."""
    s, m, v = tables.SETTLEMENTS.c, tables.MONEY.c, tables.MOVES.c
    left = sa.exists().where(
        v.unit_id == m.unit_id,
        v.epoch == m.epoch,
        v.seq == m.seq,
        v.was == money.SETTLED,
    )
    for row in connection.execute(sa.select(tables.SETTLEMENTS).order_by(s.terminal_id, s.batch)):
        found = connection.execute(
            sa.select(sa.func.count(), sa.func.sum(m.amount)).where(
                m.terminal_id == row.terminal_id,
                m.batch == row.batch,
                sa.or_(m.state.in_((money.ACCEPTED, money.SETTLED)), left),
            )
        ).one()
        if (found[0], int(found[1] or 0)) != (row.payments, row.amount):
            yield Finding(
                "batch",
                row.terminal_id,
                row.batch,
                row.batch,
                f"settled {row.payments} payments of {row.amount}; the ledger has {found[0]} of "
                f"{int(found[1] or 0)}",
            )
