"""A unit's board in the simulation: what firmware/unit.py asks of any board."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip
from flagfall_host.simulation.fibers import settle, within
from flagfall_host.simulation.files import Files
from flagfall_host.simulation.flash import NorFlash
from flagfall_host.simulation.power import PowerGone
from flagfall_host.simulation.radio import ModemPort, Ppp, Radio
from flagfall_host.simulation.road import Road
from flagfall_host.simulation.slots import Slots
from flagfall_host.simulation.virtual_loop import VirtualLoop, running_loop
from flagfall_host.simulation.wires import UnitEnd

TICK_MS = 1_000  # a fare does not depend on how often the meter looks
_ANSWER_S = 0.003  # PN532: a short frame there and back
_EMPTY_FIELD_S = 0.15  # a look for cards that finds none
_IN_LIST_PASSIVE_TARGET = b"\xd4\x4a"


class Outside:
    """What outlives a unit's power: flash, files, battery-backed clock, road, card field, cable.

    `utc_s` counts from 2000 and is `clock_error_s` off; `seed` makes the unit's random bytes.
    """

    def __init__(
        self, folder: Path, seed: str, utc_start: int, k: int, journal: int, trips: int
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.chance = random.Random(seed)  # noqa: S311 - repeatable is what is wanted
        self.utc_start = utc_start
        self.clock_error_s = 0
        self.k = k
        self.journal_flash = NorFlash(journal, seed=self.chance.getrandbits(30) | 1)
        self.trips_flash = NorFlash(trips, seed=self.chance.getrandbits(30) | 1)
        self.road = Road()
        self.field = Field()
        self.chip = PN532Chip(self.field)
        self.cable = UnitEnd()
        self.radio: Radio | None = None  # a modem, if there is one
        self.files: Files | None = None  # those whose changes the power may cut
        self.slots: Slots | None = None  # two programs and room for lists
        self.bad_sectors = False
        self.dark_at = 0.0  # when the power went last, seconds
        self.paper_ready = True
        self.on_face: Callable[[dict[str, Any]], None] = lambda face: None
        self.on_tone: Callable[[str], None] = lambda name: None
        self.on_paper: Callable[[list[str]], None] = lambda lines: None
        self.on_payment: Callable[[dict[str, Any], int | None], None] = lambda fields, seq: None
        self.keys: asyncio.Queue[tuple[str, str]] = asyncio.Queue(maxsize=16)


class SimulatedBoard:
    """One power-on of a unit."""

    model = "simulation"

    def __init__(self, outside: Outside, loop: VirtualLoop) -> None:
        self._outside = outside
        self._loop = loop
        self._on_at = loop.time()
        self._pulses_before = outside.road.pulses(self._on_at, outside.k)
        self.died = asyncio.Event()
        self.dead = False
        self.booking: Any = None  # the firmware's, once it runs
        self.uplink: Any = None
        self.meter: Any = None
        self.files = outside.files
        self.chooser: Any = None
        self.program_folder: Path | None = None
        if outside.slots is not None:
            self.lists_root = str(outside.folder / "lists")
        if self.files is not None:
            self.files.on_cut = self.power_goes
            self.files.must_live = self.alive
        self.journal_flash = outside.journal_flash
        self.trips_flash = outside.trips_flash
        self.files_root = str(outside.folder)
        self.display = self.buzzer = self.printer = self
        self._reader = ReaderPort(self, outside.chip)
        while not outside.keys.empty():
            outside.keys.get_nowait()  # nobody heard them
        outside.chip.power_cycle()
        for flash in (outside.journal_flash, outside.trips_flash):
            flash.power_on()
            flash.on_cut = self.power_goes

    def power_goes(self) -> None:
        """The power goes now, in the middle of what the unit does."""
        self._outside.dark_at = self._loop.time()
        self.dead = True
        self.died.set()
        if self._outside.radio is not None:
            self._outside.radio.power_goes()
        if self.files is not None:
            self.files.power_goes()
        raise PowerGone

    def alive(self) -> None:
        if self.dead:
            raise PowerGone

    # --- clock and wheel -------------------------------------------------------------------

    def ticks_ms(self) -> int:
        self.alive()
        return round((self._loop.time() - self._on_at) * 1_000)

    def pulses(self) -> int:
        self.alive()
        return self._outside.road.pulses(self._loop.time(), self._outside.k) - self._pulses_before

    def utc_s(self) -> int:
        self.alive()
        outside = self._outside
        # No clock chip counts from before 2000, whatever it has lost.
        return max(0, outside.utc_start + int(self._loop.time()) + outside.clock_error_s)

    def set_utc_s(self, utc_s: int) -> None:
        self._outside.clock_error_s += utc_s - self.utc_s()

    async def tick(self) -> None:
        await self._loop.pause(TICK_MS / 1_000)
        self.alive()

    async def sleep_ms(self, ms: int) -> None:
        await self._loop.pause(ms / 1_000)
        self.alive()

    def payment(self, fields: dict[str, Any], seq: int | None) -> None:
        """The firmware is about to append a payment, or has (`seq`)."""
        self._outside.on_payment(fields, seq)

    # --- people ------------------------------------------------------------------------------

    async def key(self) -> tuple[str, str]:
        key = await self._outside.keys.get()
        self.alive()
        return key

    def show(self, face: dict[str, Any]) -> None:
        self.alive()
        self._outside.on_face(face)

    def tone(self, name: str) -> None:
        self.alive()
        self._outside.on_tone(name)

    async def print(self, lines: list[str]) -> None:
        self.alive()
        await asyncio.sleep(0.5)
        self.alive()
        if not self._outside.paper_ready:
            raise OSError("no paper")
        self._outside.on_paper(lines)

    # --- the rest ----------------------------------------------------------------------------

    def seal_open(self) -> bool:
        return False

    def random(self, n: int) -> bytes:
        self.alive()
        return self._outside.chance.randbytes(n)

    def reader_port(self) -> "ReaderPort":
        return self._reader

    def cable_port(self) -> UnitEnd:
        return self._outside.cable

    def chooser_rests(self) -> bool:
        """No program waits for its trial or is on it."""
        chooser = self.chooser
        return chooser is not None and not chooser.trial and not chooser.state()["ready"]

    def modem_port(self) -> ModemPort | None:
        radio = self._outside.radio
        return None if radio is None else radio.port

    async def press_modem_key(self, ms: int) -> None:
        await self.sleep_ms(ms)
        if self._outside.radio is not None:
            await self._outside.radio.press_key(ms)

    def ppp(self, _port: ModemPort) -> Ppp | None:
        radio = self._outside.radio
        return None if radio is None else Ppp(radio)


class ReaderPort:
    """The UART to the reader chip."""

    def __init__(self, board: SimulatedBoard, chip: PN532Chip) -> None:
        self._board = board
        self._chip = chip
        self._came = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._loop = running_loop()

    async def read(self, n: int, timeout_ms: int) -> bytes:
        """1 to `n` bytes, or b"" after `timeout_ms`."""
        if not self._came and timeout_ms > 0:
            await within(self._wait(), timeout_ms / 1_000)
        self._board.alive()
        data = bytes(self._came[:n])
        del self._came[:n]
        return data

    def _wait(self) -> "asyncio.Future[None]":
        self._waiter = self._loop.create_future()
        return self._waiter

    async def write(self, data: bytes) -> None:
        self._board.alive()
        data = bytes(data)
        answer = self._chip.feed(data)
        if answer:
            empty = _IN_LIST_PASSIVE_TARGET in data and not self._chip.field.present
            self._loop.call_later(_EMPTY_FIELD_S if empty else _ANSWER_S, self._arrive, answer)

    def _arrive(self, data: bytes) -> None:
        self._came += data
        settle(self._waiter)

    def discard(self) -> None:
        self._came.clear()
