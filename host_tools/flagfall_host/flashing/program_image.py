"""The taximeter's program as a littlefs image for the "vfs" partition.

The geometry is the one with which MicroPython mounts: 4096-byte blocks, read and program size 32,
cache 128, look-ahead 32.
"""

from pathlib import Path
from typing import Any

from littlefs import LittleFS, LittleFSError

from flagfall_host.flashing.board_folder import BoardFolder
from flagfall_host.flashing.errors import InputError
from flagfall_host.flashing.program_files import unit_files

BLOCK = 4096
GEOMETRY: dict[str, Any] = {
    "read_size": 32,
    "prog_size": 32,
    "cache_size": 128,
    "lookahead_size": 32,
}


def compile_program(board: BoardFolder) -> dict[str, bytes]:
    """Path on the unit -> content of every file of the program. Raises BuildError."""
    return unit_files(board.name)


def pack(files: dict[str, bytes], size: int) -> bytes:
    """A littlefs of `size` bytes with `files` in it. Raises InputError if they do not fit."""
    fs = LittleFS(block_size=BLOCK, block_count=size // BLOCK, block_cycles=100, **GEOMETRY)
    try:
        for name in sorted(files):
            parent = Path(name).parent.as_posix()
            if parent != ".":
                fs.makedirs(parent, exist_ok=True)
            with fs.open(name, "wb") as f:
                f.write(files[name])
    except LittleFSError as e:
        total = sum(map(len, files.values()))
        raise InputError(f"the program ({total} bytes) does not fit {size} bytes: {e}") from e
    return bytes(fs.context.buffer)
