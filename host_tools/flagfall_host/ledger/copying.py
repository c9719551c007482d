"""A whole ledger into another database: from an office's file into PostgreSQL.

All in one transaction on either side, so that the copy is one state of the ledger or nothing.
"""

from collections.abc import Callable

import sqlalchemy as sa

from flagfall_host.ledger.database import add_all
from flagfall_host.ledger.errors import LedgerError
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.tables import METADATA

_CHUNK = 5_000  # rows


class NotEmpty(LedgerError):
    """There is something in the ledger that was to be filled."""


def copy_ledger(
    source: Ledger, target: Ledger, progress: Callable[[str, int], None] | None = None
) -> dict[str, int]:
    """Copy every row of `source` into the empty `target`; returns the rows of each table.

    `progress(table, rows)` is told how far it is. Raises NotEmpty.
    """
    counts: dict[str, int] = {}
    with source.reading() as reader, target.writing() as writer:
        for table in METADATA.sorted_tables:
            if writer.execute(sa.select(sa.func.count()).select_from(table)).scalar():
                raise NotEmpty(
                    f"ledger {target.engine.url!r}: there are rows in {table.name} already: copy "
                    "into a new database"
                )
        for table in METADATA.sorted_tables:
            rows = reader.execution_options(yield_per=_CHUNK).execute(sa.select(table))
            counts[table.name] = 0
            for part in rows.mappings().partitions(_CHUNK):
                add_all(writer, table, [dict(row) for row in part])
                counts[table.name] += len(part)
                if progress is not None:
                    progress(table.name, counts[table.name])
            _count_on(writer, table)
    return counts


def _count_on(connection: sa.Connection, table: sa.Table) -> None:
    """Let a table that numbers its own rows go on above those that were copied."""
    number = table.autoincrement_column
    if number is None or connection.dialect.name != "postgresql" or len(table.primary_key) > 1:
        return
    newest = sa.select(sa.func.coalesce(sa.func.max(number), 0) + 1).scalar_subquery()
    place = sa.func.pg_get_serial_sequence(table.name, number.name)
    connection.execute(sa.select(sa.func.setval(place, newest, False)))
