"""Hostile cards at length: FLAGFALL_SOAK=1 plays a million answers, otherwise a share of them."""

import os
import sys
import tracemalloc
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


def test_memory_is_bounded() -> None:
    """What taps leave behind does not grow, and one tap takes little, whatever the card sends."""
    hostile.noise(7, 200)  # caches and modules
    hostile.spoilt(7, 200)
    tracemalloc.start()
    try:
        kept = []
        for seed in range(8, 12):
            hostile.noise(seed, 100)
            hostile.spoilt(seed, 50)
            kept.append(tracemalloc.get_traced_memory()[0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kept[-1] - kept[0] < 5_000
    assert peak < 100_000
