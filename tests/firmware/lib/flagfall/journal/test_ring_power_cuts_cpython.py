"""Power cuts, more of them than a small runtime has time for. FLAGFALL_SOAK=1 tries them all."""

import os

import pytest
from power_cuts import depth_1, depth_2, faulty_life, random_cuts

SOAK = bool(os.environ.get("FLAGFALL_SOAK"))


@pytest.mark.timeout(3600 if SOAK else 180)
@pytest.mark.parametrize("seed", range(1, 60 if SOAK else 5))
def test_depth_1(seed):
    cuts = depth_1(seed, 3 + seed % 3, 70)
    print(f"seed {seed}: {cuts} cuts, one at each operation in each mode")
    assert cuts >= 80


@pytest.mark.timeout(36000 if SOAK else 180)
@pytest.mark.parametrize("seed", range(1, 7 if SOAK else 4))
def test_depth_2(seed):
    cuts = depth_2(seed, 3, 16, 1 if SOAK else 23)
    print(f"seed {seed}: {cuts} cuts in pairs of operations")
    assert cuts >= 200


@pytest.mark.timeout(36000 if SOAK else 180)
def test_depth_n():
    cuts = random_cuts(2, 30000 if SOAK else 300)
    print(f"{cuts} cuts in random lives")
    assert cuts > 600


@pytest.mark.timeout(36000 if SOAK else 180)
def test_sectors_that_fail():
    cuts = 0
    for seed in range(1000, 21000 if SOAK else 1120):
        places = [(seed * k % 31, "btgh"[seed * k % 4]) for k in range(1, seed % 6)]
        cuts += faulty_life(seed, cuts=places).cuts
    print(f"{cuts} cuts on flash with failing sectors")
    assert cuts > 100
