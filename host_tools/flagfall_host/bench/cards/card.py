"""What a reader chip sees of a card: ISO/IEC 14443-3 identity, type A or B, and whole APDUs."""

from flagfall.iso14443b import Atqb
from flagfall.iso_dep import Ats


class CardLeft(Exception):
    """The card is no longer in the field; nothing answered."""


class Card:
    """An ISO/IEC 14443-4 card behind the chip's own ISO-DEP, type A unless `kind` is "B".

    Type A: `uid`, `sens_res` is ATQA as the PN532 reports it (2 bytes), `sel_res` is SAK (0x20:
    ISO 14443-4), `ats` is the whole answer to RATS, TL first. Type B: `uid` is the PUPI (4
    bytes), `app_data` and `protocol_info` (4 and 3 bytes) are the rest of its ATQB.
    """

    name = "card"
    kind = "A"
    uid: bytes = bytes.fromhex("08A1B2C3")
    sens_res: bytes = bytes.fromhex("0004")
    sel_res: int = 0x20
    ats: bytes = bytes.fromhex("0578807002")
    app_data: bytes = bytes.fromhex("00000000")
    protocol_info: bytes = bytes.fromhex("008171")  # 106 kbit/s, 256 bytes, ISO 14443-4, FWI 7

    @property
    def atqb(self) -> bytes:
        """The 12 bytes of ATQB."""
        return b"\x50" + self.uid + self.app_data + self.protocol_info

    @property
    def fsc(self) -> int:
        """The longest frame that the card takes, bytes with PCB and CRC."""
        return Atqb(self.atqb).fsc if self.kind == "B" else Ats(self.ats).fsc

    @property
    def fwi(self) -> int:
        """The code of the card's frame waiting time."""
        return Atqb(self.atqb).fwi if self.kind == "B" else Ats(self.ats).fwi

    def identify_as(self, other: "Card") -> None:
        """Show on the air what `other` shows."""
        self.kind, self.uid = other.kind, other.uid
        self.sens_res, self.sel_res, self.ats = other.sens_res, other.sel_res, other.ats
        self.app_data, self.protocol_info = other.app_data, other.protocol_info

    def field_on(self) -> None:
        """The field came up: the card starts with no application selected."""

    def field_off(self) -> None:
        """Power is gone: all volatile state is lost."""

    def apdu(self, command: bytes) -> bytes:
        """Answer one whole command APDU with response data and SW1 SW2."""
        raise NotImplementedError
