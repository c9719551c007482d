"""An event loop whose time is simulated: it never waits, and the same start runs the same way.

Everything that takes time in a simulation is a coroutine or a fiber (fibers.py) on this loop.
When nothing is left to do now, the clock moves on to the next timer.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import Any

_LIVELOCK = 2_000_000  # callbacks without the clock moving: something spins


class Stuck(Exception):
    """Everybody waits and no timer is set, or somebody works without end in no time."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Deterministic: callbacks in the order of their making, timers in the order of their time."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._since = 0
        self.callbacks = 0
        self.hosts: dict[str, Callable[[asyncio.Protocol], Any]] = {}  # who answers by what name

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self._now

    @property
    def now_ms(self) -> int:
        return round(self._now * 1_000)

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        if not ready:
            self._advance()
        count = len(ready)
        self.callbacks += count
        self._since += count
        if self._since > _LIVELOCK:
            raise Stuck(f"work without end at {self._now:.3f} s")
        for _ in range(count):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _advance(self) -> None:
        """Move the clock to the next timer that counts, and make all of its moment ready."""
        scheduled = self._scheduled  # type: ignore[attr-defined]
        ready = self._ready  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not scheduled:
            if self._stopping:  # type: ignore[attr-defined]
                return
            raise Stuck(f"everybody waits at {self._now:.3f} s")
        when = scheduled[0]._when
        if when > self._now:
            self._now = when
            self._since = 0
        while scheduled and scheduled[0]._when <= self._now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                ready.append(handle)

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

    # What BaseEventLoop leaves to a selector.

    def _process_events(self, event_list: Any) -> None:
        raise NotImplementedError

    def _write_to_self(self) -> None:
        pass

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run `main` to its end and return what it returns."""
        task = self.create_task(main)
        return self.run_until_complete(task)
