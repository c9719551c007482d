"""Once nothing goes wrong any more, everything that is open must come to its end."""

import asyncio
from collections.abc import Callable

from flagfall_host.simulation.acquirer_line import Menu
from flagfall_host.simulation.driver import Driver
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.fibers import fiber
from flagfall_host.simulation.gateways import GatewayProgram
from flagfall_host.simulation.mistakes import Mistakes
from flagfall_host.simulation.office import Office
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.virtual_loop import running_loop
from flagfall_host.simulation.watch import Violation

_HEAL_S = 4 * 3_600.0
_DRAIN_S = 3 * 3_600.0
_TRIALS_S = 1_800.0
_KEY_HEARD_S = 10.0


class Healing:
    """Of one city. Every method raises Violation."""

    def __init__(
        self,
        drivers: list[Driver],
        office: Office,
        gateways: list[GatewayProgram],
        mistakes: Mistakes,
        menu: Menu,
        must_be_well: Callable[[], None],
    ) -> None:
        self._drivers = drivers
        self._office = office
        self._gateways = gateways
        self._mistakes = mistakes
        self._menu = menu
        self._must_be_well = must_be_well
        self._loop = running_loop()

    async def run(self, driving: list["asyncio.Task[None]"], faults: Faults) -> None:
        """To the end of all `driving`, then of what their units still hold."""
        self._calm(faults.healed())
        _, late = await asyncio.wait(driving, timeout=_HEAL_S)
        if late:
            raise Violation(f"{len(late)} drivers cannot end their trip")
        for task in driving:
            task.result()
        for driver in self._drivers:
            # A key that was pressed while the unit started anew is heard after that.
            await asyncio.sleep(_KEY_HEARD_S)
            try:
                await asyncio.wait_for(driver.run(), _HEAL_S)
            except TimeoutError:
                name = driver.taxi.name
                raise Violation(f"{name}: its driver cannot come to For Hire any more") from None
        self._must_be_well()
        for driver in self._drivers:
            await self._emptied(driver.taxi)
        for _ in range(3):
            done = await self._office.settle()
            if not done:
                await asyncio.sleep(60)  # the acquirer's host is away for no longer
        if not done:
            raise Violation("the office cannot settle though nothing is wrong any more")
        self._must_be_well()

    def _calm(self, calm: Faults) -> None:
        self._menu.rate = 0.0
        self._office.faults = calm
        for gateway in self._gateways:
            gateway.fate.faults = calm
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

    async def _emptied(self, taxi: Taxi) -> None:
        await self._drains(taxi)
        await self._pulled(taxi)
        if await self._programs_settled(taxi):
            await self._pulled(taxi)

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
