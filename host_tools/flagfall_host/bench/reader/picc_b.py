"""A type B card on the air: ISO/IEC 14443-3, 7, before the blocks that both types share."""

from flagfall.iso14443b import crc_b

from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.picc import HALT, IDLE, PROTOCOL, READY, Frame, Manners, Picc

_ISO_DEP = 0x01  # protocol type of ATQB, b1


class PiccB(Picc):
    """One type B card before the antenna. It has one slot: more of them are taken as one."""

    answers_after_us = 2304 / 13.56  # TR0 and TR1 at their least: 1024/fc and 1280/fc

    def reset(self) -> None:
        super().reset()
        self._cid = 0

    def _receive(self, frame: Frame) -> Frame | None:
        data = frame.data
        if len(data) < 3 or frame.bits or crc_b(data[:-2]) != data[-2:]:
            return None
        body = data[:-2]
        if self.state == PROTOCOL:
            self.blocks += 1
            if body == bytes((0xCA, self._cid)) and self._cid:
                self.state = HALT
                return self.with_crc(body)
            return self._block(body)
        if body[0] == 0x05 and len(body) == 3:
            return self._request(body[1], body[2])
        if self.state == READY and body[1:5] == self.card.uid:
            if body[0] == 0x1D and len(body) >= 9:
                return self._attrib(body)
            if body[0] == 0x50:
                self.state = HALT
                return self.with_crc(b"\x00")
        return None

    def _request(self, afi: int, param: int) -> Frame | None:
        family = self.card.app_data[0]
        mine = afi in (0x00, family) or (not afi & 0x0F and afi == family & 0xF0)
        if not mine or (self.state == HALT and not param & 0x08):
            self.state = HALT if self.state == HALT else IDLE
            return None
        self.state = READY
        return self.with_crc(self.card.atqb)

    def _attrib(self, body: bytes) -> Frame | None:
        # Bit rates other than 106 kbit/s and another protocol than its own get no answer.
        protocol = self.card.protocol_info[1] & 0x0F
        if not protocol & _ISO_DEP or body[6] & 0xF0 or body[7] & 0x0F != protocol:
            return None
        self._cid = body[8] & 0x0F
        self.start_protocol(body[6] & 0x0F)
        return self.with_crc(bytes((self._cid,)))

    def with_crc(self, data: bytes) -> Frame:
        return Frame(data + crc_b(data), kind="B")


def on_air(rf: Field, card: Card, manners: Manners | None = None) -> Picc:
    """`card` as its kind shows itself."""
    return (PiccB if card.kind == "B" else Picc)(rf, card, manners)
