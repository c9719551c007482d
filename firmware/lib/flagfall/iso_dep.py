# ISO/IEC 14443-4 (ISO-DEP) seen from the reader, for chips that do not do it themselves.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A state machine over blocks without their CRC: `begin` and `step` give the next block to send and
# how long to wait for the answer. EMV Contactless Book D is followed where it is stricter: neither
# CID nor NAD, an I-block with the wrong number is an error, retries are few.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# PCB, ISO/IEC 14443-4, 7.1.2.1. Bit 2 of every I- and R-block is set; bit 1 is the block number.
_I_BLOCK = const(0x02)
_R_ACK = const(0xA2)
_R_NAK = const(0xB2)
_S_DESELECT = const(0xC2)
_S_WTX = const(0xF2)
_CHAINING = const(0x10)
_CID = const(0x08)
_NAD = const(0x04)
_NAK = const(0x10)

FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)  # by FSCI or FSDI, bytes with PCB and CRC
_OVERHEAD = const(3)  # PCB and CRC
_DEFAULT_FSCI = const(2)
DEFAULT_FWI = const(4)

# Times in 1/fc, fc = 13.56 MHz = 339/25 per microsecond.
_D_FWT = const(49152)
_FWT_MAX = const(1 << 26)
_DESELECT = const(71680)

_MAX_WTX = const(20)  # in a row, without a block of data in between
_MAX_EMPTY = const(8)  # chained blocks without data
_MAX_RESPONSE = const(65538)


class IsoDepError(Exception):
    """The exchange of blocks has failed. The card must be activated again."""


class Silent(IsoDepError):
    """No answer, or only damaged ones, after all retries. The last command's fate is unknown."""


class Violation(IsoDepError):
    """The card sent a block that the protocol forbids here."""


def microseconds(carriers):
    """1/fc to microseconds, rounded up."""
    return (carriers * 25 + 338) // 339


class Ats:
    """What an answer to select says: `fsc` (longest block the card takes, bytes with CRC), `fwi`,
    `sfgi`, `historical` bytes. Defaults of ISO/IEC 14443-4, 5.2 stand in for what is absent."""

    def __init__(self, ats):
        if not ats or ats[0] != len(ats):
            raise Violation("ATS of another length than it says")
        t0 = ats[1] if len(ats) > 1 else _DEFAULT_FSCI
        at = 2
        tb = DEFAULT_FWI << 4
        # b5, b6, b7 of T0 announce TA (bit rates), TB (times), TC (CID and NAD).
        at += 1 if t0 & 0x10 else 0
        if t0 & 0x20:
            tb = ats[at] if at < len(ats) else -1
            at += 1
        at += 1 if t0 & 0x40 else 0
        if at > len(ats) and len(ats) > 1:
            raise Violation("ATS ends before its interface bytes")
        self.fsc = FRAME_SIZES[min(t0 & 0x0F, 8)]
        self.fwi = tb >> 4 if tb >> 4 != 15 else DEFAULT_FWI
        self.sfgi = tb & 0x0F if tb & 0x0F != 15 else 0
        self.historical = ats[at:]

    @property
    def guard_us(self):
        """Microseconds to wait before the first block (SFGT), 0 if the card needs none."""
        return microseconds(4096 << self.sfgi) if self.sfgi else 0


