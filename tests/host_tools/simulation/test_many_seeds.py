"""Long runs: many seeds in several processes, sums in a file, an end at the first violation."""

import contextlib
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from flagfall_host.simulation import many
from flagfall_host.simulation.faults import Faults

FLAGFALL = Path(sys.executable).with_name("flagfall")
CITY = many.City(1, 0.1, Faults(), None)
OPTIONS = ["--units", "1", "--hours", "0.1"]


def _simulate(*options: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [FLAGFALL, "simulate", *OPTIONS, *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def test_processes_tell_the_same_stories_in_the_same_order() -> None:
    with contextlib.closing(many.outcomes(CITY, 40, jobs=1)) as results:
        alone = [outcome for outcome, _ in islice(results, 3)]
    with contextlib.closing(many.outcomes(CITY, 40, jobs=2)) as results:
        shared = [outcome for outcome, _ in islice(results, 3)]
    assert [o.seed for o in shared] == [40, 41, 42]
    assert [o.story_sha256 for o in shared] == [o.story_sha256 for o in alone]


def test_a_run_goes_on_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "soak.json"
    first = _simulate("--taps", "10", "--keep", str(path))
    sums = json.loads(path.read_text())["sums"]
    assert sums["taps"] >= 10
    assert f"from seed {sums['first']} on" in first.stderr
    more = str(sums["taps"] + 1)
    second = _simulate("--taps", more, "--keep", str(path))
    assert f"from seed {sums['first'] + sums['seeds']} on" in second.stderr
    longer = json.loads(path.read_text())["sums"]
    assert longer["first"] == sums["first"] and longer["taps"] > sums["taps"]
    assert "no violation" in second.stdout and f"{longer['taps']} taps" in second.stdout
    # Its taps are made: the next run is another one.
    _simulate("--taps", "1", "--keep", str(path))
    assert json.loads(path.read_text())["sums"]["first"] != sums["first"]


def test_a_violation_ends_it_and_is_met_again(tmp_path: Path) -> None:
    path = tmp_path / "soak.json"
    options = ["--taps", "10000", "--keep", str(path), "--bug", "count-twice", "--no-shrink"]
    ended = _simulate(*options, "--jobs", "2", code=4).stderr.splitlines()[-1]
    sums = many.Sums(**json.loads(path.read_text())["sums"])
    assert f"See it again: flagfall simulate --seed {sums.next_seed} " in ended


def test_files_that_are_not_this_runs(tmp_path: Path) -> None:
    path = tmp_path / "soak.json"
    many.keep(path, CITY, many.Sums(7, seeds=2, taps=30))
    assert many.kept(path, CITY) == many.Sums(7, seeds=2, taps=30)
    assert many.kept(tmp_path / "none.json", CITY) is None
    with pytest.raises(many.SoakError, match="another city"):
        many.kept(path, many.City(2, 0.1, Faults(), None))
    path.write_text("{}")
    with pytest.raises(many.SoakError, match="no sums"):
        many.kept(path, CITY)
    with pytest.raises(many.SoakError, match="cannot be written"):
        many.keep(path / "below.json", CITY, many.Sums(1))
