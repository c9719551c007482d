"""A board's program as files: those of a slot, and what stands beside the two slots.

MicroPython runs `main.py` at start, as source only; the chooser beside it starts the program of a
slot (firmware/boot, docs/update.md). firmware/main.py is `taximeter.mpy` there, since `main` is
taken.
"""

import binascii
import json

from flagfall import VERSION, bundle
from flagfall.meter import identity

from flagfall_host.bench import firmware_build
from flagfall_host.flashing.board_folder import read_board

BENCH = "bench"
FIRST_SLOT = "a"
WORKSHOP = 0  # the release of a program that no bundle brought
_BOOT = (("firmware/boot", ""),)


def slot_files(board: str) -> dict[str, bytes]:
    """Path in a slot -> content of every compiled file. Raises InputError, BuildError."""
    places: tuple[tuple[str, str], ...] = firmware_build.PLACES
    if board == BENCH:
        folder = firmware_build.build()
    else:
        described = read_board(board)
        places = described.places
        folder = firmware_build.build(
            firmware_build.ROOT / "build" / "boards" / board, places, ("-march=xtensawin",)
        )
    files = {}
    for _, compiled in firmware_build.sources(places):
        name = compiled.as_posix()
        files["taximeter.mpy" if name == "main.mpy" else name] = (folder / compiled).read_bytes()
    return files


def boot_files() -> dict[str, bytes]:
    """What stands beside the slots: main.py and the chooser. Raises BuildError."""
    folder = firmware_build.build(firmware_build.ROOT / "build" / "boot", _BOOT)
    launcher = firmware_build.ROOT / "firmware" / "boot" / "main.py"
    return {
        "main.py": launcher.read_bytes(),
        "chooser.mpy": (folder / "chooser.mpy").read_bytes(),
    }


def metrology(files: dict[str, bytes]) -> bytes:
    """The hash of the metrology set among the files of a slot, as a unit computes it."""
    return identity.fingerprint(
        lambda name: (files[f"{bundle.METROLOGY}{name}{bundle.SUFFIX}"],), identity.FILES
    )


def mark(board: str, files: dict[str, bytes], release: int = WORKSHOP) -> bytes:
    """program.json, which says that a slot is whole."""
    fields = {
        "release": release,
        "version": VERSION,
        "board": board,
        "metrology": metrology(files).hex(),
    }
    blob = json.dumps(fields).encode()
    return blob + b"%08x" % binascii.crc32(blob)


def unit_files(board: str) -> dict[str, bytes]:
    """Path on the unit -> content: the chooser, and the program in the first slot."""
    files = slot_files(board)
    inside = {f"{FIRST_SLOT}/{name}": content for name, content in files.items()}
    return boot_files() | inside | {f"{FIRST_SLOT}/program.json": mark(board, files)}
