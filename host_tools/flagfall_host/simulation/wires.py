"""The cable between a unit and an office, with what can happen to the bytes on it."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from flagfall_host.depot.link_errors import PortLost
from flagfall_host.simulation.fibers import settle, wait, within
from flagfall_host.simulation.virtual_loop import running_loop

_BAUD = 921_600
_BITS = 10
_UNPLUGGED_S = 1.0


@dataclass
class LineFaults:
    """Chances, each for one write on the line."""

    lose: float = 0.0
    double: float = 0.0
    damage: float = 0.0
    delay: float = 0.0  # arrives after what was written later
    pull: float = 0.0  # the cable is pulled off
    strike: Callable[[str], None] = lambda fault: None  # told of each that happens


class UnitEnd:
    """The unit's port: `read`, `write`, `discard` of any board's serial port."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self._came = bytearray()
        self._waiter: asyncio.Future[None] | None = None

    async def read(self, n: int, timeout_ms: int) -> bytes:
        if not self._came and timeout_ms > 0:
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            # Nothing comes from a socket in which there is no plug: look at it seldom.
            seconds = _UNPLUGGED_S if self.line is None else timeout_ms / 1_000
            await within(waiter, seconds)
        data = bytes(self._came[:n])
        del self._came[:n]
        return data

    async def write(self, data: bytes) -> None:
        if self.line is not None:
            self.line.to_host(bytes(data))

    def discard(self) -> None:
        self._came.clear()

    def arrive(self, data: bytes) -> None:
        self._came += data
        self.wake()

    def wake(self) -> None:
        settle(self._waiter)


@dataclass
class _Way:
    """One direction of a line: when it is free again."""

    free_at: float = 0.0


class Line:
    """A cable that is plugged in. The host's end is a `Wire` for depot/link.py, in a fiber."""

    name = "cable"

    def __init__(
        self, unit: UnitEnd, chance: random.Random, faults: LineFaults, baud: int = _BAUD
    ) -> None:
        self.baud = baud
        self._unit = unit
        self._chance = chance
        self._faults = faults
        self._loop = running_loop()
        self._there, self._back = _Way(), _Way()
        self._came = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self.pulled = False
        unit.line = self
        unit.wake()

    # --- the host's end --------------------------------------------------------------------

    def now(self) -> float:
        return self._loop.time()

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def write(self, data: bytes) -> None:
        self._check()
        self._send(self._there, data, self._unit.arrive)

    def read(self, timeout_s: float) -> bytes:
        self._check()
        if not self._came:
            self._waiter = waiter = self._loop.create_future()
            self._loop.settle_later(timeout_s, waiter)
            wait(waiter)
        self._check()
        data = bytes(self._came)
        self._came.clear()
        return data

    def close(self) -> None:
        if self._unit.line is self:
            self._unit.line = None
        self.pulled = True

    def _check(self) -> None:
        if self.pulled:
            raise PortLost(f"{self.name}: the cable was pulled off: plug it in and run it again")

    # --- the unit's end --------------------------------------------------------------------

    def to_host(self, data: bytes) -> None:
        self._send(self._back, data, self._arrive)

    def _arrive(self, data: bytes) -> None:
        self._came += data
        settle(self._waiter)

    def _send(self, way: _Way, data: bytes, arrive) -> None:  # type: ignore[no-untyped-def]
        if self.pulled:
            return
        faults, chance = self._faults, self._chance
        way.free_at = max(way.free_at, self._loop.time()) + len(data) * _BITS / self.baud
        at = way.free_at
        draw = chance.random()
        if draw < faults.pull:
            faults.strike("pull")
            self.close()
            return
        draw -= faults.pull
        if draw < faults.lose:
            faults.strike("lose")
            return
        draw -= faults.lose
        if draw < faults.damage:
            faults.strike("damage")
            spoiled = bytearray(data)
            spoiled[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            data = bytes(spoiled)
        elif draw < faults.damage + faults.double:
            faults.strike("double")
            self._loop.call_at(at, arrive, data)
        elif draw < faults.damage + faults.double + faults.delay:
            faults.strike("delay")
            at += chance.uniform(0.001, 0.3)
        self._loop.call_at(at, arrive, data)
