"""Opening the database: SQLite by path, PostgreSQL by URL, the schema brought up to date.

SQLite runs with a write-ahead log and synchronous = FULL, so that a commit that was reported is
on the disk. A writing transaction takes its lock at once (BEGIN IMMEDIATE).
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from flagfall_host.ledger.errors import Busy, CannotOpen, LedgerError, StorageFailed
from flagfall_host.ledger.postgresql_engine import (
    LOCK_WAIT_S,
    NOT_REPLICATED,
    postgresql_engine,
    several_hosts,
)

MIGRATIONS = Path(__file__).with_name("migrations")
HEAD = "0005"  # the newest revision in migrations/versions
_READS = "flagfall_reads"
_MIGRATING = threading.Lock()  # alembic's context is one for the whole process
_MIGRATION_LOCK = 0x46464A31  # PostgreSQL: one program at a time


def engine_for(where: str | Path) -> sa.Engine:
    """The engine for a file's path or a SQLAlchemy URL (sqlite:, postgresql:)."""
    text = str(where)
    if "://" not in text:
        return _sqlite(sa.URL.create("sqlite", database=text))
    try:
        url = sa.make_url(several_hosts(text))
    except SQLAlchemyError as e:
        raise CannotOpen(f"ledger {_shown(text)}: not a path and not a database URL") from e
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    if url.get_backend_name() != "postgresql":
        raise CannotOpen(
            f"ledger {_shown(text)}: a ledger lives in SQLite or PostgreSQL; give a file's path "
            "or postgresql://user@host/database"
        )
    return postgresql_engine(url)


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_WAIT_S}, poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")  # KiB; the indices of a large ledger

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get(_READS)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def must_exist(engine: sa.Engine) -> None:
    """Raise CannotOpen if the database is a file that is not there."""
    name = engine.url.database
    if engine.dialect.name == "sqlite" and name and not Path(name).is_file():
        raise CannotOpen(
            f"{name}: no ledger there. `flagfall unit pull` makes one; name another with --ledger"
        )


def migrate(engine: sa.Engine) -> None:
    """Create the schema or bring it up to date. Raises CannotOpen for what is no ledger."""
    with reading(engine) as connection:
        found = _revision(connection)
    if found == HEAD:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with _MIGRATING, writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            # Another program may have been first: what counts is what is there under the lock.
            if _revision(connection) != HEAD:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    except CommandError as e:
        raise CannotOpen(
            f"ledger {engine.url!r}: its schema {found!r} is not known here: it was written by a "
            "newer release; use that one"
        ) from e


def _revision(connection: sa.Connection) -> str | None:
    inspector = sa.inspect(connection)
    if not inspector.has_table("alembic_version"):
        if inspector.get_table_names():
            raise CannotOpen(
                f"{connection.engine.url!r}: a database, but not a ledger: give another name"
            )
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


@contextlib.contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads: one state of the ledger, and in nobody's way."""
    with translated(engine), engine.connect() as connection:
        options = {_READS: True}
        if engine.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"  # type: ignore[assignment]
        reader = connection.execution_options(**options)
        with reader.begin():
            yield reader


@contextlib.contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is on the disk when the block ends, or has changed nothing."""
    with translated(engine), engine.connect() as connection:
        with connection.begin():
            yield connection
        if connection.info.pop(NOT_REPLICATED, False):
            raise StorageFailed(
                f"ledger {engine.url!r}: committed on this machine, but not on its standby: "
                "somebody cancelled the wait. Run the same command again"
            )


def insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, in the words of this connection's database."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def add_all(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns; on SQLite what is there already is left alone.

    On PostgreSQL by COPY, some ten times as fast: the caller holds the lock of the unit and has
    looked up what is there.
    """
    if not rows:
        return
    if connection.dialect.name != "postgresql":
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)
        return
    import psycopg

    names = list(rows[0])
    columns = ", ".join(f'"{name}"' for name in names)
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row([row[name] for name in names])
    except psycopg.Error as e:
        raise _failed(connection.engine, type(e).__name__) from e


@contextlib.contextmanager
def translated(engine: sa.Engine) -> Iterator[None]:
    """Raise the ledger's own errors for the database's."""
    try:
        yield
    except LedgerError:
        raise
    except OperationalError as e:
        raise _operational(engine, str(e.orig)) from e
    except DBAPIError as e:
        raise _failed(engine, type(e.orig).__name__) from e


def _operational(engine: sa.Engine, text: str) -> LedgerError:
    name = repr(engine.url)
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    if "locked" in text or "lock timeout" in text:
        return Busy(
            f"ledger {name}: another program has held it for {LOCK_WAIT_S} s; close it, then run "
            "the same command again"
        )
    if "unable to open" in text or "connection" in text.lower():
        return CannotOpen(f"ledger {name}: cannot be opened: {first}")
    return _failed(engine, first)


def _failed(engine: sa.Engine, what: str) -> LedgerError:
    if what in ("DatabaseError", "NotSupportedError"):
        return CannotOpen(f"ledger {engine.url!r}: not a database, or damaged; restore a backup")
    return StorageFailed(
        f"ledger {engine.url!r}: nothing was changed: {what}. Mend that, then run the same "
        "command again"
    )


def _shown(text: str) -> str:
    """A URL without what may be a password."""
    scheme, _, rest = text.partition("://")
    return f"{scheme}://...{rest.rpartition('@')[2]}" if "@" in rest else text
