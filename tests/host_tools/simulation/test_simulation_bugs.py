"""The simulation must catch bugs: some of those on purpose, and the command that shows them."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flagfall_host.simulation import bugs, firmware_modules
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.simulation import run

FLAGFALL = Path(sys.executable).with_name("flagfall")
FOUND = json.loads((Path(__file__).parents[2] / "seeds" / "found.json").read_text())
CURED = [case for case in FOUND if "bug" in case]  # whose cure can be taken out again
# Of each layer one or two that show soon; `make bench` tries all of them.
SOON = [
    "beep-before-flash",
    "no-intent",
    "torn-taken-for-unpaid",
    "count-twice",
    "trip-lost",
    "record-skipped",
]


@pytest.mark.parametrize("name", SOON)
def test_a_bug_is_caught(name: str) -> None:
    firmware_modules.load()
    for seed in range(1, 7):
        with bugs.switched_on(name):
            outcome = run(seed, units=2, hours=1)
        if outcome.violation:
            return
    pytest.fail(f"{name} goes unseen in 6 seeds")


@pytest.mark.parametrize("case", CURED, ids=lambda case: case["found"][:40])
def test_a_seed_that_found_something_would_find_it_again(case: dict[str, Any]) -> None:
    with bugs.switched_on(case["bug"]):
        outcome = run(
            case["seed"],
            units=case["units"],
            hours=case["hours"],
            faults=replace(Faults(), **case["faults"]),
        )
    assert outcome.violation


def test_every_bug_takes_hold() -> None:
    """Each finds what it changes, and leaves it as it was."""
    firmware_modules.load()
    assert len(bugs.described()) >= 25
    for name, _ in bugs.described():
        with bugs.switched_on(name):
            pass
    assert not run(2, units=1, hours=0.5).violation


def test_a_failure_names_its_seed_and_the_way_back_to_it() -> None:
    command = [FLAGFALL, "simulate", "--seed", "3", "--units", "2", "--hours", "0.5"]
    failed = subprocess.run(
        [*command, "--bug", "count-twice"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert failed.returncode == 4
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith("flagfall: seed 3: ")
    again = last.partition("See it again: flagfall ")[2].split()
    shown = subprocess.run(
        [FLAGFALL, *again], capture_output=True, text=True, timeout=120, check=False
    )
    assert shown.returncode == 4
    assert "TAXI-1" in shown.stdout
    unknown = subprocess.run(
        [*command, "--bug", "none"], capture_output=True, text=True, timeout=60, check=False
    )
    assert unknown.returncode == 1
    assert "no bug none" in unknown.stderr
