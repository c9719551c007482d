"""`make deploy` with the real mpremote, at the prompt of a bench unit; then the unit starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench_taxi import Garage
from flagfall.link import messages
from flagfall_host.bench.prompt import Prompt
from flagfall_host.depot.link import Link
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.flashing.deploy import deploy
from flagfall_host.flashing.errors import FlashError, NoAnswer
from flagfall_host.flashing.program_files import slot_files

FLAGFALL = Path(sys.executable).with_name("flagfall")
MPREMOTE = Path(sys.executable).with_name("mpremote")


def test_what_changed_is_copied_and_the_unit_runs_it(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path, slots=True) as taxi:
        program = tmp_path / "program"
        (program / "a" / "unit.mpy").write_bytes(b"half a file")
        (program / "a" / "app" / "gone.mpy").write_bytes(b"a module that is no more")
        with Prompt(program) as prompt:
            run = subprocess.run(
                [FLAGFALL, "deploy", "--port", prompt.path, "--board", "bench"],
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            assert run.returncode == 0, run.stdout + run.stderr
            total = len(slot_files("bench"))
            words = f"1 of {total} files copied to slot a, 1 taken away"
            assert run.stdout.startswith(words), run.stdout
            assert prompt.reset.wait(10)
        assert not (program / "a" / "app" / "gone.mpy").exists()
        taxi.unit.power_on()
        taxi.world.run(500)
        with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
            link.open()
            info = link.ask(messages.INFO)
        assert info["program"]["release"] == 0  # type: ignore[index]
        assert taxi.face["position"] == "FOR HIRE"


def test_a_prompt_serves_mpremote(garage: Garage, tmp_path: Path) -> None:
    """A soft reset before each command, an endless loop that is interrupted, an exception."""
    with garage.taxi(tmp_path, slots=True), Prompt(tmp_path / "program") as prompt:

        def mpremote(*words: str) -> tuple[int, str]:
            run = subprocess.run(
                [MPREMOTE, "connect", prompt.path, *words],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            return run.returncode, run.stdout + run.stderr

        assert mpremote("exec", "print(6 * 7)") == (0, "42\n")
        assert mpremote("exec", "x = 1", "soft-reset", "exec", "print('x' in globals())") == (
            0,
            "False\n",
        )
        assert mpremote("exec", "--no-follow", "while True: pass")[0] == 0
        assert mpremote("eval", "1 + 1")[1].strip().endswith("2")
        code, said = mpremote("exec", "raise ValueError('no')")
        assert code == 1 and "ValueError: no" in said
        assert "chooser.mpy" in mpremote("fs", "ls", ":")[1]


def test_no_prompt_and_no_chooser(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer, match="hold BOOT"):
        deploy(str(tmp_path / "nothing"), "bench")
    with Prompt(tmp_path) as prompt, pytest.raises(FlashError, match="flash the unit once"):
        deploy(prompt.path, "bench")


def test_the_makefile_says_what_it_needs() -> None:
    root = Path(__file__).parents[3]
    run = subprocess.run(
        ["make", "-n", "deploy", "PORT=/dev/x", "BOARD=bench", "setup="],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "MAKEFLAGS": ""},
        check=True,
    )
    assert "flagfall deploy --port /dev/x --board bench" in run.stdout
