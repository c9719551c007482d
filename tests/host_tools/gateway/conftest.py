"""Fixtures of the gateway's tests."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "ledger"))

from flagfall_host.depot.fleet import SECRET_VARIABLE  # noqa: E402
from flagfall_host.ledger import Ledger  # noqa: E402
from gateway_on_host import Office  # noqa: E402


@pytest.fixture(scope="session")
def office(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(SECRET_VARIABLE, raising=False)
        return Office(tmp_path_factory.mktemp("office"))


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        yield ledger
