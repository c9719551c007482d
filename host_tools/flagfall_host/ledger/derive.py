"""From a record's body to the row that people ask for: one table for each record type."""

from typing import Any

from flagfall.journal import schema as journal
from flagfall.journal.record import Record
from sqlalchemy import Table

from flagfall_host.ledger import schema

APPROVALS = (journal.APPROVED, journal.TORN_DEBITED)

_TABLES: dict[int, tuple[Table, tuple[str, ...], bool]] = {
    # record type: (table, fields left out, whether the record's time is a column)
    journal.TRIP: (schema.trips, (), False),
    journal.PAYMENT: (schema.payments, ("card_tag", "sealed"), True),
    journal.SHIFT: (schema.shifts, (), True),
    journal.TOTALS: (schema.totals, (), False),
    journal.EVENT: (schema.events, (), True),
    journal.KEY: (schema.keys, (), False),
}


def derived_row(record: Record) -> tuple[Table, dict[str, Any]] | None:
    """(table, fields) for a record, or None for a type without a table of its own.

    A record of a version that this release does not know is kept as evidence only.
    """
    entry = _TABLES.get(record.type)
    if entry is None:
        return None
    table, left_out, timed = entry
    try:
        fields = journal.unpack(record.type, record.body)
    except journal.SchemaError:
        return None
    row = {name: value for name, value in fields.items() if name in table.c}
    for name in left_out:
        row.pop(name, None)
    if timed:
        row["time"] = record.time
    if record.type == journal.PAYMENT:
        row["state"] = schema.CAPTURED if fields["outcome"] in APPROVALS else None
    return table, row