class Initiator:
    """The reader's side of one activated card."""

    def __init__(self, fsc, fwi, fsd=64, send_max=256, retries=2):
        """`fsc`, `fwi`: of the card. `fsd`: longest block we announced. `send_max`: longest
        block we can send. All sizes with PCB and CRC."""
        self._size = min(fsc, send_max) - _OVERHEAD
        self._fsd = fsd
        self._fwt = min(4096 << fwi, _FWT_MAX)
        self._retries = retries
        self._bn = 0
        self.response = b""
        self._idle()

    def _idle(self):
        self._apdu = b""
        self._at = 0  # what of the APDU the card has acknowledged
        self._block = b""  # the I-block that is being sent
        self._chained = False  # the card is sending a chain
        self._received = bytearray()
        self._left = self._retries
        self._again = self._retries
        self._wtx = _MAX_WTX
        self._empty = _MAX_EMPTY
        self._probing = False

    @property
    def timeout_us(self):
        """The card's frame waiting time with its tolerance, microseconds."""
        return microseconds(self._fwt + _D_FWT)

    def begin(self, apdu):
        """Start to send `apdu` (1 byte and more). Returns (block, timeout_us)."""
        self._idle()
        self._apdu = apdu
        self.response = b""
        return self._send_part()

    def probe(self):
        """Ask whether the card is still there. Returns (block, timeout_us); then `step`."""
        self._idle()
        self._probing = True
        return bytes((_R_NAK | self._bn,)), self.timeout_us

    def deselect(self):
        """Returns (S(DESELECT), timeout_us); whatever comes back, the card is let go."""
        self._idle()
        return bytes((_S_DESELECT,)), microseconds(_DESELECT)

    def step(self, rx):
        """Take the card's block without CRC (None: silence, b"": damaged).

        Returns (block, timeout_us) to go on with, or (None, 0) when the exchange is complete and
        `response` is whole. Raises Silent, Violation.
        """
        if not rx:
            return self._nothing()
        if len(rx) + 2 > self._fsd:
            raise Violation("block of %d bytes, longer than announced" % (len(rx) + 2))
        pcb = rx[0]
        if pcb & 0xE2 == _I_BLOCK and not pcb & (_CID | _NAD):
            return self._on_i_block(pcb, rx)
        if pcb & 0xEE == _R_ACK and len(rx) == 1:
            return self._on_r_block(pcb)
        if pcb == _S_WTX and len(rx) == 2:
            return self._on_wtx(rx[1] & 0x3F)
        raise Violation("block %s" % rx[:4].hex())

    # What came.

    def _nothing(self):
        if not self._left:
            raise Silent("no answer from the card")
        self._left -= 1
        # In a chain from the card R(ACK) asks for its next block again, elsewhere R(NAK) does
        # (7.5.4.2, rules 4 and 5).
        return bytes(((_R_ACK if self._chained else _R_NAK) | self._bn,)), self.timeout_us

    def _on_i_block(self, pcb, rx):
        if self._probing:
            self._probing = False  # it repeats its last block: it is there
            return None, 0
        if self._block[0] & _CHAINING or pcb & 1 != self._bn:
            raise Violation("I-block %02X out of turn" % pcb)
        self._bn ^= 1
        self._fresh()
        self._received += memoryview(rx)[1:]
        if len(rx) == 1:
            self._empty -= 1
        if self._empty < 0 or len(self._received) > _MAX_RESPONSE:
            raise Violation("response without an end")
        self._chained = bool(pcb & _CHAINING)
        if self._chained:
            return bytes((_R_ACK | self._bn,)), self.timeout_us
        self.response = bytes(self._received)
        return None, 0

    def _on_r_block(self, pcb):
        if pcb & _NAK:
            raise Violation("R(NAK) from a card")
        if self._probing:
            self._probing = False
            return None, 0
        if pcb & 1 != self._bn:
            # The card has not got our last I-block: rule 6.
            if self._received or not self._again:
                raise Violation("R(ACK) out of turn")
            self._again -= 1
            return self._block, self.timeout_us
        if not self._block[0] & _CHAINING:
            raise Violation("R(ACK) where a response is due")
        self._bn ^= 1
        self._at += self._size
        self._fresh()
        self._again = self._retries
        return self._send_part()

    def _on_wtx(self, factor):
        self._wtx -= 1
        if not 1 <= factor <= 59 or self._wtx < 0 or self._probing:
            raise Violation("waiting time extension by %d" % factor)
        self._left = self._retries
        carriers = min(self._fwt * factor, _FWT_MAX) + _D_FWT
        return bytes((_S_WTX, factor)), microseconds(carriers)

    # What goes out.

    def _fresh(self):
        self._left = self._retries
        self._wtx = _MAX_WTX

    def _send_part(self):
        part = bytes(memoryview(self._apdu)[self._at : self._at + self._size])
        more = self._at + self._size < len(self._apdu)
        self._block = bytes((_I_BLOCK | (_CHAINING if more else 0) | self._bn,)) + part
        return self._block, self.timeout_us
