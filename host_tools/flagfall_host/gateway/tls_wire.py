"""One TLS connection as a carrier: bytes in and out of memory, with a limit on each.

The handshake is driven here and not by asyncio's own TLS transport, which keeps a buffer of
256 KiB for every connection, and gives no say about a connection whose handshake has not ended.
Memory is taken only when the first byte has come.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable

from flagfall_host.depot.link_errors import LinkError, PortLost
from flagfall_host.gateway.limits import EARLY_DATA, Limits

_RECORD = 16 * 1024  # the longest TLS record
_OUT = 64 * 1024  # bytes that wait for a client before the talk with it waits too


class Nudged(LinkError):
    """Somebody on this side wants the talk's attention."""


class TlsWire(asyncio.Protocol):
    """Becomes `ready` when the handshake is done. `on_made` and `on_lost` tell the server.

    `read` raises PortLost when the connection has ended, `why` says how. `received` and `sent`
    count bytes on the network.
    """

    baud = 0

    def __init__(
        self,
        context: ssl.SSLContext,
        limits: Limits,
        on_made: Callable[["TlsWire"], None],
        on_lost: Callable[["TlsWire"], None],
    ) -> None:
        self._context = context
        self._limits = limits
        self._on_made = on_made
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self.name = "?"
        self.made_at = self.now()
        self.ready = False
        self.why: str | None = None  # the connection has ended
        self.received = self.sent = 0
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._in: ssl.MemoryBIO | None = None
        self._out: ssl.MemoryBIO | None = None
        self._plain: list[bytes] = []
        self._held = 0
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._choked = False
        self._nudged = False
        self._tokens = float(limits.burst)
        self._filled_at = self.made_at
        self._paused = False

    # --- asyncio's side ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream's transport is needed")
        self._transport = transport
        transport.set_write_buffer_limits(high=_OUT)
        peer = transport.get_extra_info("peername")
        self.name = f"{peer[0]}:{peer[1]}" if peer else "?"
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        if self.why is not None:
            return
        self.received += len(data)
        if self._tls is None:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = self._context.wrap_bio(self._in, self._out, server_side=True)
        if not self.ready and self.received > EARLY_DATA:
            self.abort("too many bytes before the end of the handshake")
            return
        if self._in is not None:
            self._in.write(data)
        try:
            if not self.ready:
                self._tls.do_handshake()
                self.ready = True
            self._take()
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, ValueError) as e:
            self._flush()  # the alert that says what is wrong
            self.abort(getattr(e, "reason", None) or str(e))
            return
        self._flush()
        self._wake()
        self._pay(len(data))

    def eof_received(self) -> bool:
        self.abort("the client closed the connection")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self.why is None:
            self.why = str(error) if error else "the client closed the connection"
        self._tls = self._in = self._out = None
        self._wake()
        self.resume_writing()
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # --- bytes ------------------------------------------------------------------------------

    def _take(self) -> None:
        if self._tls is None:
            return
        while True:
            data = self._tls.read(_RECORD)
            if not data:
                self.abort("the client closed the connection")
                return
            self._plain.append(data)
            self._held += len(data)

    def _flush(self) -> None:
        if self._out is not None and self._transport is not None and self._out.pending:
            data = self._out.read()
            self.sent += len(data)
            self._transport.write(data)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _pay(self, n: int) -> None:
        """Take `n` bytes off what this client may send; stop reading while it has none left."""
        now = self.now()
        limits = self._limits
        self._tokens = min(limits.burst, self._tokens + (now - self._filled_at) * limits.rate) - n
        self._filled_at = now
        if self._transport is None or self._paused:
            return
        if self._held > limits.held:
            self._pause()  # until it is looked at
        elif self._tokens < 0:
            self._pause()
            self._loop.call_later(-self._tokens / limits.rate, self._go_on)

    def _pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._paused = True

    def _go_on(self) -> None:
        if self._paused and self._held <= self._limits.held and self._transport is not None:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    # --- the talk's side --------------------------------------------------------------------

    def certificate(self) -> bytes:
        """The client's certificate, DER; its signature and dates have been checked."""
        return (self._tls.getpeercert(binary_form=True) if self._tls else None) or b""

    async def handshaken(self) -> None:
        """Wait for the end of the handshake. Raises PortLost."""
        while not self.ready:
            await self._wait(None)

    async def read(self, timeout_s: float) -> bytes:
        if self._nudged:
            self._nudged = False
            raise Nudged(self.name)
        if self._plain:
            await asyncio.sleep(0)  # the others' turn: this one may have endless bytes at hand
        else:
            await self._wait(timeout_s)
            if self._nudged:
                self._nudged = False
                raise Nudged(self.name)
        data = b"".join(self._plain)
        self._plain.clear()
        self._held = 0
        self._go_on_if_paid()
        return data

    def _go_on_if_paid(self) -> None:
        if self._paused:
            wait = max(0.0, -self._tokens / self._limits.rate - (self.now() - self._filled_at))
            if wait:
                self._loop.call_later(wait, self._go_on)
            else:
                self._go_on()

    async def _wait(self, timeout_s: float | None) -> None:
        """Until something has come. Raises PortLost."""
        if self.why is not None:
            raise PortLost(f"{self.name}: {self.why}")
        self._waiter = self._loop.create_future()
        timer = None
        if timeout_s is not None:
            timer = self._loop.call_later(timeout_s, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        if self.why is not None and not self._plain:
            raise PortLost(f"{self.name}: {self.why}")

    async def write(self, data: bytes) -> None:
        if self._tls is None or self.why is not None:
            raise PortLost(f"{self.name}: {self.why}")
        try:
            self._tls.write(data)
        except ssl.SSLError as e:
            raise PortLost(f"{self.name}: {e.reason}") from e
        self._flush()
        if self._choked:
            self._room = self._loop.create_future()
            try:
                async with asyncio.timeout(self._limits.write_s):
                    await self._room
            except TimeoutError as e:
                self.abort("the client takes no bytes")
                raise PortLost(f"{self.name}: the client takes no bytes") from e
            finally:
                self._room = None

    def nudge(self) -> None:
        """Let the `read` that waits, or the next one, raise Nudged."""
        self._nudged = True
        self._wake()

    def close(self) -> None:
        """End the connection as TLS ends it: close_notify, then FIN."""
        if self.why is None:
            self.why = "closed here"
            if self._tls is not None and self.ready:
                with contextlib.suppress(ssl.SSLError):  # the client's word is not waited for
                    self._tls.unwrap()
                self._flush()
        if self._transport is not None:
            self._transport.close()
            # What the client does not take within the limit is not waited for.
            self._loop.call_later(self._limits.write_s, self._transport.abort)
        self._wake()

    def abort(self, why: str) -> None:
        """End the connection now; what was written is still sent."""
        if self.why is None:
            self.why = why
        if self._transport is not None:
            self._transport.close()
            self._loop.call_later(self._limits.write_s, self._transport.abort)
        self._wake()
