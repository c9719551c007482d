"""One simulated city: taxis, cards, office and acquirer, from one seed (docs/simulation.md)."""

import asyncio
import contextlib
import gc
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flagfall.clock import seconds_from_civil

from flagfall_host.acquirer.book import Book
from flagfall_host.acquirer.faults import FAULTS as ACQUIRER_MENU
from flagfall_host.acquirer.faults import Faults as AcquirerFaults
from flagfall_host.bench.install import settings
from flagfall_host.depot.link import Link
from flagfall_host.simulation import bounds, firmware_modules
from flagfall_host.simulation.acquirer_line import AcquirerHost
from flagfall_host.simulation.clear_tls import ClearKeys, certificate_push
from flagfall_host.simulation.driver import Driver
from flagfall_host.simulation.faults import Faults, strikes
from flagfall_host.simulation.fibers import fiber
from flagfall_host.simulation.files import Files
from flagfall_host.simulation.fleet import test_fleet
from flagfall_host.simulation.gateways import PORT, GatewayProgram
from flagfall_host.simulation.installer import install
from flagfall_host.simulation.mistakes import Mistakes
from flagfall_host.simulation.mortal import Killed
from flagfall_host.simulation.office import Office
from flagfall_host.simulation.power import PowerGone
from flagfall_host.simulation.press import Press
from flagfall_host.simulation.pushes import Pushes
from flagfall_host.simulation.radio import GATEWAYS, Radio
from flagfall_host.simulation.recorded_shift import RecordedShift
from flagfall_host.simulation.recorder import Tape
from flagfall_host.simulation.slots import Slots
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.taxi import Taxi, make_taxi
from flagfall_host.simulation.virtual_loop import VirtualLoop
from flagfall_host.simulation.wallet import ISSUER, Wallet
from flagfall_host.simulation.watch import Violation, Watch
from flagfall_host.simulation.watch_files import WatchFiles
from flagfall_host.simulation.wires import Line, LineFaults

_START = seconds_from_civil(2026, 3, 2, 0)
_K = (531, 1_000, 4_000)
_JOURNAL = 40 * 1_024  # small: it wraps, and now and then it is full
_TRIPS = 64 * 1_024
_HEAL_S = 4 * 3_600.0
_VISIT_S = (40.0, 680.0)
_CALLED_S = (10.0, 120.0)
_SETTLE_S = (80.0, 330.0)
_CARDS = 200
_PROFILES = (["ecash", "oda"], ["oda", "ecash"])  # how a unit prefers to take a tap
_GATEWAYS = ("gateway-1", "gateway-2", "gateway-3")
_STAYS = 0.3  # of the units with a modem: the connection is kept
_KILL_S = 300.0
_DRAIN_S = 3 * 3_600.0
_TRIALS_S = 1_800.0
_KEY_HEARD_S = 10.0
# All that an acquirer may do wrong; a refusal is its right, and no fault.
_LOSSES = tuple(name for name in ACQUIRER_MENU if name != "decline")


