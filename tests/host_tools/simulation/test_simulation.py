"""The whole system on one clock: nothing lost, nothing doubled, whatever goes wrong."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flagfall_host.simulation.faults import Faults, FaultsError, read
from flagfall_host.simulation.outcome import Outcome
from flagfall_host.simulation.simulation import record, run

FOUND = json.loads((Path(__file__).parents[2] / "seeds" / "found.json").read_text())


def _well(outcome: Outcome) -> None:
    assert not outcome.violation, "\n".join(
        [f"seed {outcome.seed}: {outcome.violation}"] + outcome.story
    )


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case["found"][:40])
def test_seeds_that_once_found_something(case: dict[str, Any]) -> None:
    """Each with what there was to go wrong when it was found: later parts are switched off.
    Recorded shifts have campaigns (recorder.py)."""
    faults = replace(Faults(), **case["faults"])
    if case.get("recorded"):
        _well(record(case["seed"], hours=case["hours"], faults=faults)[0])
        return
    _well(run(case["seed"], units=case["units"], hours=case["hours"], faults=faults))


def test_the_same_seed_tells_the_same_story() -> None:
    first, second = (run(7, units=2, hours=0.3) for _ in range(2))
    assert first.story_sha256 == second.story_sha256
    assert first.events == second.events
    assert run(8, units=2, hours=0.3).story_sha256 != first.story_sha256


def test_a_calm_day_has_taps_and_no_misfortunes() -> None:
    outcome = run(5, units=1, hours=0.5, faults=Faults().healed())
    _well(outcome)
    assert outcome.approved > 15
    assert outcome.kills == 0
    assert outcome.cuts <= 1  # when the day is over


def test_fault_files(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text("torn_answer = 0.5\n")
    assert read(path).torn_answer == 0.5
    for text, says in (
        ("torn = 1", "no fault torn"),
        ("lose = 2", "0 to 1"),
        ("lose = ", "not TOML"),
    ):
        path.write_text(text)
        with pytest.raises(FaultsError, match=says):
            read(path)
    with pytest.raises(FaultsError, match="cannot be read"):
        read(tmp_path / "none.toml")
