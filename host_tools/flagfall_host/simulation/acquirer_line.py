"""Connections to the acquirer's host: its simulator, asked across simulated time."""

import asyncio
import random
from collections.abc import Callable

from flagfall_host.acquirer import issuer
from flagfall_host.acquirer.book import Book
from flagfall_host.acquirer.faults import FAULTS
from flagfall_host.acquirer.faults import Faults as AcquirerFaults
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.simulator import Reaction, Simulator
from flagfall_host.acquirer.working_keys import load_master_key
from flagfall_host.bench.cards.keys import TEST_KEYS
from flagfall_host.simulation.story import Story

_THERE_AND_BACK_S = 0.05
_AWAY_S = (1.0, 60.0)
# All that an acquirer may do wrong; a refusal is its right, and no fault.
_LOSSES = tuple(name for name in FAULTS if name != "decline")


class AcquirerHost:
    """The host that keeps `book`. `connect` is what the loop's create_connection calls. `down`:
    nobody is there; `hits(fault)` says whether its host starts anew at a message, and forgets."""

    def __init__(self, book: Book, faults: AcquirerFaults, chance: random.Random) -> None:
        self.down = False
        self.hits: Callable[[str], bool] = lambda _fault: False
        self.length_bytes = 0
        self._book = book
        self._faults = faults
        self._chance = chance
        self._away_until = 0.0
        self._connections: list[_Connection] = []
        self._start()

    def _start(self) -> None:
        """With the bench's keys, and nothing in memory but them."""
        profile = Profile.load()
        keys = issuer.load_master_key(TEST_KEYS), load_master_key()
        self.length_bytes = profile.length_bytes
        self._simulator = Simulator(profile, self._book, *keys, self._faults)

    def connect(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, asyncio.Protocol]:
        if self.down or asyncio.get_running_loop().time() < self._away_until:
            raise ConnectionRefusedError("connection refused")
        connection = _Connection(protocol, self)
        self._connections.append(connection)
        protocol.connection_made(connection)
        return connection, protocol

    def gone(self, connection: "_Connection") -> None:
        self._connections.remove(connection)

    def react(self, frame: bytes) -> Reaction | None:
        """To a frame without its length; None: it was the last for a while."""
        if not self.hits("acquirer_restarted"):
            return self._simulator.react(frame)
        if self._chance.random() < 0.5:
            self._simulator.react(frame)  # booked, and nobody is told
        if self.hits("acquirer_forgets"):
            self._book.forget_keys()
        self._away_until = asyncio.get_running_loop().time() + self._chance.uniform(*_AWAY_S)
        for connection in list(self._connections):
            connection.abort()
        self._start()
        return None


class _Connection(asyncio.Transport):
    """One connection: a whole frame with each write, as acquirer/lines.py does it."""

    def __init__(self, protocol: asyncio.Protocol, host: AcquirerHost) -> None:
        super().__init__()
        self._protocol = protocol
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._open = True

    def write(self, data: bytes) -> None:  # type: ignore[override]
        reaction = self._host.react(bytes(data[self._host.length_bytes :])) if self._open else None
        if reaction is not None:
            delay = _THERE_AND_BACK_S + reaction.delay_s
            self._loop.call_later(delay, self._arrive, reaction.data, reaction.drop)

    def _arrive(self, data: bytes, drop: bool) -> None:
        if self._open and data:
            self._protocol.data_received(data)
        if drop:
            self.abort()

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._host.gone(self)
            self._loop.call_soon(self._protocol.connection_lost, None)


class Menu(AcquirerFaults):
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
