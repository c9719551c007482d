"""Records a simulated shift: a taxi whose outside world is written down as it acts.

The unit's clock moves in steps, as a bench unit's does (bench/world.py), and only while no card
is being read: what happens inside of one step then has one order on any runtime.
"""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flagfall_host.acquirer.book import Book
from flagfall_host.bench.cards.card import Card, CardLeft
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.simulation.board import Outside, ReaderPort, SimulatedBoard
from flagfall_host.simulation.flash import NorFlash
from flagfall_host.simulation.recorded_shift import RecordedShift
from flagfall_host.simulation.road import Road
from flagfall_host.simulation.shift_books import books_of
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.virtual_loop import VirtualLoop, running_loop
from flagfall_host.simulation.wallet import Wallet

_STEPS_MS = (100, 250, 1_000)  # one of them for each recorded unit
_DAY_S = 86_400
_QUIET_S = 0.1  # without a word to the card: longer than the firmware pauses between two
_LOOK_S = 0.02
_READY = "ready"  # the reader waits for a card, and all that needs none has been done
_MOMENT_S = 0.001
_POLL = b"\xd4\x4a"  # InListPassiveTarget
_CODE = slice(5, 7)  # where a PN532 frame has it


def merged(events: list[list[Any]]) -> list[list[Any]]:
    """Steps of the same length that follow each other become one, with how many they are."""
    out: list[list[Any]] = []
    for event in events:
        if event[0] != "step":
            out.append(event)
        elif out and out[-1][:2] == event:
            out[-1][2] += 1
        else:
            out.append([*event, 1])
    return out


class Tape:
    """What was done to a unit, and what it showed before each time."""

    def __init__(self) -> None:
        self.events: list[list[Any]] = []
        self.held: set[int] = set()
        self.wallet: Wallet | None = None
        self.taxi: RecordedTaxi | None = None
        self.running = False  # from the moment that the unit is installed
        self.shift: RecordedShift | None = None
        self._newest = 0  # where the newest doing stands
        self._face: dict[str, Any] = {}
        self._tones = 0
        self._paper = 0
        self._light = self.light = ""  # of the reader: as noted, and now

    def make_taxi(self, name: str, folder: Path, seed: str, **settings: Any) -> Taxi:
        """A recorded taxi, fresh from the factory."""
        self.taxi = RecordedTaxi(name, RecordedOutside(self, folder, seed, **settings))
        return self.taxi

    def campaigns(self, chance: random.Random) -> list[dict[str, Any]]:
        """Those that a recorded unit is installed with: none, or one for the whole day."""
        if self.taxi is None or chance.random() < 0.5:
            return []
        start = self.taxi.outside.utc_start
        return [{"id": 7, "name": "Test", "from": start, "until": start + _DAY_S, "percent": 20}]

    def installed(
        self, seed: int, k: int, profiles: list[str], campaigns: list[dict[str, Any]]
    ) -> None:
        """What the installer has put into the unit, which will start anew."""
        if self.taxi is not None:
            out = self.taxi.outside
            self.shift = RecordedShift(
                seed,
                self.taxi.name,
                k,
                profiles,
                campaigns,
                out.utc_start,
                out.clock_ms,
                len(out.journal_flash.data),
                len(out.trips_flash.data),
            )

    def begin(self) -> None:
        """The unit waits for its driver."""
        self.running = True
        self.see()

    def end(self, ledger: Ledger, book: Book) -> None:
        """All is healed, pulled and settled."""
        if self.shift is None or self.wallet is None:
            raise RuntimeError("no unit was recorded")
        cards = {str(n): self.wallet.cards[n] for n in sorted(self.held)}
        self.shift.cards = {n: owned.kind for n, owned in cards.items()}
        self.shift.events = merged(self.events)
        balances = {n: owned.balance for n, owned in cards.items() if owned.has_purse}
        self.shift.books = books_of(ledger, self.shift.unit_id, balances, book)

    def note(self, verb: str, *what: Any) -> None:
        """Something that the unit does not feel at once."""
        if self.running:
            self.events.append([verb, *what])

    def did(self, verb: str, *what: Any) -> None:
        """Something that the unit feels."""
        if self.running and self.taxi is not None:
            self.see()
            self._newest = len(self.events)
            self.events.append([verb, *what])
            self.taxi.outside.count_from_here()

    def before(self, verb: str, *what: Any) -> None:
        """What has to be arranged before the newest doing."""
        if self.running:
            self.events.insert(self._newest, [verb, *what])
            self._newest += 1

    def see(self) -> None:
        """Note what the unit shows, if that is news."""
        taxi = self.taxi
        if taxi is None or not taxi.powered:
            return
        shown = {name: value for name, value in taxi.face.items() if name != "said"}
        names = shown.keys() | self._face.keys()
        face = {n: shown.get(n) for n in sorted(names) if shown.get(n) != self._face.get(n)}
        paper = taxi.outside.slips
        news: dict[str, Any] = {}
        if face:
            news["face"] = face
        if len(taxi.tones) > self._tones:
            news["tones"] = taxi.tones[self._tones :]
        if paper > self._paper:
            news["paper"] = paper - self._paper
        if self.light == _READY != self._light:
            news["light"] = _READY
        if news:
            self.events.append(["sees", news])
        self._face, self._tones, self._paper = shown, len(taxi.tones), paper
        self._light = self.light

    def lost_power(self) -> None:
        """What the unit showed is gone."""
        self._face = {}
        self._light = self.light = ""

    def number(self, card: Card) -> int:
        """The number of a card of the wallet's, which was held."""
        cards = self.wallet.cards if self.wallet is not None else []
        number = next(n for n, owned in enumerate(cards) if owned.card is card)
        self.held.add(number)
        return number


