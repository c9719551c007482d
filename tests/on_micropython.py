"""Where tests find MicroPython, and the environment in which it finds the firmware's sources."""

import os
import sys
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
MICROPYTHON = Path(sys.executable).with_name("micropython")


def micropython_environment(*more: str) -> dict[str, str]:
    """The environment; `more` folders of the project come last."""
    path = [".frozen", "firmware", "firmware/lib", "boards/bench", "tests", *more]
    places = [p if p.startswith(".") else str(ROOT / p) for p in path]
    return {**os.environ, "MICROPYPATH": ":".join(places)}
