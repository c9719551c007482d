# ISO/IEC 14443-3 type B seen from the reader: checksum, and the way from WUPB to ATTRIB.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# For chips that leave the protocol to us. The procedure is that of EMV Contactless Book D, 9.4:
# one slot, a collision is not resolved, neither CID nor higher bit rates are used.

from flagfall.iso14443a import CardError, Collision, crc_a
from flagfall.iso_dep import DEFAULT_FWI, FRAME_SIZES, microseconds

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_APF = const(0x05)  # first byte of REQB and WUPB
_WUPB = const(0x08)  # PARAM b4: halted cards too
_ATQB = const(0x50)
_ATTRIB = const(0x1D)
_HLTB = const(0x50)
_ATQB_LENGTH = const(12)
_PROTOCOL_4 = const(0x01)  # protocol type b1: the card is ISO/IEC 14443-4
_PROTOCOL_RFU = const(0x08)  # b4: reserved, the reader shall not go on
_RETRIES = const(2)  # repetitions of one command after silence or damage

ATQB_US = const(1000)  # FWT of ATQB, 7680/fc = 566 us; the rest is for slow poll loops
_D_FWT = const(49152)


def crc_b(data):
    """CRC_B of `data` as the two bytes that follow it on the air (ISO/IEC 14443-3, annex B)."""
    low, high = crc_a(data, 0xFFFF)
    return bytes((low ^ 0xFF, high ^ 0xFF))


def reqb(afi=0, wake=True):
    """WUPB, or REQB (not for halted cards) without `wake`; one slot, no extended ATQB.

    `afi`: the application family that is asked for, 0 for all (7.7.3).
    """
    return bytes((_APF, afi, _WUPB if wake else 0))


def hltb(pupi):
    """The command that sends one card to HALT; it answers 00 (7.12)."""
    return bytes((_HLTB,)) + pupi


class Atqb:
    """What an answer to request says: `atqb` (11 bytes, from PUPI on), `pupi` (4 bytes), `fsc`
    (longest block the card takes, bytes with CRC), `fwi`, `protocol` (type nibble), `iso_dep`.

    `answer` are the 12 bytes of ATQB without CRC, 50 first. Raises CardError.
    """

    def __init__(self, answer):
        if len(answer) != _ATQB_LENGTH or answer[0] != _ATQB:
            raise CardError("ATQB %s" % answer[:13].hex())
        self.atqb = answer[1:]
        self.pupi = answer[1:5]
        self.fsc = FRAME_SIZES[min(answer[10] >> 4, 8)]
        self.protocol = answer[10] & 0x0F
        fwi = answer[11] >> 4
        self.fwi = fwi if fwi != 15 else DEFAULT_FWI

    @property
    def iso_dep(self):
        """Whether the card takes ISO/IEC 14443-4 blocks."""
        return self.protocol & (_PROTOCOL_4 | _PROTOCOL_RFU) == _PROTOCOL_4


class Activation:
    """Asks for the frames that activate one type B card, and reads the answers.

    Send `tx` with CRC_B, wait `timeout_us` for the first bit of the answer, and call `step` with
    what came, until it returns False. Then `card` is its Atqb, or None if no card answered; a
    card that is not `iso_dep` is left as it answered.
    """

    def __init__(self, fsdi):
        """`fsdi`: the code of the longest frame the reader takes, 0 to 8 (16 to 256 bytes)."""
        self.card = None
        self._fsdi = fsdi
        self._left = _RETRIES
        self.tx = reqb()
        self.timeout_us = ATQB_US

    def step(self, rx):
        """Take the answer without CRC (None: silence, b"": damaged). Return True to go on.

        Raises CardError, Collision.
        """
        if not rx:
            if rx is None and self.card is None:
                return False  # nobody there
            if not self._left:
                if self.card is None:
                    # In one slot, two cards differ from noise only in that they persist.
                    raise Collision("two cards in the field")
                raise CardError("the card does not answer its selection")
            self._left -= 1
            return True
        self._left = _RETRIES
        if self.card is None:
            return self._on_atqb(rx)
        if rx[0] & 0x0F:
            raise CardError("ATTRIB answered with CID %d" % (rx[0] & 0x0F))
        return False

    def _on_atqb(self, rx):
        self.card = Atqb(rx)
        if not self.card.iso_dep:
            return False
        # PUPI, TR0 and TR1 as the card likes, our frame size at 106 kbit/s, its protocol, CID 0.
        options = bytes((0x00, self._fsdi, self.card.protocol, 0x00))
        self.tx = bytes((_ATTRIB,)) + self.card.pupi + options
        self.timeout_us = microseconds((4096 << self.card.fwi) + _D_FWT)
        return True
