"""The unit's own code on CPython: firmware/unit.py and app/, as they stand.

MicroPython's modules that CPython lacks, or has with other names, are put in place while the
firmware is imported, and nowhere else.
"""

import asyncio
import contextlib
import contextvars
import functools
import importlib
import sys
import time
import types
import weakref
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import flagfall

from flagfall_host.simulation.air import ClearWire, no_context
from flagfall_host.simulation.files import substitute_open, substitute_os

FIRMWARE = Path(flagfall.__file__).parents[2]
_HEAP = 512 * 1024


def _asyncio() -> types.ModuleType:
    module = types.ModuleType("asyncio")
    module.__dict__.update(
        {name: getattr(asyncio, name) for name in asyncio.__all__},
        create_task=_create_task,
        sleep_ms=_sleep_ms,
        wait_for_ms=_wait_for_ms,
    )
    return module


# The tasks of one power-on, in the order in which they were begun: they end together, in that
# order, when the power goes. (A set would have the order of their addresses in memory.)
Tasks = dict[asyncio.Task[Any], None]
powered_tasks: contextvars.ContextVar[Tasks] = contextvars.ContextVar("tasks")
powered_board: contextvars.ContextVar[Any] = contextvars.ContextVar("board")


def _create_task(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = asyncio.get_running_loop().create_task(coroutine)
    tasks = powered_tasks.get()
    tasks[task] = None
    task.add_done_callback(lambda done: tasks.pop(done, None))
    return task


async def _sleep_ms(ms: int) -> None:
    await asyncio.sleep(ms / 1_000)


async def _wait_for_ms(awaitable: Any, ms: int) -> Any:
    return await asyncio.wait_for(awaitable, ms / 1_000)


def _modules() -> dict[str, types.ModuleType]:
    micropython = types.ModuleType("micropython")
    micropython.const = lambda value: value  # type: ignore[attr-defined]
    memory = types.ModuleType("gc")
    # The heap of a simulated unit is not measured: bench_heap does that on MicroPython.
    memory.__dict__.update(collect=lambda: 0, mem_alloc=lambda: 0, mem_free=lambda: _HEAP)
    clock = types.ModuleType("time")
    clock.__dict__.update(vars(time), ticks_ms=_ticks_ms, ticks_diff=_ticks_diff)
    clock.ticks_add = lambda ticks, ms: ticks + ms & 0x3FFFFFFF  # type: ignore[attr-defined]
    system = _System("sys")
    system.__dict__.update(vars(sys), print_exception=_print_exception)
    return {
        "asyncio": _asyncio(),
        "micropython": micropython,
        "gc": memory,
        "time": clock,
        "sys": system,
        "os": substitute_os(powered_board),
    }


class _System(types.ModuleType):
    """What of `sys` is each unit's own: the folder of its program, and who chose it."""

    @property
    def path(self) -> list[str]:
        board = powered_board.get(None)  # none while the firmware is imported
        if board is None or board.program_folder is None:
            return sys.path
        return [str(board.program_folder)]

    @property
    def modules(self) -> dict[str, Any]:
        board = powered_board.get(None)
        if board is None:
            return sys.modules  # type: ignore[return-value]
        return {} if board.chooser is None else {"chooser": board.chooser}


def _ticks_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1_000) & 0x3FFFFFFF


def _ticks_diff(a: int, b: int) -> int:
    return (a - b + 0x20000000 & 0x3FFFFFFF) - 0x20000000


defects: list[BaseException] = []


def _print_exception(error: BaseException, _file: Any = None) -> None:
    """What a unit prints on its console is a defect for us."""
    defects.append(error)


@contextlib.contextmanager
def _in_place() -> Iterator[None]:
    substitutes = _modules()
    real = {name: sys.modules.get(name) for name in substitutes}
    sys.modules.update(substitutes)
    try:
        yield
    finally:
        for name, module in real.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def load() -> types.ModuleType:
    """Import the firmware's application and return the module `unit`."""
    if "unit" in sys.modules:
        return sys.modules["unit"]
    if str(FIRMWARE) not in sys.path:
        sys.path.append(str(FIRMWARE))
    for name in [n for n in sys.modules if n == "drivers" or n.startswith("drivers.")]:
        del sys.modules[name]  # imported before, with CPython's clock
    with _in_place():
        import app.update
        import app.uplink
        import drivers.pn532
        import drivers.pn532_hsu  # noqa: F401
        import unit

        for name in unit.LATER:
            importlib.import_module(name)
    _watch_payments(unit)
    _put_in_the_air(app.uplink)
    opened = substitute_open(powered_board)
    for module in (app.configuration, app.spool, app.deny, app.update):
        module.open = opened
    return unit


def fresh(path: Path) -> Any:
    """A firmware module of its own, as each unit's RAM has one."""
    module: Any = types.ModuleType(path.stem)
    code = _code(path)
    with _in_place():
        exec(code, module.__dict__)  # noqa: S102 - the project's own file
    module.open = substitute_open(powered_board)
    return module


@functools.cache
def _code(path: Path) -> types.CodeType:
    return compile(path.read_text(encoding="utf-8"), str(path), "exec")


def _watch_payments(unit: types.ModuleType) -> None:
    """Let a board see each payment before and after it is appended."""

    class WatchedBooking(unit.Booking):  # type: ignore[name-defined, misc]
        def __init__(self, journal: Any, utc_s: Any) -> None:
            super().__init__(journal, utc_s)
            self._board = utc_s.__self__
            self._board.booking = self

        def payment(self, **fields: Any) -> int:
            self._board.payment(fields, None)
            seq = super().payment(**fields)
            self._board.payment(fields, seq)
            return int(seq)

    class WatchedMeter(unit.Meter):  # type: ignore[name-defined, misc]
        def __init__(self, board: Any, *arguments: Any) -> None:
            super().__init__(board, *arguments)
            board.meter = self

    unit.Booking = WatchedBooking  # type: ignore[attr-defined]
    unit.Meter = WatchedMeter  # type: ignore[attr-defined]


def _put_in_the_air(uplink: Any) -> None:
    """The uplink as it stands, on the simulated wire."""

    class WatchedUplink(uplink.Uplink):  # type: ignore[misc, name-defined]
        def __init__(self, board: Any, *arguments: Any) -> None:
            super().__init__(board, *arguments)
            board.uplink = self

    uplink.Uplink = WatchedUplink
    uplink.TlsWire = ClearWire
    uplink.client_context = no_context
    uplink._restarted_at = _EachItsOwn(uplink._restarted_at[0])


class _EachItsOwn:
    """A firmware's list of one value that outlives a unit's restart, for each power-on."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._values: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def __getitem__(self, _at: int) -> int:
        return self._values.get(powered_board.get(), self._first)

    def __setitem__(self, _at: int, value: int) -> None:
        self._values[powered_board.get()] = value
