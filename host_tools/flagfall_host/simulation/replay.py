"""Plays a recorded shift on the bench: the real firmware, in MicroPython, in the same world.

Before each event the unit must show what it showed when the shift was recorded. At each receipt
the real depot pulls it into a ledger of its own; at the end the office settles with an acquirer of
its own, and all books must be those of the recording.
"""

import contextlib
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flagfall.journal.record import Record
from flagfall.link import messages

from flagfall_host.acquirer.book import Book
from flagfall_host.acquirer.faults import Faults as AcquirerFaults
from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.install import settings
from flagfall_host.bench.paper import Paper
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.wheel import Wheel
from flagfall_host.bench.world import BenchError
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import LinkError
from flagfall_host.depot.pull import pull
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.ledger.ledger import Ledger, Receipt
from flagfall_host.ledger.tables import RECORDS
from flagfall_host.simulation.acquirer_line import AcquirerHost
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.fleet import test_fleet
from flagfall_host.simulation.installer import install
from flagfall_host.simulation.office import Office, set_clock
from flagfall_host.simulation.recorded_shift import RecordedShift, told
from flagfall_host.simulation.road import Road
from flagfall_host.simulation.shift_books import books_of, part
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.virtual_loop import VirtualLoop
from flagfall_host.simulation.wallet import Owned, city_card

_SHOWS_S = 30.0  # the unit never needs longer to show something, even on a busy machine
_PATIENCE = 20  # a wait in vain for the reader would be a difference that no shift has
_ROUNDS = 2  # of the unit's tasks, until what an event began is done
_BEFORE = 12  # events told before a difference
_UNFELT = ("drive", "jump", "paper", "clock")


class Parted(BenchError):
    """The unit on the bench did not do what the recorded one did."""

    exit_code = 4


class RoadWheel(Wheel):
    """A distance generator on a recorded road."""

    def __init__(self, k: int, at_ms: int) -> None:
        super().__init__(k)
        self.road = Road()
        self._at_ms = at_ms
        self._pulses = 0

    def move(self, ms: int) -> None:
        if not ms:
            return  # nor does the wheel turn, though the road knows of later turns already
        self._at_ms += ms
        self._pulses = self.road.pulses(self._at_ms / 1_000, self.k)

    @property
    def pulses(self) -> int:
        return self._pulses


class PassengerField(Field):
    """A field whose card is taken away as soon as the unit has switched it off after a tap: as
    recorded passengers do at the tone, but not later than the unit looks for a card again."""

    def __init__(self) -> None:
        super().__init__()
        self._talked = False

    def hold(self, cards: list[Owned]) -> None:
        """Hold cards before the antenna, all at once."""
        for owned in cards:
            if self._on:
                owned.card.field_on()
        self._index = 0
        self._talked = False
        self.counters.placed += len(cards)
        self._placings.update({id(o.card): self.counters.placed for o in cards})
        self._cards += [owned.card for owned in cards]

    def exchange(self, card: Card, command: bytes) -> bytes:
        self._talked = True
        return super().exchange(card, command)

    def power(self, on: bool) -> None:
        super().power(on)
        if not on and self._talked:
            self._talked = False
            self.remove()


class PlainPaper(Paper):
    """Paper on which nothing is drawn."""

    def put(self, lines: list[str]) -> Path:
        return self.folder


class StatedLedger(Ledger):
    """A ledger that hands out receipts only up to `upto`, as another office did."""

    upto = 0

    def receipt(self, unit_id: str) -> Receipt | None:
        with self.reading() as db:
            query = sa.select(RECORDS.c.raw).where(
                RECORDS.c.unit_id == unit_id, RECORDS.c.seq == self.upto
            )
            raw = db.execute(query).scalar()
        if raw is None:
            return None
        record = Record(raw)
        return Receipt(record.epoch, record.seq, record.mac[:4])


@dataclass
class Ending:
    """What a replay came to."""

    seed: int
    events: int
    records: int
    payments: int
    cuts: int
    seconds: float


def replay(
    shift: RecordedShift,
    tell: Callable[[str], None] | None = None,
    patience_s: float = _SHOWS_S,
) -> Ending:
    """Play `shift`; `tell` gets a line for each event. Raises Parted where the two differ: where
    the unit has not shown within `patience_s` what the recorded one showed."""
    with tempfile.TemporaryDirectory(prefix="flagfall-") as folder:
        return _Replay(shift, Path(folder), tell, patience_s).run()


