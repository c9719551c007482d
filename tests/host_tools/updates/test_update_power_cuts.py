"""An update is pushed, tried and confirmed, and the power goes at every program and erase."""

import os
import subprocess
from pathlib import Path

from on_micropython import MICROPYTHON, ROOT, micropython_environment

EVERY = 1 if os.environ.get("FLAGFALL_SOAK") else 29
SCRIPT = Path(__file__).with_name("update_power_cuts.py")


def test_the_old_or_the_new_program_starts_whole_after_every_cut() -> None:
    run = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=16M", SCRIPT, str(EVERY)],
        env=micropython_environment("firmware/boot"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3_000,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2_000:] + run.stderr[-2_000:]
    cuts, old, new, resumed = map(int, run.stdout.splitlines()[-1].split())
    assert cuts > 600 / EVERY and old and new and resumed
