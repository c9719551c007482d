"""The line to the acquirer's host: its simulator, asked across simulated time."""

import asyncio
from collections import deque

from flagfall_host.acquirer.simulator import Simulator
from flagfall_host.simulation.fibers import wait


class AcquirerLine:
    """Stands where the client expects a TCP connection. `down`: nobody is there."""

    def __init__(self, simulator: Simulator, length_bytes: int) -> None:
        self.simulator = simulator
        self.down = False
        self._length = length_bytes

    def connect(self, _address: tuple[str, int], _timeout: float) -> "Connection":
        if self.down:
            raise ConnectionRefusedError("connection refused")
        return Connection(self.simulator, self._length)


class Connection:
    """One connection: what a socket is to acquirer/exchange.py, in a fiber."""

    def __init__(self, simulator: Simulator, length_bytes: int) -> None:
        self._simulator = simulator
        self._length = length_bytes
        self._loop = asyncio.get_running_loop()
        self._came: deque[int] = deque()
        self._open = True
        self._timeout = 60.0
        self._waiter: asyncio.Future[None] | None = None

    def setsockopt(self, *_: int) -> None:
        pass

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def close(self) -> None:
        self._open = False

    def sendall(self, data: bytes) -> None:
        if not self._open:
            raise BrokenPipeError("the connection was closed")
        reaction = self._simulator.react(data[self._length :])
        self._loop.call_later(0.05 + reaction.delay_s, self._arrive, reaction.data, reaction.drop)

    def _arrive(self, data: bytes, drop: bool) -> None:
        if self._open:
            self._came.extend(data)
            if drop:
                self._open = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def recv(self, n: int) -> bytes:
        limit = self._loop.time() + self._timeout
        while not self._came:
            if not self._open:
                return b""
            left = limit - self._loop.time()
            if left <= 0:
                raise TimeoutError("timed out")
            self._waiter = waiter = self._loop.create_future()
            timer = self._loop.call_later(left, lambda w=waiter: w.done() or w.set_result(None))
            wait(waiter)
            timer.cancel()
        return bytes(self._came.popleft() for _ in range(min(n, len(self._came))))