class _Replay:
    def __init__(
        self,
        shift: RecordedShift,
        folder: Path,
        tell: Callable[[str], None] | None,
        patience_s: float,
    ) -> None:
        self._shift = shift
        self._folder = folder
        self._tell = tell
        self._patience_s = patience_s
        self._told = told(shift)
        self._at = 0  # the event that is played
        self._fleet = test_fleet(folder / "fleet")
        self._cards = {int(n): city_card(kind, int(n)) for n, kind in shift.cards.items()}
        unit = folder / "unit"
        unit.mkdir(parents=True)
        (unit / "journal.flash").write_bytes(b"\xff" * shift.journal_bytes)
        (unit / "trips.flash").write_bytes(b"\xff" * shift.trips_bytes)
        seed = f"replay {shift.seed}"
        self._taxi = Taxi(unit, k=shift.k, utc_s=0, seed=seed, patience=_PATIENCE)
        self._field = PassengerField()
        self._taxi.field = self._taxi.chip.field = self._field
        self._world = world = self._taxi.world
        self._wheel = world.wheel = RoadWheel(shift.k, shift.begun_ms)
        world.paper = PlainPaper(unit / "receipts")
        world.on_paper = self._printed
        world.now_ms = shift.begun_ms
        self._error_s: int | None = 0  # of the clock, from the next step on
        self._set_clock()
        plain = Ledger.open(folder / "ledger.sqlite", lambda: world.utc_s)
        self._ledger = StatedLedger(plain.engine, plain.now)
        self._powered = False
        self._held: list[Owned] = []  # cards that come together
        self._planned: tuple[str, int, str] | None = None  # a cut while the unit starts
        # What the recorded unit shows.
        self._face: dict[str, Any] = {}
        self._tones: list[str] = []
        self._slips = 0
        self._light = ""  # of the reader, where it is waited for
        self._slips_here = 0
        self._plays: dict[str, Callable[..., None]] = {
            "step": self._step,
            "key": world.press,
            "drive": lambda at_ms, mm_s: self._wheel.road.drive(at_ms / 1_000, mm_s),
            "jump": self._wheel.road.jump,
            "hold": lambda number: self._held.append(self._cards[number]),
            "gone": self._field.remove,
            "tear": self._tear,
            "cut": self._cut,
            "dark": self._dark,
            "off": self._off,
            "on": self._on,
            "paper": self._paper,
            "clock": lambda error_s: setattr(self, "_error_s", error_s),
            "time": self._time,
            "receipt": self._receipt,
            "sees": self._sees,
        }

    def run(self) -> Ending:
        began = time.monotonic()
        shift = self._shift
        with self._taxi, contextlib.closing(self._ledger):
            self._install()
            for self._at, (verb, *what) in enumerate(shift.events):
                if self._tell:
                    self._tell(self._told[self._at])
                self._play(verb, what)
            self._compare()
        dark = sum(e[0] in ("dark", "off") for e in shift.events)
        books = shift.books
        seconds = time.monotonic() - began
        return Ending(
            shift.seed, len(shift.events), len(books.records), len(books.sales), dark, seconds
        )

    def _install(self) -> None:
        shift, taxi = self._shift, self._taxi
        taxi.unit.power_on()
        self._powered = True
        with Link(SerialWire(taxi.port), self._fleet.unit_key) as link:
            chosen = {**settings(shift.k), "profiles": shift.profiles}
            install(link, self._fleet, shift.unit_id, chosen, campaigns=shift.campaigns)
        self._world.wait_face("the unit to come up", position="FOR HIRE")

    def _play(self, verb: str, what: list[Any]) -> None:
        # A receipt that came during a tap, before that showed anything, came before its record.
        if self._held and verb not in ("hold", "receipt"):
            self._field.hold(self._held)
            self._held = []
        try:
            self._plays[verb](*what)
        except Parted:
            raise
        except (BenchError, LinkError) as e:
            if not (self._world.cut_reached and self._is_dark_next()):
                raise self._parted(str(e)) from e

    def _is_dark_next(self) -> bool:
        following = (e[0] for e in self._shift.events[self._at + 1 :] if e[0] not in _UNFELT)
        return next(following, None) == "dark"

    def _parted(self, what: str) -> Parted:
        before = self._told[max(0, self._at - _BEFORE) : self._at + 1]
        return Parted(
            f"the shift of seed {self._shift.seed} goes another way on the bench: {what}. "
            "Before that:\n  " + "\n  ".join(before)
        )

    # --- the world ---------------------------------------------------------------------------

    def _tear(self, apdu: int, moment: str) -> None:
        self._field.tear(lambda _apdu, index: index == apdu, moment)

    def _paper(self, there: bool) -> None:
        self._world.paper_out = not there

    def _set_clock(self) -> None:
        world = self._world
        if self._error_s is not None:
            world.set_clock(self._shift.utc_start + world.now_ms // 1_000 + self._error_s)
        self._error_s = None

    def _step(self, ms: int, times: int) -> None:
        self._set_clock()
        self._world.run(ms * times, step_ms=ms)

    def _cut(self, flash: str, operations: int, mode: str) -> None:
        if self._powered:
            self._settle()
            self._world.plan_cut(flash, operations, mode)
        else:
            self._planned = (flash, operations, mode)

    def _dark(self) -> None:
        world = self._world
        world.wait(lambda: world.cut_reached is not None, "the flash operation of the cut")
        self._gone_dark()

    def _off(self) -> None:
        self._settle()
        self._gone_dark()

    def _settle(self) -> None:
        """Let the unit end what it has begun, though it showed what came of it already."""
        for _ in range(_ROUNDS):
            self._world.go_round()

    def _gone_dark(self) -> None:
        self._taxi.unit.power_off()
        self._taxi.chip.power_cycle()
        self._powered = False
        self._face = {}
        self._world.face = {}

    def _on(self, at_ms: int) -> None:
        world = self._world
        world.pass_without_power(at_ms - world.now_ms)
        self._set_clock()
        self._powered = True
        planned, self._planned = self._planned, None
        self._taxi.unit.power_on(planned)

    # --- the office --------------------------------------------------------------------------

    def _link(self) -> Link:
        return Link(SerialWire(self._taxi.port), self._fleet.unit_key)

    def _receipt(self, upto: int) -> None:
        self._ledger.upto = upto
        with self._link() as link:
            link.open()
            pull(link, self._ledger)

    def _time(self, utc_s: int) -> None:
        self._error_s = None
        with self._link() as link:
            link.open()
            theirs = int(link.ask(messages.INFO)["time"])  # type: ignore[call-overload]
            set_clock(link, self._fleet.private_key, theirs, utc_s)

    # --- what the unit shows -----------------------------------------------------------------

    def _sees(self, news: dict[str, Any]) -> None:
        """Wait until the unit shows what the recorded one showed."""
        self._face.update(news.get("face", {}))
        self._tones += news.get("tones", [])
        self._slips += news.get("paper", 0)
        self._light = news.get("light", "")
        world = self._world
        try:
            world.wait(lambda: not self._differences(), "the face", seconds=self._patience_s)
        except BenchError as e:
            raise self._parted("; ".join(self._differences()) or str(e)) from e
        if "tones" in news or "paper" in news:
            self._settle()

    def _printed(self, _lines: list[str], _path: Path) -> None:
        """A slip is on paper, and the unit has been told so."""
        self._slips_here += 1

    def _differences(self) -> list[str]:
        world = self._world
        out = [
            f"the face shows {name} {world.face.get(name)!r}, not {value!r}"
            for name, value in self._face.items()
            if world.face.get(name) != value
        ]
        if world.tones != self._tones:
            out.append(f"tones ... {world.tones[-3:]}, not ... {self._tones[-3:]}")
        if self._slips_here != self._slips:
            out.append(f"{self._slips_here} slips of paper, not {self._slips}")
        if self._light and world.lights[-1:] != [self._light]:
            out.append(f"the reader is {world.lights[-1:]}, not {self._light}")
        return out

    # --- the end -----------------------------------------------------------------------------

    def _compare(self) -> None:
        shift = self._shift
        balances = {
            str(n): owned.balance for n, owned in sorted(self._cards.items()) if owned.has_purse
        }
        with contextlib.closing(self._settled()) as book:
            books = books_of(self._ledger, shift.unit_id, balances, book)
        difference = part(shift.books, books)
        if difference:
            raise Parted(f"the shift of seed {shift.seed} ends in other books: {difference}")

    def _settled(self) -> Book:
        """The book of an acquirer with whom the office has settled."""
        book = Book(self._folder / "book.sqlite")
        calm, chance = Faults().healed(), random.Random(0)  # noqa: S311
        host = AcquirerHost(book, AcquirerFaults(), chance)
        office = Office(
            self._folder, self._fleet, host, chance, calm, Story(), lambda: self._world.utc_s
        )
        loop = VirtualLoop()
        loop.hosts["acquirer"] = host.connect
        try:
            if not loop.run(office.settle()):
                raise Parted("the office cannot settle what was pulled from the bench")
        finally:
            office.close()
            loop.close()
        return book
