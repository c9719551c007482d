"""Connections to the acquirer's host: its simulator, asked across simulated time."""

import asyncio
import random

from flagfall_host.acquirer import issuer
from flagfall_host.acquirer.book import Book
from flagfall_host.acquirer.faults import FAULTS
from flagfall_host.acquirer.faults import Faults as AcquirerFaults
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.simulator import Simulator
from flagfall_host.acquirer.working_keys import load_master_key
from flagfall_host.bench.cards.keys import TEST_KEYS
from flagfall_host.simulation.story import Story

_THERE_AND_BACK_S = 0.05
# All that an acquirer may do wrong; a refusal is its right, and no fault.
_LOSSES = tuple(name for name in FAULTS if name != "decline")


class AcquirerHost:
    """`connect` is what the loop's create_connection calls. `down`: nobody is there."""

    def __init__(self, simulator: Simulator, length_bytes: int) -> None:
        self.down = False
        self._simulator = simulator
        self._length = length_bytes

    @classmethod
    def of(cls, book: Book, faults: AcquirerFaults) -> "AcquirerHost":
        """A host with the bench's keys that keeps `book` and does wrong by `faults`."""
        profile = Profile.load()
        keys = issuer.load_master_key(TEST_KEYS), load_master_key()
        return cls(Simulator(profile, book, *keys, faults), profile.length_bytes)

    def connect(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, asyncio.Protocol]:
        if self.down:
            raise ConnectionRefusedError("connection refused")
        transport = _Connection(protocol, self._simulator, self._length)
        protocol.connection_made(transport)
        return transport, protocol


class _Connection(asyncio.Transport):
    """One connection: a whole frame with each write, as acquirer/lines.py does it."""

    def __init__(self, protocol: asyncio.Protocol, simulator: Simulator, length: int) -> None:
        super().__init__()
        self._protocol = protocol
        self._simulator = simulator
        self._length = length
        self._loop = asyncio.get_running_loop()
        self._open = True

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if self._open:
            reaction = self._simulator.react(bytes(data[self._length :]))
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
