"""Fixtures of the acquirer's tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from flagfall_host.ledger import Ledger
from postgresql_server import PostgresServer


@pytest.fixture
def place(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(place):
    with Ledger.open(place) as ledger:
        yield ledger


@pytest.fixture
def postgres_place():
    with PostgresServer() as server:
        yield server.empty_database()