class RecordedRoad(Road):
    """A road whose speeds are written down."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def drive(self, now_s: float, mm_s: int) -> None:
        self._tape.note("drive", round(now_s * 1_000), mm_s)
        super().drive(now_s, mm_s)

    def jump(self, mm: int) -> None:
        self._tape.note("jump", mm)
        super().jump(mm)


class RecordedField(Field):
    """A field whose cards are written down as they come, tear and go."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape
        self._torn_away = False

    def place(self, card: Card) -> None:
        if card not in self._cards:
            self._tape.did("hold", self._tape.number(card))
        super().place(card)

    def remove(self) -> None:
        if self._cards and not self._torn_away:
            self._tape.did("gone")
        super().remove()

    def exchange(self, card: Card, command: bytes) -> bytes:
        index, torn = self._index, self.counters.torn
        self._torn_away = True
        try:
            return super().exchange(card, command)
        except CardLeft:
            if self.counters.torn > torn:
                self._tape.before("tear", index, self._moment)
            raise
        finally:
            self._torn_away = False


class RecordedOutside(Outside):
    """What outlives the power of a recorded unit. `clock_ms`: as of the newest step."""

    def __init__(self, tape: Tape, folder: Path, seed: str, **settings: Any) -> None:
        self.tape = tape
        self.step_s = random.Random(f"{seed}/step").choice(_STEPS_MS) / 1_000  # noqa: S311
        self.clock_ms = 0
        self.slips = 0
        self._paper_ready = True
        self._clock_error_s = 0
        super().__init__(folder, seed, **settings)
        self.road = RecordedRoad(tape)
        self.field = RecordedField(tape)
        self.chip = PN532Chip(self.field)
        self._done: dict[str, int] = {}
        self.count_from_here()

    @property
    def flashes(self) -> dict[str, NorFlash]:
        return {"journal": self.journal_flash, "trips": self.trips_flash}

    def count_from_here(self) -> None:
        """Flash operations are counted from what is done now."""
        self._done = {name: f.programs + f.erases for name, f in self.flashes.items()}

    def operations(self, name: str) -> int:
        """Operations of a flash since the newest doing."""
        flash = self.flashes[name]
        return int(flash.programs + flash.erases) - self._done[name]

    @property
    def paper_ready(self) -> bool:
        return self._paper_ready

    @paper_ready.setter
    def paper_ready(self, there: bool) -> None:
        if there != self._paper_ready:
            self.tape.note("paper", there)
        self._paper_ready = there

    @property
    def clock_error_s(self) -> int:
        return self._clock_error_s

    @clock_error_s.setter
    def clock_error_s(self, error_s: int) -> None:
        if error_s != self._clock_error_s:
            self.tape.note("clock", error_s)
        self._clock_error_s = error_s

    def set_clock(self, utc_s: int) -> None:
        """The unit itself sets its clock."""
        self._clock_error_s = utc_s - self.utc_start - self.clock_ms // 1_000


class QuietPort(ReaderPort):
    """Knows when the chip was last told something else than to look for cards."""

    talked_at = -1.0

    async def write(self, data: bytes) -> None:
        if bytes(data[_CODE]) != _POLL:
            self.talked_at = self._loop.time()
        await super().write(data)


