"""A minute of seeds that nobody has tried: others for each change of what they run.

They come from a hash of the sources, so that a run that fails fails again until it is mended.
"""

import hashlib
from pathlib import Path

import pytest
from flagfall_host.simulation.simulation import run

ROOT = Path(__file__).parents[3]
COUNT, UNITS, HOURS = 20, 2, 1.0


def _seeds() -> list[int]:
    digest = hashlib.sha256()
    for folder in ("firmware", "host_tools", "boards/bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    first = int.from_bytes(digest.digest()[:6], "big")
    return list(range(first, first + COUNT))


@pytest.mark.parametrize("seed", _seeds())
def test_nothing_is_lost_with_a_fresh_seed(seed: int) -> None:
    outcome = run(seed, units=UNITS, hours=HOURS)
    assert not outcome.violation, "\n".join(
        [
            outcome.violation,
            f"see it again: flagfall simulate --seed {seed} --units {UNITS} --hours {HOURS}",
            *outcome.story,
        ]
    )
