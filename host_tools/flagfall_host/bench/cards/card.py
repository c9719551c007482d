"""What a reader chip sees of a card: ISO/IEC 14443-3 type A identity, ATS, and whole APDUs."""


class CardLeft(Exception):
    """The card is no longer in the field; nothing answered."""


class Card:
    """A type A, ISO/IEC 14443-4 card behind the chip's own ISO-DEP.

    `sens_res` is ATQA as the PN532 reports it (2 bytes), `sel_res` is SAK (0x20: ISO 14443-4),
    `ats` is the whole answer to RATS, TL first.
    """

    name = "card"
    uid: bytes = bytes.fromhex("08A1B2C3")
    sens_res: bytes = bytes.fromhex("0004")
    sel_res: int = 0x20
    ats: bytes = bytes.fromhex("0578807002")

    def field_on(self) -> None:
        """The field came up: the card starts with no application selected."""

    def field_off(self) -> None:
        """Power is gone: all volatile state is lost."""

    def apdu(self, command: bytes) -> bytes:
        """Answer one whole command APDU with response data and SW1 SW2."""
        raise NotImplementedError
