"""One simulated city: taxis, cards, office and acquirer, from one seed (docs/simulation.md)."""

import asyncio
import contextlib
import gc
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flagfall.clock import seconds_from_civil

from flagfall_host.acquirer.book import Book
from flagfall_host.bench.install import settings
from flagfall_host.depot.link import Link
from flagfall_host.simulation import bounds, firmware_modules
from flagfall_host.simulation.acquirer_line import AcquirerHost, Menu
from flagfall_host.simulation.clear_tls import ClearKeys, certificate_push
from flagfall_host.simulation.driver import Driver
from flagfall_host.simulation.faults import Faults, strikes
from flagfall_host.simulation.fibers import fiber
from flagfall_host.simulation.files import Files
from flagfall_host.simulation.fleet import test_fleet
from flagfall_host.simulation.gateways import PORT, GatewayProgram
from flagfall_host.simulation.healing import Healing
from flagfall_host.simulation.installer import install
from flagfall_host.simulation.mistakes import Mistakes
from flagfall_host.simulation.mortal import Killed
from flagfall_host.simulation.office import Office
from flagfall_host.simulation.outcome import Outcome
from flagfall_host.simulation.power import PowerGone
from flagfall_host.simulation.press import Press
from flagfall_host.simulation.pushes import Pushes
from flagfall_host.simulation.radio import GATEWAYS, Radio
from flagfall_host.simulation.reckoning import (
    accepted_is_booked,
    ledger_is_well,
    money_has_come,
    newest_booked,
    no_card_numbers,
    told_by,
    totals_agree,
)
from flagfall_host.simulation.recorded_shift import RecordedShift
from flagfall_host.simulation.recorder import Tape
from flagfall_host.simulation.slots import Slots
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.taxi import Taxi, make_taxi
from flagfall_host.simulation.virtual_loop import VirtualLoop
from flagfall_host.simulation.wallet import Wallet
from flagfall_host.simulation.watch import Violation, Watch
from flagfall_host.simulation.watch_files import WatchFiles
from flagfall_host.simulation.wires import Line, LineFaults

_START = seconds_from_civil(2026, 3, 2, 0)
_K = (531, 1_000, 4_000)
_JOURNAL = 40 * 1_024  # small: it wraps, and now and then it is full
_TRIPS = 64 * 1_024
_VISIT_S = (40.0, 680.0)
_CALLED_S = (10.0, 120.0)
_SETTLE_S = (80.0, 330.0)
_CARDS = 200
_PROFILES = (["ecash", "oda"], ["oda", "ecash"])  # how a unit prefers to take a tap
_GATEWAYS = ("gateway-1", "gateway-2", "gateway-3")
_STAYS = 0.3  # of the units with a modem: the connection is kept
_KILL_S = 300.0


def run(
    seed: int,
    *,
    units: int = 3,
    hours: float = 8.0,
    faults: Faults | None = None,
    tell: Callable[[str], None] | None = None,
    tape: Tape | None = None,
) -> Outcome:
    """Simulate; the same arguments give the same story, byte for byte. A `tape` records the
    city's only unit."""
    with (
        _seldom_collected(),
        tempfile.TemporaryDirectory(prefix="flagfall-", dir=_memory()) as folder,
    ):
        return _City(seed, units, hours, faults or Faults(), Path(folder), tell, tape).run()


def record(
    seed: int,
    *,
    hours: float,
    faults: Faults,
    tell: Callable[[str], None] | None = None,
) -> tuple[Outcome, RecordedShift | None]:
    """Simulate one taxi and record its shift; None if something happened that must not."""
    tape = Tape()
    outcome = run(seed, units=1, hours=hours, faults=faults.played(), tell=tell, tape=tape)
    return outcome, None if outcome.violation else tape.shift


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """Python looks for cycles less often: a tap makes thousands of things, and few in cycles."""
    was = gc.get_threshold()
    gc.set_threshold(20_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*was)


