"""The unit's reader drivers, imported from where they stand: firmware/drivers."""

import sys
from pathlib import Path

import flagfall

# Beside `flagfall` itself, which is installed from there, the drivers are no package of the host.
_FIRMWARE = str(Path(flagfall.__file__).parents[2])
if _FIRMWARE not in sys.path:
    sys.path.append(_FIRMWARE)

from drivers.fm175xx import FM175xx  # noqa: E402
from drivers.mfrc522 import MFRC522  # noqa: E402
from drivers.mfrc522_spi import RegisterBus  # noqa: E402
from drivers.pn532 import PN532  # noqa: E402
from drivers.pn532_hsu import HSU  # noqa: E402
from drivers.reader import CardLost, ReaderError  # noqa: E402

__all__ = ["HSU", "MFRC522", "PN532", "CardLost", "FM175xx", "ReaderError", "RegisterBus"]
