"""The taxi under the seat: the bench unit, its clock running at the pace of life.

A thread of its own moves the world's clock, with or without power. What the hands do (keys, cards,
pedal, power) is done in another, one thing after the other, so that no caller ever waits.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from flagfall.clock import seconds_from_civil

from flagfall_host.bench.cards.card import Card
from flagfall_host.bench.drive.folder import SeatFolder
from flagfall_host.bench.drive.tear import TearAtLastRecord
from flagfall_host.bench.install import install
from flagfall_host.bench.stage import Silent
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.world import STEP_MS, BenchError, PowerIsGone
from flagfall_host.depot.languages import ENGLISH
from flagfall_host.errors import FlagfallError

K = 1_000  # pulses a kilometre
_HEAP = "640K"  # about an ESP32's 320 KB: a sitting may last a whole day
TOP_SPEED = 1_200  # 0.1 km/h
_FASTER, _SLOWER = 90, 200  # 0.1 km/h a second: pulling away, braking
_TAKEN_AWAY_MS = 900  # after the tone a passenger takes his card away
_EPOCH = seconds_from_civil(1970, 1, 1)

Tell = Callable[[str, Any], None]


def now_utc_s() -> int:
    """Seconds since 2000, by this computer's clock."""
    return int(time.time()) + _EPOCH


