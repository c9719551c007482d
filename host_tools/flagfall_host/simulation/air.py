"""TCP between a unit and a gateway over the mobile network, without TLS: bytes in order, or none.

A connection may break so that only one end learns of it: then what was on its way arrives late at
a gateway that still waits, while the unit talks to another one.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from flagfall_host.simulation.fibers import settle, within

RATE = 40_000  # bytes/s, each way
DELAY_S = 0.06  # one way
_GIVEN_UP_S = 900.0  # after which a TCP end without answers gives up
_LOOK_S = 1.0
_CLEAR_BYTES = 29  # what TLS would add to each write
IN_FLIGHT = 512 * 1024  # bytes of one connection that are under way, each way, at most


class _Way:
    """One direction: bytes arrive in order, each when its turn has come."""

    def __init__(self, arrive: Callable[[bytes], None]) -> None:
        self.arrive = arrive
        self.held_until = 0.0
        self.bytes = 0
        self._free_at = 0.0
        self._queue: deque[bytes | None] = deque()
        self._times: deque[float] = deque()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, data: bytes | None) -> None:
        """`data`, or None: the end of the stream."""
        now = self._loop.time()
        size = len(data) if data else 0
        self._free_at = max(self._free_at, now) + size / RATE
        self._queue.append(data)
        self._times.append(self._free_at + DELAY_S)
        self.bytes += size
        self._set()

    def _set(self) -> None:
        if self._timer is None and self._queue:
            self._timer = self._loop.call_at(max(self._times[0], self.held_until), self._come)

    def _come(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue and max(self._times[0], self.held_until) <= now:
            data = self._queue.popleft()
            self._times.popleft()
            self.bytes -= len(data) if data else 0
            self.arrive(data or b"")
        self._set()

    def drop(self) -> None:
        """Nothing that is under way arrives."""
        self._queue.clear()
        self._times.clear()
        self.bytes = 0


class Connection:
    """The unit's end is this object, the gateway's is `gate`, an asyncio transport."""

    def __init__(self, factory: Callable[[], Any], unit_id: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.unit_id = unit_id
        self.up = _Way(self._at_gateway)
        self.down = _Way(self._at_unit)
        self._came = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self.ended = ""  # at the unit's end: why
        self.sent = 0  # by the unit
        self.cut_after = IN_FLIGHT * 1_024  # bytes of the unit's, after which `on_cut` is called
        self.on_cut: Callable[[], None] = lambda: None
        self.gate = Gate(self, factory())
        self.gate.protocol.connection_made(self.gate)

    # --- the unit's end ----------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Raises OSError once this end knows that the connection is over."""
        self._check()
        self.up.send(data)
        self.sent += len(data)
        if self.sent >= self.cut_after:
            self._loop.call_soon(self.on_cut)  # with these bytes on their way

    async def receive(self, n: int, timeout_ms: int) -> bytes:
        """1 to `n` bytes, b"" after a time of silence. Raises OSError."""
        if not self._came and timeout_ms > 0 and not self.ended:
            self._waiter = waiter = self._loop.create_future()
            # Nothing comes from a silent gateway: look at it seldom.
            await within(waiter, max(timeout_ms / 1_000, _LOOK_S))
        data = bytes(self._came[:n])
        del self._came[:n]
        if not data:
            self._check()
        return data

    def close(self) -> None:
        """The unit ends it, and the gateway will hear."""
        if not self.ended:
            self.ended = "closed"
            self.down.drop()
            self.up.send(None)

    def vanish(self, late_s: float) -> None:
        """The unit knows that it is over, the gateway does not: what is under way comes late."""
        if self.ended:
            return
        self._end("the carrier is gone")
        self.down.drop()
        self.up.held_until = self._loop.time() + late_s
        self._loop.call_later(_GIVEN_UP_S, self.gate.lost, TimeoutError("timed out"))

    def reset(self) -> None:
        """The gateway's machine says that there is no such connection."""
        self.up.drop()
        self.down.drop()
        self._loop.call_later(DELAY_S, self._end, "connection reset")

    def stall(self, seconds: float) -> None:
        """Nothing moves for a while, and nothing is lost."""
        self.up.held_until = self.down.held_until = self._loop.time() + seconds

    def _check(self) -> None:
        if self.ended:
            raise OSError(self.ended)

    def _end(self, why: str) -> None:
        self.ended = self.ended or why
        settle(self._waiter)

    def _at_unit(self, data: bytes) -> None:
        if data:
            self._came += data
            settle(self._waiter)
        else:
            self._end("the gateway closed the connection")

    def _at_gateway(self, data: bytes) -> None:
        self.gate.arrive(data)


class Gate(asyncio.Transport):
    """The gateway's end."""

    def __init__(self, connection: Connection, protocol: Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.open = True
        self.held: list[bytes] = []
        self._connection = connection
        self._closing = False
        self._paused = False

    def arrive(self, data: bytes) -> None:
        if not self.open:
            return
        if self._paused:
            self.held.append(data)
        elif data:
            self.protocol.data_received(data)
        else:
            self.protocol.eof_received()
            self.lost(None)

    def lost(self, error: Exception | None) -> None:
        """The gateway learns that it is over."""
        if self.open:
            self.open = False
            self.protocol.connection_lost(error)

    def kill(self) -> None:
        """The gateway's program is gone: nothing more is heard or said here."""
        if self.open:
            self.open = False
            self._connection.reset()

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if self.open and not self._closing and not self._connection.ended:
            self._connection.down.send(bytes(data))

    def close(self) -> None:
        if self.open and not self._closing:
            self._closing = True
            if not self._connection.ended:
                self._connection.down.send(None)
            asyncio.get_running_loop().call_soon(self.lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._closing or not self.open

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        held, self.held = self.held, []
        for data in held:
            self.arrive(data)

    def set_write_buffer_limits(self, high: Any = None, low: Any = None) -> None:
        pass  # what is under way is bounded by what a visit asks for

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._connection.unit_id, 1) if name == "peername" else default


class ClearWire:
    """What the unit's uplink has in the place of drivers/tls_wire.py: the same talk, in clear."""

    def __init__(self, connection: Connection, _context: Any, _name: str) -> None:
        self._connection = connection
        self._first = b""
        self.up = self.down = 0

    async def handshake(self, limit_ms: int) -> None:
        connection = self._connection
        connection.send(b"CLEAR " + connection.unit_id.encode() + b"\n")
        self._first = await connection.receive(1_024, limit_ms)
        if not self._first:
            raise OSError(f"the gateway did not speak within {limit_ms // 1_000} s")

    async def read(self, n: int, timeout_ms: int) -> bytes:
        if self._first:
            data, self._first = self._first[:n], self._first[n:]
            return data
        data = await self._connection.receive(n, timeout_ms)
        self.down += len(data) + _CLEAR_BYTES if data else 0
        return data

    async def write(self, data: bytes, _limit_ms: int) -> None:
        self._connection.send(bytes(data))
        self.up += len(data) + _CLEAR_BYTES
        await asyncio.sleep(0)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.close()


def no_context(*_certificate: bytes) -> None:
    """In the place of drivers/tls_wire.client_context."""
