# Fudan FM175xx (FM17520, 22, 50, 80): an MFRC522's registers, and type B cards beside type A.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# No data sheet is public. The registers beyond the MFRC522's are those of NXP's PN512 (data sheet
# rev. 5.2, 9.2.2), with which public drivers of both chips agree; so do the values for type B.

from drivers.mfrc522 import (
    CONTROL,
    FIELD_MS,
    FSD,
    FSDI,
    MFRC522,
    MODE,
    MODE_A,
    RF_CFG,
    TX_ASK,
)
from drivers.reader import SeveralCards, Target
from flagfall.iso14443a import CardError, Collision
from flagfall.iso14443b import ATQB_US, Activation, hltb, reqb
from flagfall.iso_dep import Initiator

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_RX_THRESHOLD = const(0x18)
_TYPE_B = const(0x1E)  # b1..0 TxEGT: extra guard time between characters, etu
_GS_N = const(0x27)
_CW_GS_P = const(0x28)
_MOD_GS_P = const(0x29)  # with TX_ASK 0 this sets how deep type B is modulated

_FRAMING_A = const(0x00)  # TxMode and RxMode b1..0
_FRAMING_B = const(0x03)
_INITIATOR = const(0x10)
_MODE_B = const(0x3F)  # as MODE_A, CRC preset FFFF

# What the two types want of the analog part. An antenna is tuned with the last ones of B.
_SPEAK_A = (
    (TX_ASK, 0x40),
    (MODE, MODE_A),
    (_TYPE_B, 0x00),
    (_RX_THRESHOLD, 0x84),
    (_GS_N, 0x88),
    (_CW_GS_P, 0x20),
    (_MOD_GS_P, 0x20),
)
_SPEAK_B = (
    (TX_ASK, 0x00),
    (MODE, _MODE_B),
    (_TYPE_B, 0x02),
    (_RX_THRESHOLD, 0x55),
    (_GS_N, 0xFF),
    (_CW_GS_P, 0x3F),
)
_MOD_DEPTH_B = const(0x18)


class FM175xx(MFRC522):
    """A reader (see drivers/reader.py) made of an FM175xx on a register `bus`; types A and B.

    `gain_b` is the receiver's gain for type B, 0 to 7; `depth_b` is ModGsP for it, 0 to 3F, to be
    set for the antenna so that its modulation index is 8 to 14 % (ISO/IEC 14443-2, 9.1.2).
    """

    def __init__(self, bus, gain=4, gain_b=6, depth_b=_MOD_DEPTH_B, ticks_ms=None, sleep_ms=None):
        super().__init__(bus, gain, ticks_ms, sleep_ms)
        self._gain_b = gain_b
        self._depth_b = depth_b
        self._unfit = b""  # PUPI of a type B card that takes no APDUs

    async def open(self):
        """Reset and configure the chip; the field stays off. Raises ReaderTimeout,
        ReaderProtocolError."""
        self._unfit = b""
        self._framing = _FRAMING_A
        await super().open()
        self._bus.write(CONTROL, _INITIATOR)

    async def _poll(self):
        # Each type is asked in each round, with the pause that EMV Contactless Book D, 9.2 wants
        # before the other's modulation. B goes first: then a type A card, most cards by far, needs
        # no HLTA and no second WUPA.
        self._card = None
        self._unfit = b""
        self._speak_b()
        answer, _ = await self._air(reqb(), 0, True, ATQB_US)
        self._speak_a()
        await self._sleep_ms(FIELD_MS)
        target = await super()._poll()
        if answer is None:
            return target
        if target is not None:
            await self._reset_field()
            raise SeveralCards("two cards in the field: present one")
        self._speak_b()
        await self._sleep_ms(FIELD_MS)
        return await self._activate_b()

    async def _activate_b(self):
        way = Activation(FSDI)
        try:
            while True:
                rx, _ = await self._air(way.tx, 0, True, way.timeout_us)
                if not way.step(rx):
                    break
        except Collision:
            await self._reset_field()
            raise SeveralCards("two cards in the field: present one") from None
        except CardError:
            await self._reset_field()  # half in the field, most likely: the next poll tells
            return None
        card = way.card
        if card is None:
            return None
        self._engaged = True
        if card.iso_dep:
            self._card = Initiator(card.fsc, card.fwi, FSD, FSD)
        else:
            self._unfit = card.pupi
        return Target(card.pupi, card.atqb, 0, b"", "B")

    async def release(self):
        """Deselect the card. The field stays on; a card that has left is no error."""
        if self._unfit:
            answer, _ = await self._air(hltb(self._unfit), 0, True, ATQB_US)
            self._engaged = answer != b"\x00"
            self._unfit = b""
        await super().release()

    def _speak_a(self):
        self._speak(_SPEAK_A, _FRAMING_A, self._gain)

    def _speak_b(self):
        self._speak(_SPEAK_B, _FRAMING_B, self._gain_b)
        self._bus.write(_MOD_GS_P, self._depth_b)

    def _speak(self, registers, framing, gain):
        for register, value in registers:
            self._bus.write(register, value)
        self._bus.write(RF_CFG, gain << 4 | 0x08)
        self._framing = framing
