"""Recorded shifts on the bench: the real firmware in MicroPython ends in the same books."""

import copy
import os
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.recorded_shift import NoRecording, RecordedShift
from flagfall_host.simulation.replay import Parted, replay
from flagfall_host.simulation.shift_books import part
from flagfall_host.simulation.simulation import record

SOAK = bool(os.environ.get("FLAGFALL_SOAK"))
SEEDS = range(100, 110)
HOURS = 1.0 if SOAK else 0.2
FOUND = sorted((Path(__file__).parents[2] / "seeds" / "shifts").glob("*.json"))


@cache
def recorded(seed: int, hours: float = HOURS) -> RecordedShift:
    outcome, shift = record(seed, hours=hours, faults=Faults())
    assert shift is not None, "\n".join([outcome.violation, *outcome.story])
    return shift


def happened(shift: RecordedShift) -> Counter[str]:
    """What the shift has of all that may happen."""
    found = Counter(event[0] for event in shift.events)
    found.update(f"key {event[1]}" for event in shift.events if event[0] == "key")
    held = [event[1] for event in shift.events if event[0] == "hold"]
    found.update(shift.cards[str(number)] for number in held)
    found.update("campaign" for record in shift.books.records if record.get("campaign"))
    return found


@pytest.mark.parametrize("seed", SEEDS if SOAK else SEEDS[:3])
def test_the_real_firmware_ends_in_the_same_books(seed: int) -> None:
    shift = recorded(seed)
    ending = replay(shift)
    assert ending.records == len(shift.books.records) > 50
    assert ending.payments == len(shift.books.sales) > 5


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_shifts_that_once_found_something(path: Path) -> None:
    assert replay(RecordedShift.load(path)).records > 10


def test_the_shifts_have_what_goes_wrong_on_the_road() -> None:
    found = sum((happened(recorded(seed)) for seed in SEEDS), Counter())
    for what, least in (
        ("tear", 10),
        ("dark", 10),
        ("off", 5),
        ("receipt", 10),
        ("paper", 2),
        ("clock", 2),
        ("key CASH", 20),
        ("ecash", 50),
        ("oda-debit", 10),
        ("expired", 2),
        ("ecash-low", 2),
        ("campaign", 10),
    ):
        assert found[what] >= least, (what, found)


def test_a_difference_is_found_where_it_begins() -> None:
    shift = copy.deepcopy(recorded(SEEDS[0], 0.05))
    for event in shift.events:
        if event[0] == "drive":
            event[2] *= 3  # the bench's taxi goes faster
    with pytest.raises(Parted) as parted:
        replay(shift, patience_s=5)
    text = str(parted.value)
    assert "goes another way on the bench: the face shows" in text
    assert "distance_mm" in text.split("Before that")[0]
    assert "the taxi drives at" in text.split("Before that")[1]


def test_other_books_are_named() -> None:
    there = recorded(SEEDS[0], 0.05).books
    for change, says in (
        (lambda b: b.records[3].update(time=1), "record 4, .*: time 1 instead of"),
        (lambda b: b.records.pop(), "is not there"),
        (lambda b: b.summary.update(cash=1), "summary: cash 1 instead of"),
        (lambda b: b.balances.update(dict.fromkeys(b.balances, 7)), "purses: .* 7 instead of"),
        (lambda b: b.sales.pop(), "missing .*too many \\[\\]"),
    ):
        here = copy.deepcopy(there)
        change(here)
        assert re.search(says, part(there, here))
    here = copy.deepcopy(there)
    assert part(there, here) == ""
    here.records.append(here.records[-1])
    assert "records" in part(there, here), "a summary that does not know of it"
    here.summary["records"] += 1
    assert part(there, here) == "", "it came after the last pull there"


def test_files_of_recorded_shifts(tmp_path: Path) -> None:
    path = tmp_path / "shift.json"
    shift = recorded(SEEDS[0], 0.05)
    shift.save(path)
    assert RecordedShift.load(path) == shift
    for text, says in (
        ("", "not JSON"),
        ("[]", "no recorded shift of format 1"),
        ('{"format": 1}', "missing or unknown"),
        ('{"format": 2}', "record it anew"),
    ):
        path.write_text(text)
        with pytest.raises(NoRecording, match=says):
            RecordedShift.load(path)
    with pytest.raises(NoRecording, match="cannot be read"):
        RecordedShift.load(tmp_path / "none.json")
    with pytest.raises(NoRecording, match="cannot be written"):
        shift.save(tmp_path / "none" / "shift.json")
