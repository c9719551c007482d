"""The fleet's office: programs that pull units and settle, each of which may die at any commit."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flagfall.link import messages
from flagfall.meter.clock_budget import LIMIT_S

from flagfall_host.acquirer.commits import Commits
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.served import Served
from flagfall_host.acquirer.worker import Worker
from flagfall_host.bench.install import MERCHANT_ID, TERMINAL_ID
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import UnitRefused
from flagfall_host.depot.permit import TIME, push_permit
from flagfall_host.depot.pull import pull
from flagfall_host.depot.pulled import LostRecords
from flagfall_host.errors import FlagfallError
from flagfall_host.simulation.acquirer_line import AcquirerHost
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.mortal import Fate, Killed, MortalLedger
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.wires import Line, LineFaults

_CLOCK_OFF_S = 2
_ERRANDS = 8  # for one unit


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def set_clock(link: Link, key: RSAPrivateKey, theirs: int, right: int) -> None:
    """Set a unit's clock from `theirs` to `right`, UTC seconds since 2000. Raises UnitRefused."""
    if abs(theirs - right) > LIMIT_S:
        push_permit(link, key, TIME, right.to_bytes(4, "little"))
    link.ask(messages.TIME, messages.pack_u32(right))


class Office:
    """`visit` pulls a unit, `settle` talks to the acquirer; both in a fiber of their own."""

    def __init__(
        self,
        folder: Path,
        fleet: Fleet,
        host: AcquirerHost,
        chance: random.Random,
        faults: Faults,
        story: Story,
        now: Callable[[], int],
    ) -> None:
        self.fate = Fate(chance, faults, story)
        self.kills = 0
        self.path = folder / "ledger.sqlite"
        self._fleet = fleet
        self._host = host
        self._chance = chance
        self._story = story
        self._now = now
        self._ledger: MortalLedger | None = None
        self._errands: dict[str, list[Callable[[Link], None]]] = {}  # for the next cable

    # --- what may happen to a program --------------------------------------------------------

    @property
    def faults(self) -> Faults:
        return self.fate.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.fate.faults = faults

    def ledger(self) -> MortalLedger:
        if self._ledger is None:
            self._ledger = MortalLedger.of(self.path, self._now, self.fate)
        return self._ledger

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    @contextlib.contextmanager
    def _mortal(self, who: str) -> Iterator[None]:
        """A program: its death takes its connections with it, its errors are told."""
        try:
            yield
        except Killed as e:
            self._die(who, e)
        except BaseExceptionGroup as group:
            dead, other = group.split(Killed)
            if dead is None or other is not None:
                raise
            self._die(who, _first(dead))
        except FlagfallError as e:
            self._story.tell(who, f"{type(e).__name__}")

    def _die(self, who: str, why: BaseException) -> None:
        self.kills += 1
        self._story.tell(who, f"killed {why}")
        self.close()

    # --- programs ------------------------------------------------------------------------------

    @property
    def private_key(self) -> RSAPrivateKey:
        return self._fleet.private_key

    def in_a_program(self, who: str, work: Callable[[], object]) -> bool:
        """Run a short program of the office's. True if it came to its end."""
        with self._mortal(who):
            work()
            return True
        return False

    def errand(self, unit_id: str, work: Callable[[Link], None]) -> None:
        """To be done when the unit's cable is next in; again if it could not be done."""
        errands = self._errands.setdefault(unit_id, [])
        if len(errands) < _ERRANDS:
            errands.append(work)

    def visit(self, taxi: Taxi) -> bool:
        """Pull one unit. True if everything went well."""
        faults = self.faults
        line = Line(
            taxi.outside.cable,
            self._chance,
            LineFaults(
                faults.lose,
                faults.double,
                faults.damage,
                faults.delay,
                faults.pull,
                self._story.strike,
            ),
        )
        done = False
        try:
            with self._mortal(f"depot at {taxi.name}"):
                ledger = self.ledger()
                link = Link(line, self._fleet.unit_key, nonce=self._chance.randbytes)
                unit = link.open()
                result = pull(link, ledger)
                self._set_clock(link, taxi, result.info.get("time"))
                errands = self._errands.get(taxi.name, [])
                for errand in list(errands):
                    errand(link)
                    if errand in errands:
                        errands.remove(errand)
                link.close()
                self._story.tell("depot", f"{unit.unit_id} booked up to {result.receipt_upto}")
                done = True
        except LostRecords as e:
            self._story.tell("depot", str(e))
        finally:
            line.close()
        return done

    def _set_clock(self, link: Link, taxi: Taxi, theirs: Any) -> None:
        """As `flagfall unit time` does it, with a permit if it is far off."""
        right = self._now()
        if not isinstance(theirs, int) or abs(theirs - right) <= _CLOCK_OFF_S:
            return
        try:
            set_clock(link, self._fleet.private_key, theirs, right)
            self._story.tell("depot", f"{taxi.name}: its clock is set")
        except UnitRefused as e:
            self._story.tell("depot", str(e))

    async def settle(self) -> bool:
        """Upload and settle. True if nothing is left open."""
        self._host.down = self.fate.hits("acquirer_down")
        with self._mortal("settlement"):
            ledger = self.ledger()
            served = Served(Terminal(TERMINAL_ID, MERCHANT_ID))
            worker = Worker(
                ledger,
                self._fleet.private_key,
                [served],
                "acquirer",
                1,
                commits=CommitsAtOnce(ledger),
            )
            total = await worker.until_done(settle=True)
            await worker.close()
            uploaded = total.uploaded
            self._story.tell(
                "settlement",
                f"{uploaded.accepted} accepted, {len(total.settled)} batches settled",
            )
            for refused in uploaded.refused:
                self._story.tell("settlement", f"refused {refused}")
            for error in total.failed.values():
                self._story.tell("settlement", type(error).__name__)
            return not (uploaded.refused or uploaded.unreadable or total.failed or total.unserved)
        return False


class CommitsAtOnce(Commits):
    """The worker's commits without their thread."""

    def _put(self, job: Any) -> "asyncio.Future[Any]":
        if job.moves:
            self._commit([job])
        else:
            job.outcome = (job.work(), None)
        job.settle()
        return job.future  # type: ignore[no-any-return]
