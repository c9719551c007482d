"""One simulated taxi: the unit's firmware with its power, and what can be seen and done there."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flagfall_host.simulation import firmware_modules
from flagfall_host.simulation.board import Outside, SimulatedBoard
from flagfall_host.simulation.fibers import settle, within
from flagfall_host.simulation.firmware_modules import Tasks, powered_board, powered_tasks
from flagfall_host.simulation.power import PowerGone
from flagfall_host.simulation.slots import DIES, GOOD, HANGS, SICK, NotWhole, Restarted
from flagfall_host.simulation.virtual_loop import running_loop

_RESTART_S = 0.5
# A program that is not good: when it has crashed, or the chooser's timer has fired.
_ENDS_AFTER_S = {DIES: 0.3, HANGS: 120.0, SICK: 5.0}


class Taxi:
    """`power_on` and `power_off` at any time; between them the firmware runs."""

    board_type: type[SimulatedBoard] = SimulatedBoard
    may_lose_ms = 0  # of a trip when the power goes: it is kept at each look of the meter

    def __init__(self, name: str, outside: Outside) -> None:
        self.name = name
        self.outside = outside
        self.face: dict[str, Any] = {}
        self.tones: list[str] = []
        self.power_ons = 0
        self.cuts = 0
        self.on_tone: Callable[[str], None] = lambda tone: None
        self.on_face: Callable[[dict[str, Any]], None] = lambda face: None
        self.board: SimulatedBoard | None = None
        self.unit: Any = None  # the firmware's Unit that runs now
        self._unit = firmware_modules.load()
        self._waiters: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        outside.on_face = self._shown
        outside.on_tone = self._heard

    @property
    def powered(self) -> bool:
        return self.board is not None and not self.board.dead

    def _shown(self, face: dict[str, Any]) -> None:
        self.face = face
        self.on_face(face)
        self._changed()

    def _heard(self, tone: str) -> None:
        self.tones.append(tone)
        self.on_tone(tone)
        self._changed()

    def press(self, key: str, text: str = "") -> None:
        """The driver presses a key; nobody hears more keys than a board keeps."""
        if self.powered:
            with contextlib.suppress(asyncio.QueueFull):
                self.outside.keys.put_nowait((key, text))

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until `condition` holds: looked at when face, tones or power change."""
        loop = running_loop()
        limit = loop.time() + seconds
        while not condition():
            left = limit - loop.time()
            if left <= 0:
                return False
            waiter = loop.create_future()
            self._waiters.append(waiter)
            await within(waiter, left)
        return True

    def _changed(self) -> None:
        for waiter in self._waiters:
            settle(waiter)
        self._waiters.clear()

    # --- power ---------------------------------------------------------------------------------

    async def power_on(self) -> None:
        """Switch on; returns at once. Without effect while the power is on."""
        if self.powered:
            return
        await self._gone()
        self.power_ons += 1
        self.board = self.board_type(self.outside, running_loop())
        self._task = running_loop().create_task(self._live(self.board))

    async def power_off(self) -> None:
        """The power goes between two things that the unit does."""
        if self.board is not None and not self.board.dead:
            with contextlib.suppress(PowerGone):
                self.board.power_goes()
        await self._gone()

    async def _gone(self) -> None:
        ending = self._task
        if ending is None:
            return
        await ending
        if ending is not self._task:
            return  # another saw it too, and the power may be on again
        self._task = self.board = self.unit = None
        self.face = {}
        self.outside.field.power(False)
        self._changed()

    async def _live(self, board: SimulatedBoard) -> None:
        """Everything from power-on to power-off."""
        tasks: Tasks = {}
        powered_tasks.set(tasks)
        powered_board.set(board)
        firmware = running_loop().create_task(self._firmware(board))
        await board.died.wait()
        self.cuts += 1
        firmware.cancel()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(firmware, *tasks, return_exceptions=True)
        self._changed()

    async def _firmware(self, board: SimulatedBoard) -> None:
        """As firmware/boot/main.py and firmware/main.py do it."""
        slots = self.outside.slots
        while True:
            behaviour = GOOD
            if slots is not None:
                try:
                    board.chooser, board.program_folder, behaviour = slots.start()
                except NotWhole as e:
                    firmware_modules.defects.append(e)
                    return
            with contextlib.suppress(Restarted):
                await self._program(board, behaviour)
            self.unit, self.face = None, {}  # the displays are dark, and nobody hears the keys
            while not self.outside.keys.empty():
                self.outside.keys.get_nowait()
            await asyncio.sleep(_RESTART_S)

    async def _program(self, board: SimulatedBoard, behaviour: str) -> None:
        """One program until it asks for a fresh start."""
        if behaviour in _ENDS_AFTER_S:
            unit = None
            if behaviour == SICK:
                unit = running_loop().create_task(self._units(board))
            await asyncio.sleep(_ENDS_AFTER_S[behaviour])
            if unit is not None:
                tasks = [unit, *powered_tasks.get()]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            raise Restarted
        await self._units(board)

    async def _units(self, board: SimulatedBoard) -> None:
        from drivers.pn532 import PN532
        from drivers.pn532_hsu import HSU

        while True:
            try:
                self.unit = self._unit.Unit(board, lambda port: PN532(HSU(port)))
                await self.unit.run()
            except Exception as e:
                firmware_modules.defects.append(e)
            await asyncio.sleep(_RESTART_S)


def make_taxi(name: str, folder: Path, seed: str, **settings: Any) -> Taxi:
    """A taxi fresh from the factory, without power."""
    return Taxi(name, Outside(folder, seed, **settings))
