"""An event loop whose time is simulated: it never waits, and the same start runs the same way.

Everything that takes time in a simulation is a coroutine or a fiber (fibers.py) on this loop.
When nothing is left to do now, the clock moves on to the next timer.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

_LIVELOCK = 2_000_000  # callbacks without the clock moving: something spins


class Stuck(Exception):
    """Everybody waits and no timer is set, or somebody works without end in no time."""


class _Handle:
    """What asyncio knows as a Handle, and no more: a simulation makes thousands for each tap."""

    __slots__ = ("args", "callback", "context", "is_cancelled")

    def __init__(self, callback: Any, args: Any, context: contextvars.Context | None) -> None:
        self.callback = callback
        self.args = args
        self.context = contextvars.copy_context() if context is None else context
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True
        self.callback = self.args = None

    def cancelled(self) -> bool:
        return self.is_cancelled


class Listener:
    """A server of the simulation, as asyncio.Server is asked."""

    def __init__(self, loop: "VirtualLoop", host: str, port: int, factory: Any) -> None:
        self.host, self.port, self.factory = host, port, factory
        self.sockets = (self,)
        self._loop = loop

    def getsockname(self) -> tuple[str, int]:
        return self.host, self.port

    def close(self) -> None:
        if self in self._loop._listeners:
            self._loop._listeners.remove(self)


class VirtualLoop(asyncio.BaseEventLoop):
    """Deterministic: callbacks in the order of their making, timers in the order of their time,
    those of one moment in the order of their making."""

    # Asked for at every future; asyncio's own answers through three calls.
    get_debug = bool  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._since = 0
        self._soon: deque[_Handle] = deque()
        # (when, number, what): a handle to be run, or a future to be settled.
        self._timers: list[tuple[float, int, Any]] = []
        self._timers_made = 0
        self.callbacks = 0
        self._listeners: list[Listener] = []
        self.hosts: dict[str, Callable[[asyncio.Protocol], Any]] = {}  # who answers by what name

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self._now

    @property
    def now_ms(self) -> int:
        return round(self._now * 1_000)

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        handle = _Handle(callback, args, context)
        self._soon.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        handle = _Handle(callback, args, context)
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def settle_later(self, delay: float, waiter: "asyncio.Future[None]") -> None:
        """Settle `waiter` in `delay` seconds unless it is done by then."""
        self._timers_made += 1
        heapq.heappush(self._timers, (self._now + delay, self._timers_made, waiter))

    def pause(self, seconds: float) -> "asyncio.Future[None]":
        """What to await for a pause."""
        waiter = self.create_future()
        self.settle_later(seconds, waiter)
        return waiter

    def _run_once(self) -> None:
        """Run until somebody stops the loop."""
        soon = self._soon
        while not self._stopping:  # type: ignore[attr-defined]
            if not soon:
                self._advance()
            count = len(soon)
            self.callbacks += count
            self._since += count
            if self._since > _LIVELOCK:
                raise Stuck(f"work without end at {self._now:.3f} s")
            for _ in range(count):
                handle = soon.popleft()
                if not handle.is_cancelled:
                    try:
                        handle.context.run(handle.callback, *handle.args)
                    except (SystemExit, KeyboardInterrupt):
                        raise
                    except BaseException as e:
                        self.call_exception_handler({"message": "in a callback", "exception": e})

    def _advance(self) -> None:
        """Move the clock to the next timer that counts, and make all of its moment ready."""
        timers, soon = self._timers, self._soon
        moved = False
        while timers:
            when, _, what = timers[0]
            if moved and when > self._now:
                return
            heapq.heappop(timers)
            is_handle = type(what) is _Handle
            if what.is_cancelled if is_handle else what.done():
                continue
            if when > self._now:
                self._now = when
                self._since = 0
            moved = True
            if is_handle:
                soon.append(what)
            else:
                what.set_result(None)
        if not moved:
            raise Stuck(f"everybody waits at {self._now:.3f} s")

    # What would need the world outside.

    def run_in_executor(  # type: ignore[override]
        self, _executor: Any, function: Callable[..., Any], *args: Any
    ) -> Any:
        """Work for a thread is done at once."""
        future = self.create_future()
        try:
            future.set_result(function(*args))
        except Exception as e:
            future.set_exception(e)
        return future

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, *args: Any, **_: Any
    ) -> Any:  # type: ignore[override]
        """To a host of the simulation. Raises ConnectionRefusedError."""
        return self.hosts[host](protocol_factory())

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        """Listen under a name of the simulation; several may listen under one."""
        listener = Listener(self, host, port, protocol_factory)
        self._listeners.append(listener)
        return listener

    def listening(self, host: str) -> list[Callable[[], asyncio.Protocol]]:
        """The protocol factories of all who listen as `host`."""
        return [each.factory for each in self._listeners if each.host == host]

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override]
        """Programs of a simulation are killed without a signal."""

    # What BaseEventLoop leaves to a selector.

    def _process_events(self, event_list: Any) -> None:
        raise NotImplementedError

    def _write_to_self(self) -> None:
        pass

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run `main` to its end and return what it returns."""
        task = self.create_task(main)
        return self.run_until_complete(task)


def running_loop() -> VirtualLoop:
    """The loop of the simulation that is running here."""
    return asyncio.get_running_loop()  # type: ignore[return-value]
