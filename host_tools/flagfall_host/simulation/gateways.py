"""Gateways on one ledger: the real door, visits and desk, in programs that may be killed."""

import asyncio
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flagfall_host.gateway.desk import Desk, _Delivery
from flagfall_host.gateway.limits import Limits
from flagfall_host.gateway.server import Gateway
from flagfall_host.ledger.booking import BookingResult
from flagfall_host.ledger.standing import Standing
from flagfall_host.simulation.clear_tls import ClearKeys
from flagfall_host.simulation.faults import Faults
from flagfall_host.simulation.mortal import Fate, Killed, MortalLedger
from flagfall_host.simulation.radio import GATEWAYS
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.watch import Violation

PORT = 7443
_COMMIT_S = 0.02  # deliveries that come within that are booked in one commit
_LOOK_S = 0.003
_RESTART_S = (0.5, 90.0)
_LIMITS = Limits(look_s=30.0, health_s=60.0, drain_s=1.0)


class DeskAtOnce(Desk):
    """The desk without its threads: a commit takes a moment, and the program may die of it."""

    def __init__(
        self, program: "GatewayProgram", ledger: Any, on_batch: Callable[[int, float], None]
    ) -> None:
        self._ledger = ledger
        self._on_batch = on_batch
        self._loop = asyncio.get_running_loop()
        self._began = {}
        self._program = program
        self.waiting: list[_Delivery] = []

    def close(self) -> None:
        self.waiting.clear()

    async def look(self, question: Callable[..., Any], *words: Any) -> Any:
        await asyncio.sleep(_LOOK_S)
        try:
            return question(*words)
        except Killed as e:
            self._program.die(e)
        return await self._loop.create_future()  # nobody comes back from the dead

    async def book(
        self, unit_id: str, raws: list[bytes], journal_key: bytes
    ) -> tuple[BookingResult, Standing]:
        self._program.note_delivery(unit_id)
        answer = self._loop.create_future()
        if not self.waiting:
            self._loop.call_later(_COMMIT_S, self._commit)
        self.waiting.append(_Delivery(unit_id, raws, journal_key, answer, self._loop.time()))
        return await answer

    def _commit(self) -> None:
        batch, self.waiting = self.waiting, []
        if batch and not self._program.dead:
            try:
                self._book(batch)
            except Killed as e:
                self._program.die(e)

    def _tell(self, batch: list[_Delivery], answers: list[Any]) -> None:
        self._program.fate.may_keep_receipt()
        for delivery, answer in zip(batch, answers, strict=True):
            if not isinstance(answer, Exception):
                self._program.tell(f"{delivery.unit_id} booked up to {answer[1].last_seq}")
        super()._tell(batch, answers)


class GatewayProgram:
    """One gateway for as long as the city lives: `run` starts it again whenever it was killed."""

    def __init__(
        self,
        name: str,
        path: Path,
        keys: ClearKeys,
        chance: random.Random,
        faults: Faults,
        story: Story,
        now: Callable[[], int],
    ) -> None:
        self.name = name
        self.kills = 0
        self.dead = False
        self.violation: Violation | None = None
        self.shut_out: dict[str, float] = {}  # units, and when nothing of them may come any more
        self.fate = Fate(chance, faults, story)
        self.gateway: Gateway | None = None
        self.desk: DeskAtOnce | None = None
        self._path = path
        self._keys = keys
        self._chance = chance
        self._story = story
        self._now = now
        self._loop: Any = asyncio.get_running_loop()
        self._died = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._ledger: MortalLedger | None = None

    def tell(self, words: str) -> None:
        """A line of the story, as long as it lives."""
        if not self.dead:
            self._story.tell(self.name, words)
        if "booking failed" in words:
            self.violation = Violation(f"{self.name}: {words}")

    def _make_desk(self, ledger: Any, on_batch: Callable[[int, float], None]) -> DeskAtOnce:
        self.desk = DeskAtOnce(self, ledger, on_batch)
        return self.desk

    def note_delivery(self, unit_id: str) -> None:
        """Count what the simulation is there for: a unit that does not know of this delivery."""
        if self._loop.time() > self.shut_out.get(unit_id, math.inf):
            self.violation = Violation(f"{self.name} books for {unit_id}, which is shut out")
        visit = self.gateway._visits.get(unit_id) if self.gateway is not None else None
        gate = visit.wire._transport if visit is not None else None
        if gate is not None and gate._connection.ended:  # type: ignore[attr-defined]
            self._story.strike("two_gateways_at_once")

    async def run(self) -> None:
        try:
            while True:
                await self._live()
                await asyncio.sleep(self._chance.uniform(*_RESTART_S))
        finally:
            self._stop()

    async def _live(self) -> None:
        self.dead = False
        self._died.clear()
        self._ledger = MortalLedger.of(self._path, self._now, self.fate)
        self.gateway = Gateway(
            self._ledger,
            self._keys,
            _LIMITS,
            self.tell,
            desk=self._make_desk,
            nonce=self._chance.randbytes,
        )
        self._main = self._loop.create_task(self.gateway.run((GATEWAYS, PORT), None))
        died = self._loop.create_task(self._died.wait())
        await asyncio.wait({self._main, died}, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if self._main.done() and not self.dead:
            self._main.result()  # a defect: it ends only when it is told to

    def die(self, why: BaseException) -> None:
        """Killed: not a byte goes out any more, and nothing is booked."""
        if self.dead:
            return
        self.kills += 1
        self._story.tell(self.name, f"killed {why}")
        self._stop()
        self._died.set()

    def _stop(self) -> None:
        self.dead = True
        if self.gateway is None:
            return
        for wire in sorted(self.gateway._open, key=lambda wire: (wire.name, wire.made_at)):
            if wire._transport is not None:
                wire._transport.kill()  # type: ignore[attr-defined]
        for task in list(self.gateway._tasks):
            task.cancel()
        if self._main is not None:
            self._main.cancel()
        if self._ledger is not None:
            self._ledger.close()
        self.gateway = self.desk = None
