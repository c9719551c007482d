"""`flagfall bench reader`, as an integrator uses it beside libnfc."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flagfall_host.bench.cards import catalogue
from flagfall_host.cli.bench_reader import reader

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys, typer
from flagfall_host.cli.bench_reader import reader
app = typer.Typer()
app.command()(reader)
app(sys.argv[1:])
"""


def start(*arguments):
    path = os.pathsep.join(str(ROOT / p) for p in ("host_tools", "firmware/lib"))
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_printed_line_works_and_ctrl_c_ends_it():
    name = catalogue.names()[0]
    program = start("--chip", "pn532", "--card", name)
    try:
        first = program.stdout.readline()
        line = program.stdout.readline()
        assert f"card: {name}" in first
        assert line.startswith("libnfc: LIBNFC_DEFAULT_DEVICE=pn532_uart:/dev/")
        setting, *command = line.removeprefix("libnfc: ").split()
        variable, value = setting.split("=", 1)
        done = subprocess.run(
            command,
            env={**os.environ, variable: value},
            capture_output=True,
            timeout=60,
            check=True,
            text=True,
        )
        assert "1 ISO14443A passive target(s) found:" in done.stdout
        program.send_signal(signal.SIGINT)
        rest, _ = program.communicate(timeout=30)
    finally:
        program.kill()
        program.wait()
    assert rest == "ended after 0 APDUs\n"
    assert program.returncode == 0


def test_an_unknown_card_is_refused_with_the_names_there_are():
    with pytest.raises(catalogue.NoSuchCard, match=catalogue.names()[0]):
        reader("pn532", "no such card")