class Lights:
    """The reader's, which are written down."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def show(self, state: str) -> None:
        self._tape.light = state


class SteppedBoard(SimulatedBoard):
    """A board whose clock, wheel and calendar stand still between two steps."""

    def __init__(self, outside: RecordedOutside, loop: VirtualLoop) -> None:
        self._ticked = asyncio.Event()
        self._ticked.set()  # as boards/bench: power-on is the first word of the time
        self._moved = asyncio.Event()
        self._booking: Any = None
        super().__init__(outside, loop)
        self.lights = Lights(outside.tape)
        self._out = outside
        self._reader: QuietPort = QuietPort(self, outside.chip)
        outside.tape.did("on", loop.now_ms)
        self._on_ms = loop.now_ms
        self._pulses_before = self._now(self._on_ms)
        for name, flash in outside.flashes.items():
            flash.on_cut = lambda name=name, flash=flash: self._cut(name, flash)
        loop.call_later(outside.step_s, self._due)

    # --- steps -------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether reader or card are being talked to."""
        return self._loop.time() - self._reader.talked_at < _QUIET_S

    def _due(self) -> None:
        if self.dead:
            return
        if not self._out.tape.running:
            self._loop.call_later(self._out.step_s, self._due)  # time waits for the installer
        elif self.busy:
            self._loop.call_later(_LOOK_S, self._due)
        else:
            self._step()
            self._loop.call_later(self._out.step_s, self._due)

    def _step(self) -> None:
        out, now = self._out, self._loop.now_ms
        out.tape.did("step", now - out.clock_ms)
        self._now(now)
        self._ticked.set()
        self._moved.set()
        self._moved.clear()

    def _now(self, ms: int) -> int:
        """The clocks and the wheel move on; the pulses by then."""
        out = self._out
        out.clock_ms = ms
        self._utc_s = out.utc_start + ms // 1_000 + out.clock_error_s
        self._pulses = out.road.pulses(ms / 1_000, out.k)
        return self._pulses

    def _cut(self, name: str, flash: NorFlash) -> None:
        tape = self._out.tape
        tape.before("cut", name, self._out.operations(name), flash.power.mode)
        tape.note("dark")
        tape.lost_power()
        self.power_goes()

    # --- what a board is asked for -----------------------------------------------------------

    def ticks_ms(self) -> int:
        self.alive()
        return self._out.clock_ms - self._on_ms

    def pulses(self) -> int:
        self.alive()
        return self._pulses - self._pulses_before

    def utc_s(self) -> int:
        self.alive()
        return self._utc_s

    def set_utc_s(self, utc_s: int) -> None:
        self._out.tape.did("time", utc_s)
        self._out.set_clock(utc_s)
        self._utc_s = utc_s

    async def tick(self) -> None:
        await self._ticked.wait()
        self.alive()
        self._ticked.clear()

    async def sleep_ms(self, ms: int) -> None:
        until = self.ticks_ms() + ms
        while self.ticks_ms() < until:
            await self._moved.wait()

    async def print(self, lines: list[str]) -> None:
        self.alive()
        if not self._out.paper_ready:
            from drivers.escpos_printer import NO_PAPER

            raise OSError(NO_PAPER)
        self._out.slips += 1
        self._out.on_paper(lines)

    @property
    def booking(self) -> Any:
        """The firmware's, once it runs."""
        return self._booking

    @booking.setter
    def booking(self, booking: Any) -> None:
        self._booking = booking
        if booking is not None:
            journal = booking.journal
            journal.acknowledge = self._watched(journal, journal.acknowledge)

    def _watched(self, journal: Any, acknowledge: Callable[..., int]) -> Callable[..., int]:
        def watched(epoch: int, seq: int, link: bytes, time: int) -> int:
            if journal.acked_seq < seq <= journal.last_seq:
                self._out.tape.did("receipt", seq)
            return acknowledge(epoch, seq, link, time)

        return watched


class RecordedTaxi(Taxi):
    """A taxi to which everything that is done is written down."""

    board_type = SteppedBoard
    may_lose_ms = 1_000  # its meter looks more often than a checkpoint is made (app/meter.py)
    outside: RecordedOutside

    def __init__(self, name: str, outside: RecordedOutside) -> None:
        super().__init__(name, outside)
        self._tape = outside.tape

    def _shown(self, face: dict[str, Any]) -> None:
        super()._shown(face)
        if not self._tape.running and face.get("position") == "FOR HIRE":
            self._tape.begin()

    def press(self, key: str, text: str = "") -> None:
        if self.powered and not self.outside.keys.full():
            self._tape.did("key", key, text)
        super().press(key, text)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """As anybody sees it, who needs a moment to act: the unit has ended what it was at."""
        came = await super().until(condition, seconds)
        await running_loop().pause(_MOMENT_S)
        return came

    async def power_off(self) -> None:
        """Pulled between two things; a power that goes at any other moment goes in a flash."""
        while self.powered and self.board.busy:  # type: ignore[union-attr]
            await running_loop().pause(_LOOK_S)
        if self.powered:
            self._tape.did("off")
            self._tape.lost_power()
        await super().power_off()
