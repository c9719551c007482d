"""Fudan FM175xx as its host sees it: an MFRC522 that also speaks type B.

No data sheet is public; the registers beyond the MFRC522's are those of NXP's PN512, with which
the public drivers of the chip agree.
"""

from flagfall.iso14443b import crc_b

from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.mfrc522 import MODE, TX_ASK, TX_MODE, MFRC522Chip
from flagfall_host.bench.reader.picc import Manners

TYPE_B = 0x1E
_FRAMING_B = 0x03
_FORCE_100_ASK = 0x40
_PRESET_B = 0x03


class FM175xxChip(MFRC522Chip):
    """An FM17522 (`version` 0x88) before a `Field`."""

    reset_values = {**MFRC522Chip.reset_values, TYPE_B: 0x00}

    def __init__(self, field: Field, manners: Manners | None = None, version: int = 0x88) -> None:
        super().__init__(field, manners, version)

    def _modulation(self) -> str:
        # 100 % ASK is what type A hears, type B only a field that dips.
        deep = self._registers.get(TX_ASK, 0) & _FORCE_100_ASK
        if self._registers.get(TX_MODE, 0) & 0x03 != _FRAMING_B:
            return super()._modulation() if deep else ""
        return "" if deep else "B"

    def _crc(self, data: bytes, kind: str) -> bytes:
        if kind == "B" and self._registers[MODE] & 0x03 == _PRESET_B:
            return crc_b(data)
        return super()._crc(data, kind)
