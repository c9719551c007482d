"""Flashing a unit: what goes where, then one run of esptool that writes and verifies it all."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flagfall_host.flashing import esptool_program
from flagfall_host.flashing.board_folder import BoardFolder
from flagfall_host.flashing.micropython_image import read_image
from flagfall_host.flashing.partition_table import TABLE_OFFSET
from flagfall_host.flashing.program_image import BLOCK, compile_program, pack


@dataclass(frozen=True)
class Region:
    """A stretch of flash to write."""

    name: str
    offset: int
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Flashed:
    """What was written and verified, and the chip's own number."""

    regions: tuple[Region, ...]
    mac: str


Progress = Callable[[Region, float], None]  # percent of the region


def plan(board: BoardFolder, firmware: Path | None, *, blank_config: bool = False) -> list[Region]:
    """The regions for `board`, in the order in which they are written.

    The program comes first and the boot loader last, so that a chip that was new never starts
    half of it. With `firmware` (a MicroPython build) the boot loader, the application and blank
    OTA data are written too: the chip then starts from ota_0. `blank_config` forgets the small
    files: the unit waits for its identity again. The journal is never among the regions.
    Raises InputError, WrongChip, BuildError.
    """
    image = read_image(firmware, board) if firmware is not None else None
    vfs = board.partition("vfs")
    regions = [Region("program", vfs.offset, pack(compile_program(board), vfs.size))]
    if blank_config:
        config = board.partition("config")
        # A littlefs lives by its first two blocks; the board formats what begins with FF.
        regions.append(Region("blank config", config.offset, b"\xff" * 2 * BLOCK))
    if image is not None:
        otadata = board.partition("otadata")
        regions.append(Region("micropython", board.partition("ota_0").offset, image.application))
        regions.append(Region("blank otadata", otadata.offset, b"\xff" * otadata.size))
    regions.append(Region("partition table", TABLE_OFFSET, board.table))
    if image is not None and image.boot_loader is not None:
        regions.append(Region("boot loader", board.boot_loader_offset, image.boot_loader))
    return regions


def write(
    board: BoardFolder,
    port: str,
    regions: list[Region],
    *,
    baud: int = esptool_program.BAUD,
    erase: bool = False,
    progress: Progress | None = None,
) -> Flashed:
    """Write `regions` to the unit on `port` and verify them.

    `erase` erases the whole flash first, the journal and all. Raises FlashError's family.
    """

    def seen(address: int, percent: float) -> None:
        if progress is None:
            return
        for region in regions:
            if region.offset <= address <= region.offset + len(region.data):
                progress(region, percent)
                return

    with tempfile.TemporaryDirectory(prefix="flagfall-flash-") as folder:
        files = []
        for number, region in enumerate(regions):
            path = Path(folder) / f"{number}.bin"
            path.write_bytes(region.data)
            files.append((region.offset, path))
        run = esptool_program.write_flash(
            port, board.chip, files, baud=baud, erase=erase, progress=seen
        )
    return Flashed(tuple(regions), run.mac)
