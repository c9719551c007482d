"""What stood in flash when a test failed, kept with the commands to see it again."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "flash-failures"
_CHIPS = ("journal", "trips")


def keep(nodeid: str, error: pytest.ExceptionInfo[BaseException]) -> str:
    """Keep every flash that a function of the traceback had in hand; say where, and what to do.

    That is each simulated chip, whatever holds one as `flash`, and the partitions of each bench
    taxi. Empty if there was none.
    """
    prefix = re.sub(r"[^\w.-]+", "_", nodeid.split("/")[-1])
    kept: list[Path] = []
    seen: set[int] = set()
    for entry in error.traceback:
        for name, value in entry.frame.f_locals.items():
            for chip, content in _flash_in(name, value):
                if id(value) in seen or not chip.isidentifier():
                    continue
                FOLDER.mkdir(parents=True, exist_ok=True)
                path = FOLDER / f"{prefix}_{chip}.bin"
                if isinstance(content, Path):
                    shutil.copyfile(content, path)
                else:
                    path.write_bytes(content)
                kept.append(path)
            seen.add(id(value))
    if not kept:
        return ""
    lines = [f"{path.relative_to(ROOT)}" for path in dict.fromkeys(kept)]
    again = f".venv/bin/python -m pytest '{nodeid}'"
    look = f".venv/bin/flagfall journal inspect {lines[0]}"
    return "\n".join([*lines, f"run it again: {again}", f"look at it:   {look}"])


def _flash_in(name: str, value: Any) -> list[tuple[str, bytes | Path]]:
    kind = type(value).__name__
    if kind == "Taxi":
        files = [(chip, value.unit.folder / f"{chip}.flash") for chip in _CHIPS]
        return [(f"{name}_{chip}", path) for chip, path in files if path.exists()]
    flash = getattr(value, "flash", value) if kind != "module" else None
    data = getattr(flash, "data", None)
    if hasattr(flash, "erases_by_block") and isinstance(data, bytearray):
        return [(name, bytes(data))]
    return []