@dataclass
class Outcome:
    """What a run came to."""

    seed: int
    taps: int = 0
    trips: int = 0
    approved: int = 0
    cuts: int = 0
    kills: int = 0
    events: int = 0
    simulated_s: float = 0.0
    story_sha256: str = ""
    faults: dict[str, int] = field(default_factory=dict)  # how often each happened
    violation: str = ""
    story: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "story" or self.violation}


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
        menu = _Menu(chance, self._faults.acquirer, self.story)
        host = AcquirerHost.of(book, menu)
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
        self._office.fate.on_receipt = self._watch.receipted.__setitem__
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
        programs.append(loop.create_task(self._settlements()))
        houses = [loop.create_task(g.run()) for g in self._gateways]
        programs += [loop.create_task(self._kills(g)) for g in self._gateways]
        programs += [loop.create_task(p.run()) for p in self._pushes]
        end = loop.time() + self._hours * 3_600
        while loop.time() < end:
            await asyncio.sleep(min(10.0, end - loop.time()))
            self._must_be_well()
            bounds.must_hold(taxis, self._gateways)
            for looker in self._files:
                looker.look()
            for program in programs:
                if program.done():
                    program.result()
        await self._heal(taxis, tasks, programs, menu)
        for house in houses:
            house.cancel()
        await asyncio.gather(*houses, return_exceptions=True)
        for looker in self._files:
            looker.at_the_end(self._office.ledger())
        self._watch.books_agree(taxis, self._office.ledger(), book, self._wallet)
        await self._totals_agree(taxis)
        for taxi in taxis:
            await taxi.power_off()
        if self._tape is not None:
            self._tape.end(self._office.ledger(), book)
        self._office.close()
        book.close()
        self._no_card_numbers()

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
            gateway.fate.on_receipt = self._watch.receipted.__setitem__
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

    async def _settlements(self) -> None:
        chance = self._chance("settlements")
        while True:
            await asyncio.sleep(chance.uniform(*_SETTLE_S))
            await self._office.settle()

    # --- the end -------------------------------------------------------------------------------

    async def _heal(self, taxis, drivers, programs, menu) -> None:  # type: ignore[no-untyped-def]
        """Nothing goes wrong any more: everything that is open must come to its end."""
        self.story.tell("world", "heals")
        calm = self._faults.healed()
        menu.rate = 0.0
        self._office.faults = calm
        for gateway in self._gateways:
            gateway.fate.faults = calm
        for program in programs:
            program.cancel()
        await asyncio.gather(*programs, return_exceptions=True)
        for driver in self._drivers:
            driver.faults = calm
            driver.stop = True
            outside = driver.taxi.outside
            outside.paper_ready = True
            if outside.radio is not None:
                outside.radio.heal(calm)
                self._mistakes.let_in(driver.taxi)
            if outside.files is not None:
                outside.files.plan_cut(-1)
            outside.clock_error_s = 0
            for flash in (outside.journal_flash, outside.trips_flash):
                flash.plan_cut(-1, "before")
        _, late = await asyncio.wait(drivers, timeout=_HEAL_S)
        if late:
            raise Violation(f"{len(late)} drivers cannot end their trip")
        for driver in drivers:
            driver.result()
        for human in self._drivers:
            # A key that was pressed while the unit started anew is heard after that.
            await asyncio.sleep(_KEY_HEARD_S)
            await asyncio.wait_for(human.run(), _HEAL_S)
        self._must_be_well()
        for taxi in taxis:
            await self._drains(taxi)
            await self._pulled(taxi)
            if await self._programs_settled(taxi):
                await self._pulled(taxi)
        for _ in range(3):
            done = await self._office.settle()
        if not done:
            raise Violation("the office cannot settle though nothing is wrong any more")
        self._must_be_well()

    async def _pulled(self, taxi: Taxi) -> None:
        for _ in range(5):
            if await fiber(self._office.visit, taxi):
                return
            await asyncio.sleep(60)  # a program on trial is confirmed by then
        raise Violation(f"{taxi.name} cannot be pulled though nothing is wrong any more")

    async def _programs_settled(self, taxi: Taxi) -> bool:
        """Wait for the end of a trial that goes on. False: there are no two programs."""
        if taxi.outside.slots is None:
            return False
        until = self._loop.time() + _TRIALS_S
        while taxi.board is None or not taxi.board.chooser_rests():
            if self._loop.time() > until:
                raise Violation(f"{taxi.name}: the trial of a program does not end")
            await asyncio.sleep(10)
        return True

    async def _drains(self, taxi: Taxi) -> None:
        """A unit with a modem gets rid of its records by itself."""
        if taxi.outside.radio is None:
            return
        until = self._loop.time() + _DRAIN_S
        while not self._drained(taxi):
            if self._loop.time() > until:
                uplink = taxi.board and taxi.board.uplink and taxi.board.uplink.report.figures()
                raise Violation(f"{taxi.name}: the uplink does not drain: {uplink}")
            await asyncio.sleep(10)

    @staticmethod
    def _drained(taxi: Taxi) -> bool:
        booking = taxi.board.booking if taxi.board is not None else None
        return booking is not None and booking.news <= booking.journal.acked_seq

    async def _totals_agree(self, taxis: list[Taxi]) -> None:
        ledger = self._office.ledger()
        for taxi in taxis:
            info = await fiber(self._info, taxi)
            summary = ledger.summary(taxi.name)
            totals = info["totals"]
            for ours, theirs in (
                ("card_payments", "card_payments"),
                ("card_amount", "card_amount"),
                ("fares", "fares"),
                ("supplements", "supplements"),
            ):
                if totals[ours] != summary[theirs]:
                    raise Violation(
                        f"{taxi.name}: its total of {ours} is {totals[ours]}, the ledger's "
                        f"{summary[theirs]}"
                    )
            if info["journal"]["drops"]:
                raise Violation(f"{taxi.name}: {info['journal']['drops']} records dropped")
        # What the office must look into, and no defect: a torn payment whose card never came back,
        # and one whose card came back after the passenger had paid otherwise.
        findings = [f for f in ledger.check() if f.kind != "torn"]
        late = self._watch.resolved_late(ledger)
        findings = [f for f in findings if f.kind != "trip" or not late]
        if findings:
            raise Violation(f"the ledger's own check: {findings[0]}")

    def _info(self, taxi: Taxi) -> dict[str, Any]:
        from flagfall.link import messages

        line = Line(taxi.outside.cable, self._chance("info"), LineFaults())
        with Link(line, self._fleet.unit_key, nonce=self._chance("nonce").randbytes) as link:
            link.open()
            return link.ask(messages.INFO)  # type: ignore[return-value]

    def _no_card_numbers(self) -> None:
        """No card number in any file or story."""
        numbers = [n.encode() for n in self._wallet.numbers()]
        for path in self._folder.rglob("*"):
            if path.is_file() and "book" not in path.name:
                self._no_number_in(path.read_bytes(), numbers, path.name)
        self._no_number_in("\n".join(self.story.lines).encode(), numbers, "the story")

    @staticmethod
    def _no_number_in(data: bytes, numbers: list[bytes], where: str) -> None:
        # One look for what all of them begin with, before one for each.
        if ISSUER.encode() in data and any(number in data for number in numbers):
            raise Violation(f"a card number stands in {where}")


class _Menu(AcquirerFaults):
    """What the acquirer does wrong, by lot, in the place of acquirer.faults.Faults."""

    def __init__(self, chance: random.Random, rate: float, story: Story) -> None:
        super().__init__()
        self.rate = rate
        self._lot = chance
        self._story = story

    def next(self, mti: str) -> str | None:
        if self._lot.random() >= self.rate:
            return None
        fault = self._lot.choice(_LOSSES)
        self._story.strike(f"acquirer_{fault}")
        return fault
