"""From a record to its typed row: which table, which values."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema
from flagfall.journal.record import Record

from flagfall_host.ledger import tables

_MOST = (1 << 63) - 1  # of a BIGINT; a u64 beyond it is no distance and no money

TYPED: dict[int, sa.Table] = {
    schema.TRIP: tables.TRIPS,
    schema.PAYMENT: tables.PAYMENTS,
    schema.SHIFT: tables.SHIFTS,
    schema.TOTALS: tables.TOTALS,
    schema.EVENT: tables.EVENTS,
    schema.KEY: tables.KEYS,
}
_TIMED = {t for t, table in TYPED.items() if "time" in table.c}


def typed_row(unit_id: str, record: Record) -> dict[str, Any] | None:
    """The row of `record` in TYPED[record.type]; None for a type that has no table.

    Raises schema.SchemaError for a body that this release cannot read.
    """
    if record.type not in TYPED:
        if record.type not in (schema.ACK, schema.CHECKPOINT):
            raise schema.UnknownVersion(f"record type {record.type} is not known")
        return None
    row = schema.unpack(record.type, record.body)
    del row["version"]
    if record.type == schema.TRIP:
        row.setdefault("discount", 0)
        row.setdefault("campaign", 0)
    for name, value in row.items():
        if isinstance(value, int) and value > _MOST:
            raise schema.SchemaError(f"{schema.type_name(record.type)} {name}: {value} is absurd")
        if isinstance(value, str) and "\0" in value:
            row[name] = value.replace("\0", "\N{REPLACEMENT CHARACTER}")  # PostgreSQL has no NUL
    row["unit_id"], row["epoch"], row["seq"] = unit_id, record.epoch, record.seq
    if record.type in _TIMED:
        row["time"] = record.time
    return row


def derive(
    unit_id: str, records: list[Record], unread: Callable[[Record, schema.SchemaError], None]
) -> dict[int, list[dict[str, Any]]]:
    """The typed rows of `records` by type; `unread` is told of each body that makes no sense."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for record in records:
        try:
            row = typed_row(unit_id, record)
        except schema.SchemaError as e:
            unread(record, e)
            continue
        if row is not None:
            rows.setdefault(record.type, []).append(row)
    return rows
