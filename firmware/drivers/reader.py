# What every contactless reader driver offers, and the errors it may raise.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A reader is any object with these coroutines; times are milliseconds:
#
#   await reader.open()                 wake and configure the chip; the field stays off
#   await reader.field(on)              switch the RF field; off powers the card down
#   await reader.activate(timeout_ms)   look for a card; a Target in ISO/IEC 14443-4 state or None
#   await reader.transceive(apdu, work) one command APDU; the whole response with SW1 SW2
#   await reader.present()              is the activated card still there? True or False
#   await reader.release()              let the card go, so that it may be activated again
#
# `work()`, or None, does a piece of arithmetic and returns True while there may be more: it is
# called while the card is waited for, until there is an answer.
#
# `activate` returns None only when the time is up and no card was there. A command is never
# sent to a card twice by the driver's own doing once the chip may have passed it on: what
# remains unknown is raised, and the payment decides (EMV Contactless Book A: torn transaction).


class ReaderError(OSError):
    """The root of what may go wrong between the unit and a card; str() is one plain line."""

    def __str__(self):
        # MicroPython and CPython differ in how an OSError prints its only argument.
        return str(self.args[0]) if self.args else ""


class ReaderTimeout(ReaderError):
    """The reader chip itself does not answer: cable, supply, or a chip in the wrong mode."""


class ReaderProtocolError(ReaderError):
    """The reader chip answered with something that the protocol does not allow."""


class CardLost(ReaderError):
    """The card stopped answering, or no card is activated. The last command's fate is unknown."""


class CardProtocolError(CardLost):
    """The card answers, but with damaged or forbidden blocks, after all recovery was tried."""


class SeveralCards(ReaderError):
    """More than one ISO/IEC 14443-4 card is in the field: the passenger must present one."""


class Target:
    """An activated card: `uid` (4, 7 or 10 bytes; PUPI for type B), `atqa` (2 bytes as sent on
    the air, low byte first; for type B the 11 bytes of ATQB from PUPI on), `sak` (0 for type B),
    `ats` (TL first; b"" if the card is not an ISO/IEC 14443-4 card or is of type B), `kind`
    "A" or "B"."""

    def __init__(self, uid, atqa, sak, ats, kind="A"):
        self.uid = uid
        self.atqa = atqa
        self.sak = sak
        self.ats = ats
        self.kind = kind

    @property
    def takes_apdus(self):
        """True for an ISO/IEC 14443-4 card."""
        if self.kind == "B":
            return self.atqa[9] & 0x09 == 0x01  # protocol type of ATQB (ISO/IEC 14443-3, 7.9.4)
        return bool(self.sak & 0x20)
