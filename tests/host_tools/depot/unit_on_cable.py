"""Starts link_unit.py on a cable, and `flagfall unit` commands beside it, as processes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
MICROPYTHON = Path(sys.executable).with_name("micropython")
SCRIPT = Path(__file__).with_name("link_unit.py")
# What cli.main does with these two groups, without loading the others.
_COMMAND = """
import sys, typer
from flagfall_host.cli import fleet, unit
from flagfall_host.errors import FlagfallError
app = typer.Typer(pretty_exceptions_enable=False)
app.add_typer(unit.app, name="unit")
app.add_typer(fleet.app, name="fleet")
try:
    app()
except FlagfallError as e:
    sys.stderr.write(f"flagfall: {e}\\n")
    sys.exit(e.exit_code)
"""


@contextlib.contextmanager
def unit_on(
    port: str, key: bytes | None, records: int = 0, size: int = 150, kind: str = "events"
) -> Iterator[str]:
    """A unit in MicroPython that answers on `port`; without a key it is in factory state.

    Gives the SHA-256 of its records, in hex.
    """
    words = [port, str(records), str(size), "factory" if key is None else key.hex(), kind]
    process = subprocess.Popen(
        [MICROPYTHON, "-X", "heapsize=32M", SCRIPT, *words],
        env={**os.environ, "MICROPYPATH": ".frozen:firmware:boards/bench:firmware/lib:tests"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        word, _, digest = process.stdout.readline().decode().partition(" ")
        assert word == "ready", "the unit did not start"
        yield digest.strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def flagfall(*words: str | Path) -> subprocess.Popen[bytes]:
    """Start a `flagfall` command."""
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, *(str(word) for word in words)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'host_tools'}:{ROOT / 'firmware/lib'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes], seconds: float = 60) -> tuple[int, str, str]:
    """Wait for a command: exit code, stdout, stderr."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out.decode(), err.decode()
