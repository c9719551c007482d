# ISO/IEC 14443-3 type A seen from the reader: checksums, and the way from WUPA to ATS.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# For chips that leave the protocol to us. The procedure is that of EMV Contactless Book D, 9.3: a
# collision is not resolved, since only one card may be presented.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_WUPA = b"\x52"
_SEL = b"\x93\x95\x97"  # cascade levels 1 to 3
_CASCADE_TAG = const(0x88)
_UID_INCOMPLETE = const(0x04)  # SAK b3
_ISO_DEP = const(0x20)  # SAK b6
_RATS = const(0xE0)
_RETRIES = const(2)  # repetitions of one command after silence or damage

# Waits from the end of our frame to the first bit of the answer, microseconds.
_POLL_US = const(500)  # FDT of the short commands is 91 us; the rest is for slow poll loops
_SELECT_US = const(1000)
_RATS_US = const(21300)  # activation frame waiting time (71680 + 216960)/fc


class CardError(Exception):
    """The card breaks ISO/IEC 14443-3, or stays silent after it has shown itself."""


class Collision(CardError):
    """Two cards answered at once."""


def crc_a(data, preset=0x6363):
    """CRC_A of `data` as the two bytes that follow it on the air (ISO/IEC 14443-3, annex B)."""
    crc = preset
    for byte in data:
        byte ^= crc & 0xFF
        byte = (byte ^ byte << 4) & 0xFF
        crc = crc >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
    return bytes((crc & 0xFF, crc >> 8))


class Activation:
    """Asks for the frames that activate one type A card, and reads the answers.

    Send `tx` (`bits` of its last byte, 0 for all; with CRC_A if `crc`), wait `timeout_us` for the
    first bit of the answer, and call `step` with what came, until it returns False. Then `uid`,
    `atqa`, `sak` and `ats` are set; `uid` is b"" if no card answered at all.
    """

    def __init__(self, fsdi):
        """`fsdi`: the code of the longest frame the reader takes, 0 to 8 (16 to 256 bytes)."""
        self.uid = b""
        self.atqa = b""
        self.sak = 0
        self.ats = b""
        self._fsdi = fsdi
        self._level = 0
        self._part = b""
        self._left = _RETRIES
        self._next = self._on_atqa
        self._ask(_WUPA, 7, False, _POLL_US)

    def step(self, rx, collision=False):
        """Take the answer without CRC (None: silence, b"": damaged). Return True to go on.

        Raises CardError, Collision.
        """
        if collision:
            raise Collision("two cards in the field")
        if not rx:
            if rx is None and not self.atqa:
                return False  # nobody there
            if not self._left:
                raise CardError("the card does not answer its selection")
            self._left -= 1
            return True
        self._left = _RETRIES
        return self._next(rx)

    def _ask(self, tx, bits, crc, timeout_us):
        self.tx = tx
        self.bits = bits
        self.crc = crc
        self.timeout_us = timeout_us

    def _on_atqa(self, rx):
        if len(rx) != 2:
            raise CardError("ATQA of %d bytes" % len(rx))
        self.atqa = rx
        return self._ask_uid()

    def _ask_uid(self):
        self._next = self._on_uid
        self._ask(bytes((_SEL[self._level], 0x20)), 0, False, _SELECT_US)
        return True

    def _on_uid(self, rx):
        if len(rx) != 5 or rx[0] ^ rx[1] ^ rx[2] ^ rx[3] ^ rx[4]:
            raise CardError("UID with a wrong check byte")
        self._part = rx[:4]
        self._next = self._on_sak
        self._ask(bytes((_SEL[self._level], 0x70)) + rx, 0, True, _SELECT_US)
        return True

    def _on_sak(self, rx):
        if len(rx) != 1:
            raise CardError("SAK of %d bytes" % len(rx))
        if rx[0] & _UID_INCOMPLETE:
            if self._part[0] != _CASCADE_TAG or self._level == 2:
                raise CardError("UID without an end")
            self.uid += self._part[1:]
            self._level += 1
            return self._ask_uid()
        self.uid += self._part
        self.sak = rx[0]
        if not self.sak & _ISO_DEP:
            return False
        self._next = self._on_ats
        self._ask(bytes((_RATS, self._fsdi << 4)), 0, True, _RATS_US)
        return True

    def _on_ats(self, rx):
        if rx[0] != len(rx):
            raise CardError("ATS of another length than it says")
        self.ats = rx
        return False
