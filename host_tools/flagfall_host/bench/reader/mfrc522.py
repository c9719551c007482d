"""NXP MFRC522 as its host sees it; the FM175xx is built on it.

Registers in, registers out, after the data sheet (MFRC522 rev. 3.9, section 9; "DS" below), with
a clock: frames take the time they need on the air at 106 kbit/s, cards answer when they would,
and the chip's timer runs beside them. Whoever owns the bus calls `advance`.
"""

from collections import deque

from flagfall.iso14443a import crc_a

from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.picc import Frame, Manners, Picc
from flagfall_host.bench.reader.picc_b import on_air

COMMAND, COM_IRQ, DIV_IRQ, ERROR, STATUS1 = 0x01, 0x04, 0x05, 0x06, 0x07
FIFO_DATA, FIFO_LEVEL, CONTROL, BIT_FRAMING, COLL = 0x09, 0x0A, 0x0C, 0x0D, 0x0E
MODE, TX_MODE, RX_MODE, TX_CONTROL, TX_ASK = 0x11, 0x12, 0x13, 0x14, 0x15
CRC_HIGH, CRC_LOW, T_MODE, T_PRESCALER = 0x21, 0x22, 0x2A, 0x2B
T_RELOAD_HIGH, T_RELOAD_LOW, T_COUNTER_HIGH, T_COUNTER_LOW = 0x2C, 0x2D, 0x2E, 0x2F
VERSION = 0x37

IDLE, MEM, RANDOM_ID, CALC_CRC, TRANSMIT, NO_CHANGE, RECEIVE, TRANSCEIVE = 0, 1, 2, 3, 4, 7, 8, 12
SOFT_RESET = 15

# ComIrq and Error bits, DS 9.3.1.5 and 9.3.1.7.
IRQ_TX, IRQ_RX, IRQ_IDLE, IRQ_HI, IRQ_LO, IRQ_ERR, IRQ_TIMER = 0x40, 0x20, 0x10, 0x08, 4, 2, 1
ERR_WRITE, ERR_OVERFLOW, ERR_COLLISION, ERR_CRC, ERR_PARITY, ERR_PROTOCOL = 0x80, 0x10, 8, 4, 2, 1

_FIFO = 64
_RESET = {
    0x01: 0x20, 0x02: 0x80, 0x04: 0x14, 0x07: 0x21, 0x0B: 0x08, 0x0C: 0x10, 0x0E: 0x20, 0x11: 0x3F,
    0x14: 0x80, 0x16: 0x10, 0x17: 0x84, 0x18: 0x84, 0x19: 0x4D, 0x1C: 0x62, 0x1F: 0xEB, 0x21: 0xFF,
    0x22: 0xFF, 0x24: 0x26, 0x26: 0x48, 0x27: 0x88, 0x28: 0x20, 0x29: 0x20, 0x33: 0x80, 0x36: 0x40,
}  # fmt: skip
_READ_ONLY = {ERROR, STATUS1, CRC_HIGH, CRC_LOW, T_COUNTER_HIGH, T_COUNTER_LOW, VERSION}
_CRC_PRESETS = (0x0000, 0x6363, 0xA671, 0xFFFF)  # Mode bits 1..0
_RESET_US = 100.0


