"""MicroPython with a board's fake chip beneath it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from flagfall_host.flashing.board_folder import FAMILY, REFERENCE, read_board

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
FAKES = Path(__file__).parent / "fake_esp32"
# The fake chip and its flash, written in Python, share the heap with the firmware and fill it with
# rubbish while modules are imported through them, when nothing is collected. The heap that the
# firmware itself needs is measured by tests/bench/bench_heap.py.
HEAP = "3M"
MICROPYTHON = Path(sys.executable).with_name("micropython")


def environment(folder: Path, places: list[Path], name: str = REFERENCE) -> dict[str, str]:
    """The environment of board `name`: modules from `places` and the fakes, flash in `folder`."""
    board = read_board(name)
    rows = [[p.label, p.type, p.subtype, p.size] for p in board.partitions]
    flash = folder / "partitions.json"
    used = ("journal", "trips", "config", "lists")
    flash.write_text(json.dumps([r for r in rows if r[0] in used]))
    path = [str(FAKES), ".frozen", *map(str, places), str(ROOT / "boards" / "bench")]
    return {
        **os.environ,
        "MICROPYPATH": ":".join(path),
        "FLAGFALL_FAKE_FLASH": str(flash),
        "FLAGFALL_FAKE_CHIP": board.chip,
    }


def run_checks(script: Path, folder: Path, name: str = REFERENCE) -> str:
    """Run the test functions of `script` in MicroPython and return what it printed."""
    places = [
        ROOT / "boards" / name,
        ROOT / "boards" / FAMILY,
        ROOT / "firmware",
        ROOT / "firmware" / "lib",
        TESTS,
    ]
    run = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=8M", TESTS / "run_on_micropython.py", script],
        env=environment(folder, places, name),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    return run.stdout.decode("utf-8", "replace")
