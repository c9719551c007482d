"""Rows of the ledger for a person to read: nothing sealed, no more than the last four digits."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from flagfall import clock
from flagfall.journal import schema
from flagfall.journal.record import RecordError, parse

from flagfall_host.ledger import tables
from flagfall_host.ledger.typed_rows import TYPED
from flagfall_host.record_words import words

LISTS: dict[str, sa.Table] = {
    "trips": tables.TRIPS,
    "payments": tables.PAYMENTS,
    "shifts": tables.SHIFTS,
    "totals": tables.TOTALS,
    "events": tables.EVENTS,
    "money": tables.MONEY,
    "moves": tables.MOVES,
    "damages": tables.DAMAGES,
    "refusals": tables.REFUSALS,
    "settlements": tables.SETTLEMENTS,
    "decisions": tables.DECISIONS,
}
_HIDDEN = {"sealed", "wrapped", "card_tag", "raw", "message_sha256", "sha256"}
_TIMES = {"time", "start_time", "end_time", "booked_at", "changed_at", "refused_at", "at"}
_WHEN = ("time", "end_time", "at", "changed_at", "refused_at", "booked_at")
_ROWS = 500  # fetched at once


def rows(
    connection: sa.Connection,
    what: str,
    unit_id: str | None,
    within: tuple[int, int] | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of LISTS[what], oldest first; times as ISO 8601 text.

    `within`: only those whose time (of the thing itself, or of its last change) is in [start,
    end), UTC seconds since 2000.
    """
    table = LISTS[what]
    columns = [c for c in table.c if c.name not in _HIDDEN]
    query = sa.select(*columns).order_by(*_order(table))
    if unit_id and "unit_id" in table.c:
        query = query.where(table.c.unit_id == unit_id)
    if within:
        time = next(table.c[name] for name in _WHEN if name in table.c)
        query = query.where(time >= within[0], time < within[1])
    for row in connection.execute(query).yield_per(_ROWS).mappings():
        yield {k: _shown(k, v) for k, v in row.items()}


def _order(table: sa.Table) -> list[sa.Column]:
    if "id" in table.c:
        return [table.c.id]
    return [c for c in table.primary_key.columns if c.name in table.c]


def record(connection: sa.Connection, unit_id: str, seq: int) -> list[dict[str, Any]]:
    """A record, by epoch: head, fields (nothing sealed), its money and how that has moved."""
    r = tables.RECORDS.c
    found = connection.execute(
        sa.select(tables.RECORDS).where(r.unit_id == unit_id, r.seq == seq).order_by(r.epoch)
    ).mappings()
    out = []
    for head in found.all():
        shown = {
            "unit": unit_id,
            "seq": seq,
            "epoch": head["epoch"],
            "type": schema.type_name(head["type"]),
            "time": clock.iso8601(head["time"]),
            "booked_at": clock.iso8601(head["booked_at"]),
            "bytes": len(head["raw"]),
            "says": _says(head),
        }
        if head["type"] in TYPED:
            shown["fields"] = _one(connection, TYPED[head["type"]], unit_id, seq, head["epoch"])
        money = _one(connection, tables.MONEY, unit_id, seq, head["epoch"])
        if money:
            shown["money"] = money
            m = tables.MOVES.c
            moves = connection.execute(
                sa.select(m.at, m.was, m.state, m.why)
                .where(m.unit_id == unit_id, m.seq == seq, m.epoch == head["epoch"])
                .order_by(m.id)
            )
            shown["moves"] = [
                f"{clock.iso8601(at)} {was} -> {state}: {why}" for at, was, state, why in moves
            ]
        out.append(shown)
    return out


def _says(head: Any) -> str:
    """The record in plain words."""
    try:
        record = parse(bytes(head["raw"]))
        return words(record.type, schema.unpack(record.type, record.body))
    except (RecordError, schema.SchemaError) as e:
        return f"cannot be read: {e}"


def _one(
    connection: sa.Connection, table: sa.Table, unit_id: str, seq: int, epoch: int
) -> dict[str, Any]:
    """One row of `table` as a person may see it, without its key; empty if it is not there."""
    columns = [c for c in table.c if c.name not in _HIDDEN | {"unit_id", "seq", "epoch"}]
    row = (
        connection.execute(
            sa.select(*columns).where(
                table.c.unit_id == unit_id, table.c.seq == seq, table.c.epoch == epoch
            )
        )
        .mappings()
        .first()
    )
    return {k: _shown(k, v) for k, v in row.items()} if row else {}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return clock.iso8601(value) if name in _TIMES else value


def units(connection: sa.Connection) -> list[dict[str, Any]]:
    """Each unit with its records, frontier, newest record's time, lost and refused records."""
    u, r, d, f = tables.UNITS.c, tables.RECORDS.c, tables.DAMAGES.c, tables.REFUSALS.c
    lost: dict[str, int] = {
        name: int(records)
        for name, records in connection.execute(
            sa.select(d.unit_id, sa.func.sum(d.last_seq - d.first_seq + 1)).group_by(d.unit_id)
        )
    }
    refused: dict[str, int] = {
        name: records
        for name, records in connection.execute(
            sa.select(f.unit_id, sa.func.count()).group_by(f.unit_id)
        )
    }
    counted = {
        row.unit_id: row
        for row in connection.execute(
            sa.select(
                r.unit_id, sa.func.count().label("records"), sa.func.max(r.time).label("newest")
            ).group_by(r.unit_id)
        )
    }
    out = []
    for unit in connection.execute(sa.select(tables.UNITS).order_by(u.unit_id)).mappings():
        row = counted.get(unit["unit_id"])
        out.append(
            {
                "unit": unit["unit_id"],
                "records": row.records if row else 0,
                "complete_up_to": unit["upto_seq"],
                "newest_record": unit["max_seq"],
                "newest_time": clock.iso8601(row.newest) if row else None,
                "lost": lost.get(unit["unit_id"], 0),
                "refused": refused.get(unit["unit_id"], 0),
            }
        )
    return out