class MFRC522Chip:
    """An MFRC522 (`version` 0x91, 0x92) before a `Field`."""

    reset_values = _RESET

    def __init__(self, field: Field, manners: Manners | None = None, version: int = 0x92) -> None:
        self.field = field
        self.manners = manners or Manners()
        self.version = version
        self.now_us = 0.0
        self.frames = 0  # sent by the reader
        self.accesses = 0
        self._piccs: dict[int, tuple[int, Picc]] = {}
        self._reset()

    def _reset(self) -> None:
        self._registers = dict(self.reset_values)
        self._fifo: deque[int] = deque()
        self._error = 0
        self._events: list[tuple[float, str, Frame | None, int]] = []
        self._timer_end: float | None = None
        self._awake_at = self.now_us + _RESET_US
        self._rf()

    def advance(self, us: float) -> None:
        """Time passes."""
        self.now_us += us

    def read(self, register: int) -> int:
        """What the host reads from `register` now."""
        self.accesses += 1
        self._run()
        match register:
            case 0x09:
                return self._fifo.popleft() if self._fifo else 0
            case 0x0A:
                return len(self._fifo)
            case 0x06:
                return self._error
            case 0x37:
                return self.version
            case 0x01:
                asleep = 0x10 if self.now_us < self._awake_at else 0
                return self._registers[COMMAND] | asleep
            case 0x07:
                return 0x21 | (0x08 if self._timer_end is not None else 0)
            case 0x2E | 0x2F:
                count = self._timer_count()
                return count >> 8 if register == T_COUNTER_HIGH else count & 0xFF
        return self._registers.get(register, 0)

    def write(self, register: int, value: int) -> None:
        """The host writes `value` to `register`."""
        self.accesses += 1
        self._run()
        if register in (COM_IRQ, DIV_IRQ):
            bits = value & 0x7F
            old = self._registers.get(register, 0)
            self._registers[register] = old | bits if value & 0x80 else old & ~bits
        elif register == FIFO_DATA:
            if len(self._fifo) >= _FIFO:
                self._raise_error(ERR_OVERFLOW)
            else:
                self._fifo.append(value)
        elif register == FIFO_LEVEL:
            if value & 0x80:
                self._fifo.clear()
                self._error &= ~ERR_OVERFLOW
        elif register == COMMAND:
            self._command(value)
        elif register == BIT_FRAMING:
            self._registers[BIT_FRAMING] = value & 0x7F
            if value & 0x80 and self._registers[COMMAND] & 0x0F == TRANSCEIVE:
                self._transmit()
        elif register == COLL:
            self._registers[COLL] = self._registers[COLL] & 0x3F | value & 0x80
        elif register not in _READ_ONLY:
            self._registers[register] = value
            if register == TX_CONTROL:
                self._rf()
            if register == CONTROL and value & 0x80:
                self._timer_end = None

    # Commands, DS 10.3.

    def _command(self, value: int) -> None:
        command = value & 0x0F
        if command == SOFT_RESET:
            self._reset()
            return
        if command == NO_CHANGE:
            return
        self._registers[COMMAND] = value & 0x2F
        self._error = 0
        self._events.clear()
        if command == IDLE:
            self._timer_end = None
        elif command == CALC_CRC:
            crc = crc_a(bytes(self._fifo), _CRC_PRESETS[self._registers[MODE] & 3])
            self._fifo.clear()
            self._registers[CRC_LOW], self._registers[CRC_HIGH] = crc
            self._registers[DIV_IRQ] = self._registers.get(DIV_IRQ, 0) | 0x04
        elif command in (MEM, RANDOM_ID):
            self._registers[COMMAND] &= 0x20
            self._registers[COM_IRQ] |= IRQ_IDLE

    def _transmit(self) -> None:
        data = bytes(self._fifo)
        self._fifo.clear()
        self.frames += 1
        if not data:
            return
        kind = self._modulation()
        if self._registers.get(TX_MODE, 0) & 0x80:
            data += self._crc(data, kind)
        frame = Frame(data, self._registers[BIT_FRAMING] & 0x07, kind=kind)
        end = self.now_us + frame.air_us
        self._events = [(end, "sent", None, 0)]
        if self._registers.get(T_MODE, 0) & 0x80:
            self._timer_end = end + self._timer_us()
        heard = [a for card in self._present() if (a := card.receive(frame, end)) is not None]
        same = self._registers.get(RX_MODE, 0) & 0x03 == self._registers.get(TX_MODE, 0) & 0x03
        answers = heard if same else []
        if answers:
            start = end + min(delay for delay, _ in answers)
            answer, collision = _merge([f for _, f in answers])
            self._events.append((start, "start", None, 0))
            self._events.append((start + answer.air_us, "received", answer, collision))

    def _modulation(self) -> str:
        """The type of card that hears what is sent now; "" for none."""
        return "A" if self._registers.get(TX_MODE, 0) & 0x03 == 0 else ""

    def _crc(self, data: bytes, kind: str) -> bytes:
        return crc_a(data, _CRC_PRESETS[self._registers[MODE] & 3])

    def _run(self) -> None:
        # Everything that has happened up to now, in its order.
        while self._events and self._events[0][0] <= self.now_us:
            at, what, frame, collision = self._events.pop(0)
            self._run_timer(at)
            if what == "sent":
                self._registers[COM_IRQ] |= IRQ_TX
            elif what == "start":
                self._timer_end = None  # TAuto: stops with the first bits received
            elif frame is not None:
                self._receive(frame, collision)
        self._run_timer(self.now_us)

    def _run_timer(self, now: float) -> None:
        if self._timer_end is not None and self._timer_end <= now:
            self._timer_end = None
            self._registers[COM_IRQ] |= IRQ_TIMER

    def _receive(self, frame: Frame, collision: int) -> None:
        data = frame.data
        if not frame.parity_ok:
            self._raise_error(ERR_PARITY)
        if self._registers.get(RX_MODE, 0) & 0x80 and not collision:
            if len(data) < 3 or self._crc(data[:-2], frame.kind) != data[-2:]:
                self._raise_error(ERR_CRC)
            data = data[:-2]
        if collision:
            self._raise_error(ERR_COLLISION)
            position = collision & 0x1F if collision <= 32 else 0x20
            self._registers[COLL] = self._registers[COLL] & 0x80 | position
        room = _FIFO - len(self._fifo)
        if len(data) > room:
            self._raise_error(ERR_OVERFLOW)
        self._fifo.extend(data[:room])
        self._registers[CONTROL] = self._registers[CONTROL] & ~0x07 | frame.bits
        self._registers[COM_IRQ] |= IRQ_RX

    def _raise_error(self, bit: int) -> None:
        self._error |= bit
        self._registers[COM_IRQ] |= IRQ_ERR

    # Timer, DS 8.5: 13.56 MHz / (2 x TPrescaler + 1).

    def _tick_us(self) -> float:
        high = self._registers.get(T_MODE, 0) & 0x0F
        prescaler = high << 8 | self._registers.get(T_PRESCALER, 0)
        return (2 * prescaler + 1) / 13.56

    def _reload(self) -> int:
        return self._registers.get(T_RELOAD_HIGH, 0) << 8 | self._registers.get(T_RELOAD_LOW, 0)

    def _timer_us(self) -> float:
        return (self._reload() + 1) * self._tick_us()

    def _timer_count(self) -> int:
        if self._timer_end is None:
            return 0
        return min(self._reload(), int((self._timer_end - self.now_us) / self._tick_us()))

    # The antenna.

    def _rf(self) -> None:
        on = bool(self._registers[TX_CONTROL] & 0x03)
        if not on:
            self._piccs.clear()
        self.field.power(on)

    def _present(self) -> list[Picc]:
        now = {}
        for card in self.field.cards:
            placing = self.field.placing(card)
            known = self._piccs.get(id(card))
            if known is None or known[0] != placing:
                known = (placing, on_air(self.field, card, self.manners))
            now[id(card)] = known
        self._piccs = now
        return [picc for _, picc in now.values()]


def _merge(frames: list[Frame]) -> tuple[Frame, int]:
    """What is received when cards answer at once, and the bit of collision from 1, or 0."""
    first = frames[0]
    for other in frames[1:]:
        a, b = int.from_bytes(first.data, "little"), int.from_bytes(other.data, "little")
        if a == b and len(first.data) == len(other.data):
            continue
        differing = a ^ b
        bit = (differing & -differing).bit_length() or min(len(first.data), len(other.data)) * 8
        kept = a & ((1 << (bit - 1)) - 1)  # ValuesAfterColl = 0: cleared from there on
        return Frame(kept.to_bytes(max(len(first.data), len(other.data)), "little")), bit
    return first, 0
