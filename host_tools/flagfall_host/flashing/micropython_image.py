"""MicroPython as its build leaves it: one file with everything, or the application alone.

`firmware.bin` begins at the boot loader's place and holds boot loader, partition table and
application; `micropython.bin` is the application only. Header: ESP-IDF Programming Guide, "App
Image Format": magic E9 at 0, the chip's number as u16 at 12.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from flagfall_host.flashing import partition_table
from flagfall_host.flashing.board_folder import BoardFolder
from flagfall_host.flashing.errors import InputError, WrongChip

_MAGIC = 0xE9
_HEADER = 24
_CHIP_ID_AT = 12
_TABLE_MAGIC = b"\xaa\x50"


@dataclass(frozen=True)
class MicroPythonImage:
    """What goes into flash; `boot_loader` is None if the file was the application alone."""

    application: bytes
    boot_loader: bytes | None


def read_image(path: Path, board: BoardFolder) -> MicroPythonImage:
    """Read and check a MicroPython build. Raises InputError or WrongChip."""
    try:
        data = path.read_bytes()
    except OSError as e:
        raise InputError(f"no firmware file {path}: {e.strerror}") from e
    _check_header(data, path, board)
    table_at = partition_table.TABLE_OFFSET - board.boot_loader_offset
    image = MicroPythonImage(data, None)
    if data[table_at : table_at + 2] == _TABLE_MAGIC:
        rows = partition_table.from_binary(data[table_at:])
        apps = [row for row in rows if row.type == partition_table.APP]
        if not apps:
            raise InputError(f"{path}: its partition table has no application")
        start = min(row.offset for row in apps) - board.boot_loader_offset
        application = data[start:]
        _check_header(application, path, board)
        image = MicroPythonImage(application, data[:table_at].rstrip(b"\xff"))
    room = board.partition("ota_0").size
    if len(image.application) > room:
        raise InputError(
            f"{path}: the application has {len(image.application)} bytes, its partition {room}"
        )
    return image


def _check_header(data: bytes, path: Path, board: BoardFolder) -> None:
    if len(data) < _HEADER or data[0] != _MAGIC:
        raise InputError(f"{path} is not a MicroPython build: take firmware.bin")
    (chip_id,) = struct.unpack_from("<H", data, _CHIP_ID_AT)
    if chip_id != board.chip_id:
        raise WrongChip(f"{path} is not made for the {board.chip} of board {board.name}")
