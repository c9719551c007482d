"""Deliberate mistakes in a copy of the engine: the quick tests must catch each one.

The same table stands in docs/metering.md.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = next(p for p in HERE.parents if p.name == "tests")
LIBRARY = TESTS.parent / "firmware" / "lib"
MICROPYTHON = Path(sys.executable).with_name("micropython")
RUN = TESTS / "run_on_micropython.py"

MISTAKES = {  # name: file, what stands there, what is put there
    "a step is complete one unit too late": (
        "fare.py",
        "        if fill >= main.size:\n            self._complete_steps(True)",
        "        if fill > main.size:\n            self._complete_steps(True)",
    ),
    "floor for ceil: a step begun is not charged in advance": (
        "steps.py",
        "return self.fill > 0 or",
        "return self.fill > self.size or",
    ),
    "time counts at the threshold as well as below it": (
        "threshold.py",
        "if lead > 0 or (lead == 0 and self.inclusive):",
        "if lead >= 0:",
    ),
    "the part of a step is lost where the price changes": (
        "steps.py",
        "self.fill = self.fill * size // self.size",
        "self.fill = 0",
    ),
    "the rest of a pulse below 0.1 mm is lost": (
        "taximeter.py",
        "self._x_rest = rest\n",
        "self._x_rest = 0\n",
    ),
    "distance is charged in Stopped": (
        "taximeter.py",
        "        if self._position != _HIRED:\n            self._pulses_stopped",
        "        if not self._position:\n            self._pulses_stopped",
    ),
    "what overruns a fare band is charged at the old price": (
        "fare.py",
        "rest = rest * num * old_den // (old_num * main.den)",
        "rest = rest + 0",
    ),
    "the free time is never used up": ("fare.py", "self.free_ms -= free", "self.free_ms -= 0"),
    "a window over midnight holds at no time": (
        "trip_clock.py",
        "elif minute >= start or minute < end:",
        "elif minute >= start and minute < end:",
    ),
    "mode S charges distance as well as time": (
        "fare.py",
        "self.main.add_x(-beyond)",
        "self.main.add_x(0)",
    ),
    "a counter that goes back is charged": (
        "taximeter.py",
        "self._fault(FAULT_COUNTER, -count)\n            return 0,",
        "self._fault(FAULT_COUNTER, -count)\n            return -count,",
    ),
    "supplements are booked as fares": (
        "taximeter.py",
        "self.totals.add_trip(self.fare, self.supplements)",
        "self.totals.add_trip(self.total, self.supplements)",
    ),
    "the clock stands still during a power dip": (
        "taximeter.py",
        "self._edge -= gap_ms",
        "self._edge -= 0",
    ),
    "a price band begins a pulse late": (
        "fare.py",
        "        if ahead <= 0:\n            x = self._cross_bands(x)",
        "        if ahead <= -x:\n            x = self._cross_bands(x)",
    ),
}


def quick_tests(library: Path) -> str:
    """Run the quick tests against this library; return what failed."""
    path = [".frozen", str(library), str(TESTS)]
    failed = ""
    for name in ("test_fare_rules.py", "test_taximeter.py"):
        run = subprocess.run(
            [MICROPYTHON, "-X", "heapsize=32M", RUN, HERE / name],
            env={**os.environ, "MICROPYPATH": ":".join(path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        failed += "".join(re.findall(r"FAIL (.*)\n", run.stdout))
        if "done" not in run.stdout:
            failed += f" {name} did not finish"
        if failed:
            break
    return failed


def copy_of_library(folder: Path) -> Path:
    library = folder / "lib"
    shutil.copytree(LIBRARY / "flagfall" / "meter", library / "flagfall" / "meter")
    for name in ("__init__.py", "clock.py"):
        shutil.copy(LIBRARY / "flagfall" / name, library / "flagfall" / name)
    return library


def test_the_engine_as_it_is_passes(tmp_path):
    assert quick_tests(copy_of_library(tmp_path)) == ""


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_caught(name, tmp_path):
    file, before, after = MISTAKES[name]
    library = copy_of_library(tmp_path)
    source = library / "flagfall" / "meter" / file
    text = source.read_text(encoding="utf-8")
    assert text.count(before) == 1, "the line that the mistake is made in has changed"
    source.write_text(text.replace(before, after), encoding="utf-8")
    assert quick_tests(library) != ""
