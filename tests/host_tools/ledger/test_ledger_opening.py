"""What a ledger can be opened from, what not, and that the migrations make the tables."""

import sqlite3

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flagfall_host.ledger import Ledger, LedgerError
from flagfall_host.ledger.database import HEAD, MIGRATIONS
from flagfall_host.ledger.errors import CannotOpen
from flagfall_host.ledger.tables import METADATA
from recorded_unit import RecordedUnit


def test_the_migrations_make_exactly_the_tables_of_the_code(ledger):
    with ledger.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_the_newest_migration_is_the_one_the_code_expects():
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [HEAD]


def test_a_ledger_is_found_again(place):
    unit = RecordedUnit()
    unit.event()
    with Ledger.open(place) as ledger:
        ledger.book(unit.unit_id, unit.raws, unit.key)
    with Ledger.open(place) as ledger:
        assert ledger.last_seq(unit.unit_id) == 1


def test_sqlite_is_set_to_lose_nothing(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger, ledger.engine.connect() as c:
        assert c.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert c.exec_driver_sql("PRAGMA synchronous").scalar() == 2


@pytest.mark.parametrize(
    "where",
    [
        "/nowhere/at/all/ledger.sqlite",
        "mysql://root:secret@host/db",
        "not a dialect://x",
        "postgresql://flagfall:secret@/none?host=/nowhere",
    ],
)
def test_what_cannot_be_opened_is_named_without_its_password(where):
    with pytest.raises(LedgerError) as error:
        Ledger.open(where)
    assert "secret" not in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8" * 5000)
    with pytest.raises(CannotOpen, match="not a database"):
        Ledger.open(path)
    assert path.read_bytes() == b"\xff\xd8" * 5000


def test_a_database_that_is_no_ledger(tmp_path):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(CannotOpen, match="not a ledger"):
        Ledger.open(path)


def test_a_ledger_of_a_newer_release(place):
    with Ledger.open(place) as ledger, ledger.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CannotOpen, match="newer release"):
        Ledger.open(place)
