"""What the host needs to know of a board, read from the board's own folder."""

import json
from dataclasses import dataclass

from flagfall_host.bench.firmware_build import ROOT
from flagfall_host.flashing import partition_table
from flagfall_host.flashing.errors import InputError
from flagfall_host.flashing.partition_table import Partition

BOARDS = ROOT / "boards"
REFERENCE = "esp32s3_taxi"
FAMILY = "esp32"  # what all boards with an ESP32 share
_FLASH_SIZE = "CONFIG_ESPTOOLPY_FLASHSIZE_"
# Where the ROM looks for the boot loader (ESP-IDF Programming Guide, "Bootloader"), and the
# chip's number in the header of an application image.
_BOOT_LOADERS = {"esp32": 0x1000, "esp32s3": 0x0}
_CHIP_IDS = {"esp32": 0, "esp32s3": 9}


@dataclass(frozen=True)
class BoardFolder:
    """A board: its chip as esptool names it, its flash and its partition table."""

    name: str
    chip: str
    flash_bytes: int
    partitions: tuple[Partition, ...]

    @property
    def boot_loader_offset(self) -> int:
        return _BOOT_LOADERS[self.chip]

    @property
    def chip_id(self) -> int:
        return _CHIP_IDS[self.chip]

    @property
    def table(self) -> bytes:
        return partition_table.to_binary(list(self.partitions))

    def partition(self, label: str) -> Partition:
        return partition_table.find(list(self.partitions), label)

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """(source folder, folder on the unit), for firmware_build."""
        shared = f"boards/{FAMILY}"
        return (("firmware", ""), ("firmware/lib", ""), (shared, ""), (f"boards/{self.name}", ""))


def known_boards() -> list[str]:
    """The names of the boards that can be flashed."""
    return sorted(path.parent.name for path in BOARDS.glob("*/partitions.csv"))


def read_board(name: str) -> BoardFolder:
    """The board `name`, with its partition table checked. Raises InputError."""
    if name not in known_boards():
        raise InputError(f"no board {name!r}: there are {', '.join(known_boards())}")
    folder = BOARDS / name
    try:
        chip = json.loads((folder / "board.json").read_text(encoding="utf-8"))["mcu"]
        settings = (folder / "sdkconfig.board").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, KeyError) as e:
        raise InputError(f"board {name}: {e}") from e
    if chip not in _BOOT_LOADERS:
        raise InputError(f"board {name}: chip {chip} is not one that Flagfall can flash")
    flash_bytes = 0
    for line in settings:
        if line.startswith(_FLASH_SIZE) and line.endswith("MB=y"):
            flash_bytes = int(line[len(_FLASH_SIZE) : -len("MB=y")]) * 1024 * 1024
    if not flash_bytes:
        raise InputError(f"board {name}: sdkconfig.board does not say how large the flash is")
    rows = partition_table.read_csv(folder / "partitions.csv")
    partition_table.check(rows, flash_bytes)
    return BoardFolder(name, chip, flash_bytes, tuple(rows))
