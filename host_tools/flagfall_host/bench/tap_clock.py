"""One clock for a tap: what happened when, and reader chips whose work takes time on it."""

from collections import deque
from dataclasses import dataclass

from flagfall import pn532_frame as frames

from flagfall_host.bench import rf_time
from flagfall_host.bench.reader.field import Exchange
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.picc import Frame
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.bench.reader.spi_bus import FakeSPI
from flagfall_host.bench.rf_time import CARD, LINK, RF, TERMINAL, Stretch, TerminalCost, Unit

_FSD = 64  # what the PN532's firmware announces in its RATS
_IN_LIST_PASSIVE_TARGET = 0x4A
_BR_TY = {0: "A", 3: "B"}
# The ESP-IDF's UART driver hands bytes on when 120 wait in the hardware, or when the line has been
# silent for the length of 10 (its defaults UART_FULL_THRESH_DEFAULT and UART_TOUT_THRESH_DEFAULT).
_LUMP, _SILENCE = 120, 10


@dataclass(frozen=True)
class Segment:
    """Microseconds from field on. `kind` is rf, card, link or terminal."""

    kind: str
    start: float
    end: float
    label: str


class Clock:
    """Counts the unit's time and keeps what happened: `cpu(instructions)` for its own work."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.segments: list[Segment] = []
        self.instructions: dict[str, float] = {}
        self._us = 0.0

    @property
    def now_us(self) -> float:
        return self._us

    def advance(self, us: float) -> None:
        self._us += us

    def until(self, us: float) -> None:
        self.advance(max(0.0, us - self.now_us))

    def spend(self, kind: str, us: float, label: str) -> None:
        """The unit is held up for `us`."""
        start = self.now_us
        self.advance(us)
        self.note(kind, start, us, label)

    def note(self, kind: str, start: float, us: float, label: str) -> float:
        """Keep a segment that runs beside the unit's own time; return its end."""
        if us > 0:
            self.segments.append(Segment(kind, start, start + us, label))
        return start + us

    def cpu(self, instructions: float, label: str) -> None:
        """The unit works: `instructions` of the interpreter as callgrind counts them."""
        self.count(instructions, label)
        self.spend(TERMINAL, self.unit.us(instructions), label)

    def rsa(self, instructions: float, label: str) -> None:
        """The unit does long arithmetic."""
        self.count(instructions, "rsa")
        self.spend(TERMINAL, self.unit.rsa_us(instructions), label)

    def durable(self, instructions: float, label: str) -> None:
        """A record is made, sealed and programmed."""
        self.cpu(instructions, "journal")
        self.spend(TERMINAL, self.unit.flash_us, label)

    def hidden(self, instructions: float, label: str) -> None:
        """Work too small for a segment of its own."""
        self.count(instructions, label)
        self.advance(self.unit.us(instructions))

    def count(self, instructions: float, label: str) -> None:
        self.instructions[label] = self.instructions.get(label, 0.0) + instructions


class CardClock:
    """How long the card before the antenna takes; `last_us` is what its last command took."""

    def __init__(self, times: rf_time.CardTimes, bits: int) -> None:
        self._times = times
        self._bits = bits
        self.last = False  # the next record is the one that debits
        self.last_us = 0.0
        self.exchanges: list[tuple[Exchange, float]] = []

    def __call__(self, exchange: Exchange) -> None:
        """To be a Field's `on_exchange`."""
        answer = exchange.response or b""
        us = self._times.of(exchange.command, answer, self._bits, self.last)
        self.last_us = us if exchange.response is not None else 0.0
        self.exchanges.append((exchange, self.last_us))


