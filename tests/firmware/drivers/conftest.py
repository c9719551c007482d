"""Drivers are tested against simulated chips: in one process, and from the real MicroPython."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flagfall_host.bench.cards.card import Card

ROOT = Path(__file__).parents[3]
MICROPYTHON = Path(sys.executable).with_name("micropython")


class EchoCard(Card):
    """Answers every command with the command itself and 9000; counts what it executed."""

    name = "echo"

    def __init__(self) -> None:
        self.executed: list[bytes] = []
        self.powered = 0

    def field_on(self) -> None:
        self.powered += 1

    def apdu(self, command: bytes) -> bytes:
        self.executed.append(command)
        return command + b"\x90\x00"


@pytest.fixture
def card() -> EchoCard:
    return EchoCard()


@pytest.fixture
def on_micropython(tmp_path):
    """Run a program on MicroPython as the bench unit would see it; return what it printed."""

    def run(program: str, *arguments: str) -> str:
        file = tmp_path / "program.py"
        file.write_text(program)
        path = [".frozen", *(str(ROOT / p) for p in ("firmware", "firmware/lib", "boards/bench"))]
        done = subprocess.run(
            [MICROPYTHON, "-X", "heapsize=512K", file, *arguments],
            env={**os.environ, "MICROPYPATH": ":".join(path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run