class _Installer(Silent):
    """Passes on what the installer says."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def tell(self, who: str, text: str) -> None:
        self._tell("progress", text)


class Rig:
    """One taxi in `folder`. `tell(kind, what)` is called from its threads:

    face (dict), tone (name), paper (lines), power (on), progress (text), trouble (text).
    `utc_s`: the time at a first start, seconds since 2000; `factor`: times faster than life;
    `language`: what a unit speaks that is installed now.
    """

    def __init__(
        self,
        folder: SeatFolder,
        tell: Tell,
        *,
        utc_s: int | None = None,
        factor: float = 1,
        language: str = ENGLISH,
    ) -> None:
        self.folder = folder
        self._tell = tell
        self.factor = factor
        self._language = language
        utc = now_utc_s() if utc_s is None else utc_s
        # The unit's clock runs on while nobody sits here, and never back.
        self._utc_s = max(utc, int(folder.state.get("utc_s", 0)) + 1)
        self.taxi: Taxi | None = None
        self.powered = False
        self.pedal = 0  # the speed that is asked for, 0.1 km/h
        self.held: str = ""  # the card at the reader
        self._take_away_at: float | None = None
        self._ending = False
        self._hands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._turns: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    # --- what may be read at any time ------------------------------------------------------

    @property
    def speed(self) -> int:
        """0.1 km/h."""
        return self.taxi.wheel.speed if self.taxi else 0

    @property
    def field_on(self) -> bool:
        """Whether the reader looks for a card."""
        return self.powered and self.taxi is not None and self.taxi.field.on

    @property
    def lit(self) -> str:
        """The reader's four lights, as the unit's pins have them: 1 is lit."""
        return self.taxi.world.lit if self.taxi else "0000"

    @property
    def paper_out(self) -> bool:
        """Whether the printer has no paper."""
        return self.taxi is not None and self.taxi.world.paper_out

    @property
    def cover_open(self) -> bool:
        """Whether the printer's cover is open."""
        return self.taxi is not None and self.taxi.world.cover_open

    @property
    def apdus(self) -> int:
        """Commands that cards have answered so far."""
        return self.taxi.field.counters.apdus if self.taxi else 0

    @property
    def receipts(self) -> int:
        """Slips that came out of the printer in this sitting."""
        return len(self.taxi.world.paper.jobs) if self.taxi else 0

    @property
    def port(self) -> str:
        """The cable's end at the office, empty when it is pulled out."""
        return self.taxi.cable.host if self.taxi else ""

    # --- start and end ---------------------------------------------------------------------

    def start(self) -> None:
        """Bring the unit up; a new folder is provisioned first. Blocks for some seconds."""
        fleet = None
        if not self.folder.installed:
            self._tell("progress", "makes the fleet's keys")
            fleet = self.folder.begin()
        self.taxi = Taxi(self.folder.taxi, k=K, utc_s=self._utc_s, factor=self.factor, heap=_HEAP)
        world = self.taxi.world
        world.on_face = lambda face: self._tell("face", face)
        world.on_paper = lambda lines, _path: self._tell("paper", lines)
        world.on_tone = self._tone
        self._tell("progress", "switches the power on")
        self.taxi.unit.power_on()
        if fleet is not None:
            install(self.taxi, fleet, K, _Installer(self._tell), language=self._language)
        self._keep()
        self.powered = True
        self._tell("power", True)
        for work in (self._run_clock, self._run_hands):
            thread = threading.Thread(target=work, name=work.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stop the threads and the unit, whatever they are at."""
        self._ending = True
        self.powered = False
        self._hands.put(None)
        taxi = self.taxi
        if taxi is not None:
            taxi.unit.power_off()
            for thread in self._threads:
                thread.join()
            self._keep()
            taxi.close()
            self.taxi = None

    def _keep(self) -> None:
        if self.taxi is not None:
            self.folder.keep(utc_s=self.taxi.world.utc_s)

    # --- the clock's thread ----------------------------------------------------------------

    def _run_clock(self) -> None:
        taxi = self.taxi
        if taxi is None:
            return
        while not self._ending:
            while not self._turns.empty():
                self._turns.get()()
            if self._take_away_at is not None and taxi.world.now_ms >= self._take_away_at:
                self._remove()
            try:
                if self.powered:
                    taxi.world.run(STEP_MS)
                    continue
            except PowerIsGone:
                if self.powered:
                    self._fell_over()
            except BenchError as e:
                self._tell("trouble", str(e))
                self._fell_over()
            taxi.world.pass_without_power(STEP_MS)
            time.sleep(STEP_MS / 1_000 / (self.factor or 1))

    def _fell_over(self) -> None:
        """The unit stopped by itself: a defect, or it was killed from outside."""
        if self._ending or self.taxi is None:
            return
        self.powered = False
        self.taxi.unit.power_off()
        self._tell("power", False)
        self._tell("trouble", f"the unit stopped by itself: see {self.folder.taxi}/unit.log")

    def _remove(self) -> None:
        self._take_away_at = None
        self.held = ""
        if self.taxi is not None:
            self.taxi.field.remove()

    def _tone(self, name: str) -> None:
        if self.taxi is not None and self.held and name != "refused":
            self._take_away_at = self.taxi.world.now_ms + _TAKEN_AWAY_MS
        self._tell("tone", name)

    # --- what the driver and the passenger do ----------------------------------------------

    def _run_hands(self) -> None:
        while True:
            action = self._hands.get()
            if action is None or self._ending:
                return
            try:
                action()
            except PowerIsGone:
                if not self._ending:
                    self._tell("trouble", "")
            except FlagfallError as e:
                self._tell("trouble", str(e))

    def press(self, key: str, text: str = "") -> None:
        """Press a key of the unit."""
        self._hands.put(lambda: self._taxi().world.press(key, text))

    def drive(self, speed: int) -> None:
        """Put the pedal where `speed` (0.1 km/h) will be reached."""
        self.pedal = min(TOP_SPEED, max(0, speed))
        self._turns.put(self._steer)

    def _steer(self) -> None:
        if self.taxi is None:
            return
        wheel = self.taxi.wheel
        speeds = [wheel.speed]
        while speeds[-1] != self.pedal:
            last = speeds[-1]
            up = self.pedal > last
            speeds.append(
                min(self.pedal, last + _FASTER) if up else max(self.pedal, last - _SLOWER)
            )
        wheel.drive(speeds)

    def tap(self, card: Card) -> None:
        """Hold `card` to the reader until it has beeped; held already: take it away."""
        self._turns.put(lambda: self._tap(card))

    def _tap(self, card: Card) -> None:
        if self.held:
            self._remove()
            return
        self.held = card.name
        self._taxi().field.place(card)

    def tear(self, card: Card) -> None:
        """Hold `card` to the reader and pull it away while its last record is read."""
        self._turns.put(lambda: self._tear(card))

    def _tear(self, card: Card) -> None:
        if self.held:
            self._remove()
        field = self._taxi().field
        watch = TearAtLastRecord(field)
        field.on_exchange = watch.heard
        field.tear(watch.matches, "answer")
        self._tap(card)

    def switch(self) -> None:
        """The power switch: off, or on again."""
        self._hands.put(self._switch)

    def _switch(self) -> None:
        taxi = self._taxi()
        on = not self.powered
        if on:
            taxi.unit.power_on()
            self.powered = True
        else:
            self.powered = False
            taxi.unit.power_off()
        self._tell("power", on)

    def take_paper(self) -> None:
        """Take the roll out of the printer, or put in a new one."""
        world = self._taxi().world
        world.paper_out = not world.paper_out

    def lift_cover(self) -> None:
        """Open the printer's cover, or close it."""
        world = self._taxi().world
        world.cover_open = not world.cover_open

    def _taxi(self) -> Taxi:
        if self.taxi is None:
            raise PowerIsGone("there is no taxi yet")
        return self.taxi

    def cable(self, plugged_in: bool) -> None:
        """Plug the office's end of the cable in, or pull it out."""
        cable = self._taxi().cable
        with contextlib.suppress(OSError):
            if plugged_in:
                cable.plug_in()
            else:
                cable.pull()
