from pathlib import Path

import pytest
from bench_taxi import Garage


@pytest.fixture(scope="session")
def garage(tmp_path_factory: pytest.TempPathFactory) -> Garage:
    """A provisioned bench unit to copy taxis from."""
    folder: Path = tmp_path_factory.mktemp("garage")
    return Garage(folder)
