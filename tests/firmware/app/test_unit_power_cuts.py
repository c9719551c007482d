"""Journal, checkpoints and small files lose power together, at every program and erase.

The lives, and what is checked after each cut, are in tests/unit_cuts.py; it runs in MicroPython,
with the real littlefs. FLAGFALL_SOAK=1 tries them all.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
ROOT = TESTS.parent
MICROPYTHON = Path(sys.executable).with_name("micropython")
PLACES = ("firmware", "firmware/lib", "boards/bench", "tests")
SOAK = bool(os.environ.get("FLAGFALL_SOAK"))
BUGS = Path(__file__).with_name("unit_bug_checks.py")
MODES = {"b": "before", "t": "torn", "g": "garbage", "h": "half erase"}


def micropython(script: Path, *words: object, seconds: float = 120) -> tuple[int, str]:
    """Run `script` and return its exit code and what it printed."""
    run = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=4M", script, *(str(word) for word in words)],
        env={**os.environ, "MICROPYPATH": ":".join([".frozen", *(str(ROOT / p) for p in PLACES)])},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        check=False,
    )
    return run.returncode, run.stdout.decode("utf-8", "replace")


def cuts_of(*words: object, seconds: float = 120) -> int:
    """Try the cuts and return how many there were."""
    code, output = micropython(TESTS / "unit_cuts.py", *words, seconds=seconds)
    assert code == 0, output[-3000:]
    said = output.splitlines()[-1]
    print(said)
    return int(said.split(" cuts")[0].split()[-1])


def test_the_life_meets_everything():
    for faulty, seed in (("", 2), ("f", 2), ("s", 3)):
        code, output = micropython(TESTS / "unit_cuts.py", "meets", seed, 60, faulty)
        assert code == 0, output
        met = ast.literal_eval(output.splitlines()[-1])
        print(met)
        assert met["retired"] if faulty else met["journal wrapped"] and met["checkpoints wrapped"]
        assert met["full"] and met["receipts"] and met["files"] >= 3
        assert met["card payments"] >= 2 and met["trips"] >= 5


@pytest.mark.timeout(3600 if SOAK else 150)
@pytest.mark.parametrize("mode", MODES, ids=MODES.get)
@pytest.mark.parametrize("seed", range(1, 13) if SOAK else (1,))
def test_every_operation(seed: int, mode: str) -> None:
    assert cuts_of("depth1", seed, 70 if SOAK else 28, mode, seconds=1800) >= 100


@pytest.mark.timeout(3600 if SOAK else 150)
@pytest.mark.parametrize("fault", ("f", "s"), ids=("sectors", "stuck-bits"))
@pytest.mark.parametrize("seed", range(20, 26) if SOAK else (20,))
def test_every_operation_on_flash_that_fails(seed: int, fault: str) -> None:
    modes = "btgh" if SOAK else "g"
    assert cuts_of("depth1", seed, 50 if SOAK else 28, modes, fault, seconds=1800) >= 80


@pytest.mark.timeout(7200 if SOAK else 150)
def test_pairs_of_operations() -> None:
    assert cuts_of("depth2", 2, 14, 1 if SOAK else 149, seconds=3600) >= 100


@pytest.mark.timeout(7200 if SOAK else 150)
def test_random_depth() -> None:
    assert cuts_of("random", 7, 6000 if SOAK else 60, seconds=3600) >= 100


def test_a_life_that_once_broke_a_promise() -> None:
    # A trip without room for its record, driven on after the power cut that kept it open.
    code, output = micropython(
        TESTS / "unit_cuts.py", "34126/70/49h.4h.34h.54b.39h.4b.44g.29t/f", "2/30/58t"
    )
    assert code == 0 and output.count("holds") == 2, output


@pytest.fixture(scope="module")
def bugs() -> str:
    return micropython(TESTS / "run_on_micropython.py", BUGS)[1]


def _bug_names() -> list[str]:
    nodes = ast.parse(BUGS.read_text(encoding="utf-8")).body
    return [n.name for n in nodes if isinstance(n, ast.FunctionDef) and n.name[:5] == "test_"]


@pytest.mark.parametrize("name", _bug_names())
def test_deliberate_bug(bugs: str, name: str) -> None:
    assert f"ok {name}" in bugs.splitlines(), bugs[-3000:]
