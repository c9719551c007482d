"""A card on the air, below APDUs: ISO/IEC 14443-3 type A and the card's side of 14443-4.

For reader chips that leave these to their host. Frames come without parity bits; a frame knows
how many bits of its last byte count. The card behind it stays the same `Card` that a PN532 sees.
Type B is `PiccB` in picc_b.py.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from flagfall.iso14443a import crc_a
from flagfall.iso_dep import FRAME_SIZES

from flagfall_host.bench.cards.card import Card, CardLeft
from flagfall_host.bench.reader.field import Field

IDLE, READY, ACTIVE, HALT, PROTOCOL = "idle", "ready", "active", "halt", "protocol"

_FDT_US = 91.2  # frame delay time of a card that answers at once: 1236/fc
_MAX_APDU = 65544
_WTX_AT = 0.9  # of its waiting time a card has used up when it asks for more


@dataclass(frozen=True)
class Frame:
    """Bytes on the air. `bits`: how many bits of the last byte count, 0 for all. `kind`: the
    modulation, A or B."""

    data: bytes
    bits: int = 0
    parity_ok: bool = True
    kind: str = "A"

    @property
    def air_us(self) -> float:
        """Microseconds at 106 kbit/s. Type A: start bit, data bits with their parity, end. Type
        B: start of frame (12 etu), characters of 10, end of frame (10), no extra guard time."""
        if self.kind == "B":
            return (22 + 10 * len(self.data)) * 128 / 13.56
        bits = (len(self.data) - 1) * 9 + self.bits if self.bits else len(self.data) * 9
        return (bits + 2) * 128 / 13.56


@dataclass
class Manners:
    """What a card may do within the rules, and the faults of the air around it."""

    delay_us: Callable[[bytes], float] = lambda command: 0.0  # from command to response
    asks_for_time: bool = False  # asks for more when `delay_us` is longer than its ATS promises
    wtx: list[int] = field(default_factory=list)  # factors to ask for before the next response
    chunk: int = 256  # longest block it sends, with PCB and CRC
    # See each frame to and from the card; return it, another one, or None for a lost frame.
    inbound: Callable[[Frame], Frame | None] = lambda frame: frame
    outbound: Callable[[Frame], Frame | None] = lambda frame: frame
    # Told of each answer: microseconds until it starts, and the frame.
    watch: Callable[[float, Frame], None] = lambda delay_us, frame: None


class Picc:
    """One type A card before the antenna, as the frames see it."""

    answers_after_us = _FDT_US  # the end of a command and the start of an answer without work

    def __init__(self, rf: Field, card: Card, manners: Manners | None = None) -> None:
        self._field = rf
        self.card = card
        self.manners = manners or Manners()
        self.blocks = 0
        self.reset()

    def reset(self) -> None:
        """The field went off or on."""
        self.state = IDLE
        self._level = 0
        self._fsd = 32
        self._delay = 0.0
        self._busy_until = 0.0
        self._forget()

    def _forget(self) -> None:
        self._bn = 1  # rule C
        self._command = b""
        self._response = b""
        self._pending_wtx: list[int] = []
        self._work_us = self._waits_us = 0.0  # still to be done; allowed until the next block
        self._last: bytes | None = None
        self._next: bytes | None = None

    def receive(self, frame: Frame, at_us: float) -> tuple[float, Frame] | None:
        """Take a frame from the reader that ends at `at_us`; return (microseconds until the
        answer starts, answer) or None. A card that is still at work hears nothing."""
        if at_us < self._busy_until or frame.kind != self.card.kind:
            return None
        heard = self.manners.inbound(frame)
        if heard is None:
            return None
        self._delay = self.answers_after_us
        said = self._receive(heard)
        self._busy_until = at_us + self._delay
        if said is None:
            return None
        sent = self.manners.outbound(said)
        if sent is None:
            return None
        self.manners.watch(self._delay, sent)
        return self._delay, sent

    def _receive(self, frame: Frame) -> Frame | None:
        data = frame.data
        if frame.bits == 7 and len(data) == 1:
            wake = data[0] == 0x52 or (data[0] == 0x26 and self.state != HALT)
            if self.state == PROTOCOL:
                return None  # no block
            if not wake or self.state == ACTIVE:
                self._error()
                return None
            self.state = READY
            self._level = 0
            return Frame(self.card.sens_res[::-1])
        if self.state == READY:
            return self._select(frame)
        if len(data) < 3 or frame.bits or crc_a(data[:-2]) != data[-2:]:
            return None
        body = data[:-2]
        takes_rats = self.state == ACTIVE and self.card.sel_res & 0x20
        if takes_rats and body[0] == 0xE0 and len(body) == 2:
            self.start_protocol(body[1] >> 4)
            return self.with_crc(self.card.ats)
        if self.state == PROTOCOL:
            self.blocks += 1
            return self._block(body)
        if self.state == ACTIVE:
            self.state = HALT if body == b"\x50\x00" else IDLE
        return None

    def start_protocol(self, fsdi: int) -> None:
        """The card is in ISO/IEC 14443-4 from here on; `fsdi` codes the reader's frame size."""
        self._fsd = FRAME_SIZES[min(fsdi, 8)]
        self.state = PROTOCOL
        self._forget()

    # ISO/IEC 14443-3, 6.5: anticollision and selection.

    def _parts(self) -> list[bytes]:
        uid = self.card.uid
        if len(uid) == 4:
            return [uid]
        if len(uid) == 7:
            return [b"\x88" + uid[:3], uid[3:]]
        return [b"\x88" + uid[:3], b"\x88" + uid[3:6], uid[6:]]

    def _select(self, frame: Frame) -> Frame | None:
        data = frame.data
        parts = self._parts()
        if len(data) < 2 or data[0] != (0x93, 0x95, 0x97)[self._level]:
            self._error()
            return None
        part = parts[self._level]
        whole = part + bytes((part[0] ^ part[1] ^ part[2] ^ part[3],))
        if data[1] == 0x70:
            if data[2:7] != whole or crc_a(data[:-2]) != data[-2:] or len(data) != 9:
                self._error()
                return None
            if self._level + 1 < len(parts):
                self._level += 1
                return self.with_crc(b"\x04")
            self.state = ACTIVE
            return self.with_crc(bytes((self.card.sel_res,)))
        known = (data[1] >> 4) * 8 - 16 + (data[1] & 0x07)
        if known < 0 or known > 39:
            self._error()
            return None
        mine = int.from_bytes(whole, "little")
        if (int.from_bytes(data[2:7], "little") ^ mine) & ((1 << known) - 1):
            return None  # another card is meant
        # An answer that starts within a byte has its bits where they belong in that byte.
        rest = bytearray(whole[known // 8 :])
        rest[0] &= 0xFF << known % 8 & 0xFF
        return Frame(bytes(rest))

    def _error(self) -> None:
        if self.state in (READY, ACTIVE):
            self.state = IDLE

    # ISO/IEC 14443-4, 7.5.4.3: the card's rules.

    def _block(self, block: bytes) -> Frame | None:
        pcb = block[0]
        if pcb & 0xE2 == 0x02:
            return self._on_i_block(pcb, block[1:])
        if pcb & 0xE6 == 0xA2:
            return self._on_r_block(pcb)
        if pcb == 0xC2:
            self.state = HALT
            return self.with_crc(b"\xc2")
        if pcb == 0xF2 and self._next is not None:
            return self._go_on()
        return None

    def _on_i_block(self, pcb: int, data: bytes) -> Frame | None:
        if pcb & 0x0C:
            return None
        self._bn ^= 1  # rule D
        self._command += data
        if len(self._command) > _MAX_APDU:
            self.reset()
            return None
        if pcb & 0x10:
            return self._say(bytes((0xA2 | self._bn,)))
        command, self._command = self._command, b""
        try:
            self._response = self._field.exchange(self.card, command)
        except CardLeft:
            return None
        self._work_us = self.manners.delay_us(command)
        self._waits_us = self._fwt_us if self.manners.asks_for_time else math.inf
        self._pending_wtx, self.manners.wtx = self.manners.wtx, []
        self._next = self._part()
        return self._go_on()

    def _on_r_block(self, pcb: int) -> Frame | None:
        if pcb & 1 == self._bn:
            return None if self._last is None else self.with_crc(self._last)  # rule 11
        if pcb & 0x10:
            return self.with_crc(bytes((0xA2 | self._bn,)))  # rule 12
        if not self._response:
            return None
        self._bn ^= 1  # rule E
        self._next = self._part()
        return self._go_on()

    def _part(self) -> bytes:
        size = min(self._fsd, self.manners.chunk) - 3
        part, self._response = self._response[:size], self._response[size:]
        return bytes(((0x12 if self._response else 0x02) | self._bn,)) + part

    @property
    def _fwt_us(self) -> float:
        """The waiting time that this card announces (ISO/IEC 14443-4, 7.2)."""
        return (4096 << self.card.fwi) / 13.56

    def _go_on(self) -> Frame:
        # The response, or before it what the card still asks of extra time.
        if self._work_us > _WTX_AT * self._waits_us:
            spent = _WTX_AT * self._waits_us
            self._delay += spent
            self._work_us -= spent
            factor = min(int(self._work_us / (_WTX_AT * self._fwt_us)) + 1, 59)
            self._waits_us = factor * self._fwt_us
            return self._say(bytes((0xF2, factor)))
        self._delay += self._work_us
        self._work_us = 0.0
        if self._pending_wtx:
            return self._say(bytes((0xF2, self._pending_wtx.pop(0))))
        block, self._next = self._next, None
        return self._say(block or b"")

    def _say(self, block: bytes) -> Frame:
        self._last = block
        return self.with_crc(block)

    def with_crc(self, data: bytes) -> Frame:
        """`data` as a frame of this kind of card."""
        return Frame(data + crc_a(data))