class TimedPort:
    """A serial port with a PN532 at its end; the chip, its air and its card take their time."""

    def __init__(self, chip: PN532Chip, clock: Clock, card: CardClock, cost: TerminalCost) -> None:
        self.chip = chip
        self._clock = clock
        self._card = card
        self._cost = cost
        self._byte_us = 10e6 / clock.unit.baud
        self._ready: deque[tuple[float, bytes]] = deque()
        self._sniffer = frames.Decoder()

    def ticks_ms(self) -> int:
        return int(self._clock.now_us / 1000)

    def set_baud(self, baud: int) -> None:
        self._byte_us = 10e6 / baud

    async def write(self, data: bytes) -> None:
        clock, unit = self._clock, self._clock.unit
        clock.cpu(self._cost.send.of(len(data)), "driver")
        clock.spend(LINK, len(data) * self._byte_us, "to the chip")
        known = len(self._card.exchanges)
        out = self.chip.feed(bytes(data))
        at = clock.now_us + unit.chip_us
        clock.note(LINK, clock.now_us, unit.chip_us, "chip")
        if out.startswith(frames.ACK):
            end = at + (len(frames.ACK) + _SILENCE) * self._byte_us
            self._ready.append((end, out[: len(frames.ACK)]))
            out = out[len(frames.ACK) :]
        for stretch in self._air(data, known):
            at = clock.note(stretch.kind, at, stretch.us, stretch.label)
        if out:
            at = clock.note(LINK, at, unit.chip_us, "chip")
            clock.note(LINK, at, (len(out) + _SILENCE) * self._byte_us, "from the chip")
            for start in range(0, len(out), _LUMP):
                lump = out[start : start + _LUMP]
                end = start + (_LUMP if len(lump) == _LUMP else len(lump) + _SILENCE)
                self._ready.append((at + end * self._byte_us, lump))

    def _air(self, data: bytes, known: int) -> list[Stretch]:
        cards = self.chip.field.cards
        for exchange, us in self._card.exchanges[known:]:
            if exchange.response is not None:
                card, n = cards[0], len(exchange.response)
                apdu = len(exchange.command)
                return rf_time.exchange(apdu, n, us, card.fsc, _FSD, card.fwi, card.kind)
            return []
        for kind, payload in self._sniffer.decode(data):
            if kind == frames.DATA and payload[1] == _IN_LIST_PASSIVE_TARGET and cards:
                if _BR_TY[payload[3]] != cards[0].kind:
                    return []
                if cards[0].kind == "B":
                    return rf_time.activation_b()
                return rf_time.activation(cards[0].uid, cards[0].ats)
        return []

    async def read(self, n: int, timeout_ms: int) -> bytes:
        clock = self._clock
        late = bool(self._ready) and self._ready[0][0] <= clock.now_us
        clock.hidden(self._cost.poll, "port")
        if not late:
            if not self._ready or not timeout_ms:
                clock.advance(timeout_ms * 1000)
                return b""
            clock.until(self._ready[0][0])
            clock.cpu(self._cost.wake, "port")
        at, data = self._ready.popleft()
        if len(data) > n:
            self._ready.appendleft((at, data[n:]))
            data = data[:n]
        ack = data == frames.ACK
        while self._ready and self._ready[0][0] <= clock.now_us and len(data) < n and not ack:
            data += self._ready.popleft()[1]
        clock.cpu(self._cost.ack if ack else self._cost.receive.of(len(data)), "driver")
        return data

    def discard(self) -> None:
        self._ready.clear()


class ChipClock(Clock):
    """An MFRC522 or FM175xx keeps the time: its timer and its frames run on it."""

    def __init__(self, unit: Unit, chip: MFRC522Chip) -> None:
        super().__init__(unit)
        self._chip = chip

    @property
    def now_us(self) -> float:
        return self._chip.now_us

    def advance(self, us: float) -> None:
        self._chip.advance(us)


class AirWatch:
    """Notes the frames of an MFRC522's air as segments; the hooks of a card's Manners."""

    def __init__(self, clock: Clock, card: CardClock) -> None:
        self._clock = clock
        self._card = card
        self._end = 0.0

    def inbound(self, frame: Frame) -> Frame:
        self._end = self._clock.note(RF, self._clock.now_us, frame.air_us, "to the card")
        return frame

    def delay_us(self, command: bytes) -> float:
        return self._card.last_us

    def answer(self, delay_us: float, frame: Frame) -> None:
        clock = self._clock
        least = rf_time.FDT_CARD_B if frame.kind == "B" else rf_time.FDT_CARD
        at = clock.note(RF, self._end, least, "frame delay")
        at = clock.note(CARD, at, delay_us - least, "card")
        clock.note(RF, at, frame.air_us, "from the card")


class TimedSPI(FakeSPI):
    """The bus to an MFRC522, on which the driver's own work counts by access."""

    def __init__(self, chip: MFRC522Chip, clock: Clock, cost: TerminalCost) -> None:
        super().__init__(chip, clock.unit.spi_hz, overhead_us=clock.unit.spi_us)
        self._clock = clock
        self._cost = cost

    def cs(self, level: int) -> None:
        super().cs(level)
        if level:
            self._clock.hidden(self._cost.access, "driver")
