"""Hostile cards at length: FLAGFALL_SOAK=1 plays a million answers, otherwise a share of them."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import test_hostile_cards as hostile  # noqa: E402

SOAK = os.environ.get("FLAGFALL_SOAK") == "1"
SEEDS = range(100, 120) if SOAK else range(100, 101)
ANSWERS = 25_000 if SOAK else 3_000  # of each kind and seed


@pytest.mark.parametrize("seed", SEEDS)
def test_noise(seed: int) -> None:
    hostile.noise(seed, ANSWERS)


@pytest.mark.parametrize("seed", SEEDS)
def test_spoilt(seed: int) -> None:
    assert len(hostile.spoilt(seed, ANSWERS)) >= 4
