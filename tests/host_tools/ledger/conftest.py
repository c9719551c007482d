"""Fixtures of the ledger's tests: each test runs on SQLite and on PostgreSQL."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from flagfall_host.ledger import Ledger
from postgresql_server import PostgresServer
from recorded_unit import RecordedUnit


@pytest.fixture(scope="session")
def postgres():
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a new ledger may be: a path or a URL."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite")
    return request.getfixturevalue("postgres").empty_database()


@pytest.fixture
def ledger(place):
    with Ledger.open(place, now=lambda: 830_000_000) as ledger:
        yield ledger


@pytest.fixture
def unit():
    return RecordedUnit()
