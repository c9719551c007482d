"""The chooser in the real MicroPython, with programs of one line in its slots."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from flagfall_host.flashing.program_files import boot_files

MICROPYTHON = Path(sys.executable).with_name("micropython")
RESTART = 75
GOOD = "import chooser\nprint(chooser.running, chooser.trial)\n"
BAD = "print('bad')\nraise ValueError('a defect')\n"
CONFIRMS = GOOD + "chooser.confirm()\nprint('confirmed', chooser.trial)\n"


def checked(fields: dict) -> bytes:
    import binascii

    blob = json.dumps(fields).encode()
    return blob + b"%08x" % binascii.crc32(blob)


def lay(folder: Path, slot: str, source: str, release: int, whole: bool = True) -> None:
    (folder / slot).mkdir(exist_ok=True)
    (folder / slot / "taximeter.py").write_text(source)
    if whole:
        mark = {"release": release, "version": "1", "board": "bench", "metrology": "00"}
        (folder / slot / "program.json").write_bytes(checked(mark))


@pytest.fixture
def unit(tmp_path):
    for name, content in boot_files().items():
        (tmp_path / name).write_bytes(content)
    lay(tmp_path, "a", GOOD, 1)
    return tmp_path


def start(folder: Path) -> tuple[int, str]:
    run = subprocess.run(
        [MICROPYTHON, "-m", "main"],
        env={**os.environ, "MICROPYPATH": f".frozen:{folder}"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return run.returncode, run.stdout


def state(folder: Path) -> dict:
    return json.loads((folder / "slots.json").read_bytes()[:-8])


def try_b(folder: Path) -> None:
    (folder / "slots.json").write_bytes(checked({"slot": "a", "trial": "b", "tries": 0}))


def test_a_unit_as_it_was_flashed_runs_slot_a_and_writes_nothing(unit):
    assert start(unit) == (0, "a False\n")
    assert not (unit / "slots.json").exists()


def test_a_good_program_is_tried_confirmed_and_stays(unit):
    lay(unit, "b", CONFIRMS, 2)
    try_b(unit)
    assert start(unit) == (0, "b True\nconfirmed False\n")
    assert (state(unit)["slot"], state(unit)["trial"]) == ("b", "")
    assert start(unit)[1].startswith("b False\n")


def test_a_program_that_fails_three_times_is_given_up(unit):
    lay(unit, "b", BAD, 2)
    try_b(unit)
    for n in (1, 2, 3):
        code, said = start(unit)
        assert code == RESTART and said.startswith("bad\n") and "a defect" in said
        assert state(unit)["tries"] == n
    assert start(unit) == (0, "a False\n")
    assert (state(unit)["failed"], state(unit)["told"]) == (2, False)
    assert start(unit) == (0, "a False\n")


def test_a_program_that_never_says_that_it_is_well_is_given_up_too(unit):
    lay(unit, "b", GOOD, 2)
    try_b(unit)
    assert [start(unit)[1] for _ in range(4)] == ["b True\n"] * 3 + ["a False\n"]


def test_a_slot_that_is_not_whole_is_not_tried(unit):
    lay(unit, "b", GOOD, 2, whole=False)
    try_b(unit)
    assert start(unit) == (0, "a False\n")
    assert state(unit)["trial"] == ""


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", bytes(range(200, 240)), b"x" * 5_000])
def test_a_damaged_state_runs_what_is_whole(unit, damage):
    (unit / "slots.json").write_bytes(damage)
    assert start(unit) == (0, "a False\n")
    (unit / "a" / "program.json").unlink()
    lay(unit, "b", GOOD, 2)
    assert start(unit) == (0, "b False\n")


def test_the_program_in_force_that_fails_says_why(unit):
    lay(unit, "a", BAD, 1)
    code, _ = start(unit)
    assert code == 1
