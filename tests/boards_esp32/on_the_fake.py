"""MicroPython with the reference board's fake chip beneath it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from flagfall_host.flashing.board_folder import read_board

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
FAKES = Path(__file__).parent / "fake_esp32s3"
# The fake chip and its flash, written in Python, share the heap with the firmware and fill it with
# rubbish while modules are imported through them, when nothing is collected. The heap that the
# firmware itself needs is measured by tests/bench/bench_heap.py.
HEAP = "3M"
MICROPYTHON = Path(sys.executable).with_name("micropython")


def environment(folder: Path, places: list[Path]) -> dict[str, str]:
    """The environment: modules from `places` and the fakes, flash files in `folder`."""
    rows = [[p.label, p.type, p.subtype, p.size] for p in read_board("esp32s3_taxi").partitions]
    flash = folder / "partitions.json"
    used = ("journal", "trips", "config", "lists")
    flash.write_text(json.dumps([r for r in rows if r[0] in used]))
    path = [str(FAKES), ".frozen", *map(str, places), str(ROOT / "boards" / "bench")]
    return {**os.environ, "MICROPYPATH": ":".join(path), "FLAGFALL_FAKE_FLASH": str(flash)}


def run_checks(script: Path, folder: Path) -> str:
    """Run the test functions of `script` in MicroPython and return what it printed."""
    places = [
        ROOT / "boards" / "esp32s3_taxi",
        ROOT / "firmware",
        ROOT / "firmware" / "lib",
        TESTS,
    ]
    run = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=8M", TESTS / "run_on_micropython.py", script],
        env=environment(folder, places),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    return run.stdout.decode("utf-8", "replace")
