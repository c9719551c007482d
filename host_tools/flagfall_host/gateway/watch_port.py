"""The port for watchers: GET /metrics and GET /health, and nothing else.

One request a connection; what is longer than a line of it needs, or slower, is dropped.
"""

import asyncio
import contextlib
from collections.abc import Callable

REQUEST_S = 5.0
_LONGEST = 8 * 1024
_AT_ONCE = 32
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class WatchPort:
    """`health()` gives (well, word); `metrics()` the text of all figures."""

    def __init__(self, health: Callable[[], tuple[bool, str]], metrics: Callable[[], bytes]):
        self._health = health
        self._metrics = metrics
        self._open = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=_LONGEST)
        return self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > _AT_ONCE:
                return
            async with asyncio.timeout(REQUEST_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head.split(b"\r\n", 1)[0].split(b" ")))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, words: list[bytes]) -> bytes:
        if len(words) != 3 or words[0] not in (b"GET", b"HEAD"):
            return _reply("405 Method Not Allowed", b"GET only\n", False)
        whole = words[0] == b"GET"
        path = words[1].split(b"?", 1)[0]
        if path == b"/metrics":
            return _reply("200 OK", self._metrics(), whole)
        if path == b"/health":
            well, word = self._health()
            status = "200 OK" if well else "503 Service Unavailable"
            return _reply(status, word.encode() + b"\n", whole)
        return _reply("404 Not Found", b"/metrics and /health\n", whole)


def _reply(status: str, body: bytes, whole: bool) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {_TEXT}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (body if whole else b"")