def _memory() -> str | None:
    """A folder in memory where there is one: the simulated disks need no real one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


class _City:
    def __init__(
        self,
        seed: int,
        units: int,
        hours: float,
        faults: Faults,
        folder: Path,
        tell: Callable[[str], None] | None,
        tape: Tape | None,
    ) -> None:
        self._seed = seed
        self._hours = hours
        self._faults = faults
        self._folder = folder
        self._loop = VirtualLoop()
        self._loop.set_exception_handler(self._exception)
        self.story = Story(tell=tell)
        self.story.clock = lambda: self._loop.now_ms
        self._watch = Watch(self.story)
        self._outcome = Outcome(seed)
        self._failed: BaseException | None = None
        self._units = units
        self._tape = tape
        self._drivers: list[Driver] = []
        self._gateways: list[GatewayProgram] = []
        self._press: Press | None = None
        self._pushes: list[Pushes] = []
        self._files: list[WatchFiles] = []
        self._office: Office

    def _chance(self, name: str) -> random.Random:
        """A stream of chance of its own for everybody: what one does moves nobody else's."""
        return random.Random(f"{self._seed}/{name}")  # noqa: S311

    def _exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, PowerGone) and self._failed is None:
            self._failed = error

    def _utc_s(self) -> int:
        """The right time, UTC seconds since 2000."""
        return _START + int(self._loop.time())

    def run(self) -> Outcome:
        outcome = self._outcome
        asyncio.set_event_loop(self._loop)
        firmware_modules.defects.clear()
        try:
            self._loop.run(self._city())
            self._must_be_well()
        except Violation as e:
            outcome.violation = str(e)
        finally:
            self._end()
        outcome.kills = self._office.kills + sum(g.kills for g in self._gateways)
        outcome.faults = dict(sorted(self.story.fired.items()))
        outcome.taps = sum(d.taps for d in self._drivers)
        outcome.trips = sum(d.trips for d in self._drivers)
        outcome.cuts = sum(d.taxi.cuts for d in self._drivers)
        outcome.approved = self._watch.approved
        outcome.events = self._loop.callbacks
        outcome.simulated_s = self._loop.time()
        outcome.story_sha256 = self.story.sha256
        outcome.story = self.story.last()
        return outcome

    def _end(self) -> None:
        """End what still runs, in order."""

        async def everybody() -> None:
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        for driver in self._drivers:
            board = driver.taxi.board
            if board is not None:
                board.dead = True
        self._loop.run(everybody())
        self._loop.close()
        asyncio.set_event_loop(None)

    def _must_be_well(self) -> None:
        if isinstance(self._failed, Violation):
            raise self._failed
        if self._failed is not None:
            raise Violation(f"defect: {self._failed!r}") from self._failed
        for defect in firmware_modules.defects:
            if isinstance(defect, Violation):  # seen from inside the unit
                raise defect
        for gateway in self._gateways:
            if gateway.violation is not None:
                raise gateway.violation
        if firmware_modules.defects:
            raise Violation(
                f"a unit started afresh after a defect: {firmware_modules.defects[0]!r}"
            )

    # --- the city ------------------------------------------------------------------------------

    async def _city(self) -> None:
        loop = self._loop
        self._fleet = test_fleet(self._folder / "fleet")
        self._wallet = Wallet(_CARDS, self._chance("cards"))
        for owned in self._wallet.cards:
            self._watch.card(owned)
        if self._tape is not None:
            self._tape.wallet = self._wallet
        book = Book(self._folder / "book.sqlite")
        chance = self._chance("acquirer")
        menu = Menu(chance, self._faults.acquirer, self.story)
        host = AcquirerHost(book, menu, chance)
        loop.hosts["acquirer"] = host.connect
        self._office = Office(
            self._folder,
            self._fleet,
            host,
            self._chance("office"),
            self._faults,
            self.story,
            self._utc_s,
        )
        self._watch.newest_booked = lambda unit: newest_booked(self._office.path, unit)
        host.hits = self._office.fate.hits
        taxis = []
        self._gateways = self._open_gateways()
        if self._faults.two_programs:
            chance = self._chance("press")
            numbers = sorted(self._wallet.numbers())
            self._press = Press(
                self._fleet, self._folder, chance, self.story, self._utc_s, numbers
            )
        self._mistakes = Mistakes(
            self._fleet,
            self._press,
            self._office,
            self._gateways,
            self._chance("mistakes"),
            self.story,
        )
        for number in range(1, self._units + 1):
            taxis.append(await self._new_taxi(f"TAXI-{number}"))
        tasks = [loop.create_task(d.run()) for d in self._drivers]
        programs = [loop.create_task(self._visits(d)) for d in self._drivers]
        programs.append(loop.create_task(self._settlements(book)))
        houses = [loop.create_task(g.run()) for g in self._gateways]
        programs += [loop.create_task(self._kills(g)) for g in self._gateways]
        programs += [loop.create_task(p.run()) for p in self._pushes]
        end = loop.time() + self._hours * 3_600
        while loop.time() < end:
            await asyncio.sleep(min(10.0, end - loop.time()))
            self._must_be_well()
            bounds.must_hold(taxis, self._gateways)
            self._watch.receipts(taxis)
            for looker in self._files:
                looker.look()
            for program in programs:
                if program.done():
                    program.result()
        self.story.tell("world", "heals")
        await _ended(programs)
        healing = Healing(
            self._drivers, self._office, self._gateways, self._mistakes, menu, self._must_be_well
        )
        await healing.run(tasks, self._faults)
        await _ended(houses)
        for looker in self._files:
            looker.at_the_end(self._office.ledger())
        self._watch.books_agree(taxis, self._office.ledger(), book, self._wallet)
        ledger = self._office.ledger()
        for taxi in taxis:
            chances = self._chance("info"), self._chance("nonce")
            told = await fiber(told_by, taxi, self._fleet.unit_key, *chances)
            totals_agree(taxi.name, told, ledger)
        money_has_come(ledger)
        ledger_is_well(ledger, self._watch.resolved_late(ledger))
        for taxi in taxis:
            await taxi.power_off()
        if self._tape is not None:
            self._tape.end(self._office.ledger(), book)
        self._office.close()
        book.close()
        no_card_numbers(self._folder, self.story.lines, self._wallet.numbers())

    async def _new_taxi(self, name: str) -> Taxi:
        chance = self._chance(name)
        k = chance.choice(_K)
        make = make_taxi if self._tape is None else self._tape.make_taxi
        taxi = make(
            name,
            self._folder / name,
            f"{self._seed}/{name}/unit",
            utc_start=_START,
            k=k,
            journal=_JOURNAL,
            trips=_TRIPS,
        )
        if self._chance(f"modem {name}").random() < self._faults.uplink:
            taxi.outside.radio = Radio(
                name, self._chance(f"radio {name}"), self._faults, self.story, self._utc_s
            )
        if self._press is not None:
            files = self._chance(f"files {name}")
            if files.random() < self._faults.two_programs:
                taxi.outside.files = Files(files, self.story.strike)
                taxi.outside.slots = Slots(taxi.outside.folder, self._press.releases)
                (taxi.outside.folder / "lists").mkdir()
        self._watch.unit(taxi)
        if taxi.outside.slots is not None:
            self._files.append(WatchFiles(taxi, self.story.strike))
        taxi.outside.on_payment = lambda fields, seq: self._watch.payment(name, fields, seq)
        await taxi.power_on()
        await asyncio.sleep(1)
        await fiber(self._install, taxi, k)
        if not await taxi.until(lambda: taxi.face.get("position") == "FOR HIRE", 120):
            raise Violation(f"{name} does not come up after it was installed: {taxi.face}")
        if self._press is not None and taxi.outside.slots is not None:
            self._pushes.append(
                Pushes(
                    taxi,
                    self._settings(taxi, k),
                    self._press,
                    self._office,
                    self._chance(f"pushes {name}"),
                    self._faults,
                    self.story,
                )
            )
        self._drivers.append(Driver(taxi, self._wallet, chance, self._faults, self.story))
        return taxi

    def _install(self, taxi: Taxi, k: int) -> None:
        fleet = self._fleet
        line = Line(taxi.outside.cable, self._chance("installer"), LineFaults())
        nonce = self._chance("nonce").randbytes
        with Link(line, fleet.unit_key, nonce=nonce) as link:
            certificate = None
            if taxi.outside.radio is not None:
                certificate = certificate_push(taxi.name, fleet.private_key)
            campaigns = self._tape.campaigns(self._chance("campaigns")) if self._tape else []
            chosen = self._settings(taxi, k)
            install(link, fleet, taxi.name, chosen, certificate, campaigns)
        if self._tape is not None:
            self._tape.installed(self._seed, k, chosen["profiles"], campaigns)

    def _settings(self, taxi: Taxi, k: int) -> dict[str, Any]:
        profiles = self._chance(f"profiles {taxi.name}").choice(_PROFILES)
        chosen = {**settings(k), "profiles": profiles}
        if taxi.outside.radio is not None:
            chosen["uplink"] = self._uplink(taxi.name)
        return chosen

    def _uplink(self, name: str) -> dict[str, Any]:
        stay = self._chance(f"uplink {name}").random() < _STAYS
        return {"gateway": f"{GATEWAYS}:{PORT}", "apn": "test", "every_s": 1_800, "stay": stay}

    def _open_gateways(self) -> list[GatewayProgram]:
        keys = ClearKeys(self._fleet)
        out = []
        for name in _GATEWAYS if self._faults.uplink else ():
            chance = self._chance(name)
            gateway = GatewayProgram(
                name, self._office.path, keys, chance, self._faults, self.story, self._utc_s
            )
            out.append(gateway)
        return out

    async def _kills(self, gateway: GatewayProgram) -> None:
        while True:
            await asyncio.sleep(_KILL_S)
            if gateway.fate.hits("gateway_killed"):
                gateway.die(Killed("between two things"))

    async def _visits(self, driver: Driver) -> None:
        """Pull a unit now and then, and soon when its driver calls."""
        taxi = driver.taxi
        chance = self._chance(f"visits {taxi.name}")
        mistakes = self._chance(f"mistakes at {taxi.name}")
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(driver.calls.wait(), chance.uniform(*_VISIT_S))
                await asyncio.sleep(chance.uniform(*_CALLED_S))
            driver.calls.clear()
            await fiber(self._office.visit, taxi)
            if strikes(chance, self._office.faults, "two_gateways", self.story.strike):
                await fiber(self._office.visit, taxi)
            if strikes(mistakes, self._office.faults, "operator", self.story.strike):
                await self._mistakes.one(taxi)

    async def _settlements(self, book: Book) -> None:
        chance = self._chance("settlements")
        while True:
            await asyncio.sleep(chance.uniform(*_SETTLE_S))
            await self._office.settle()
            accepted_is_booked(self._office.path, book)


async def _ended(programs: list["asyncio.Task[None]"]) -> None:
    for program in programs:
        program.cancel()
    await asyncio.gather(*programs, return_exceptions=True)
