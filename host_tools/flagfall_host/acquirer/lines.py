"""Questions and answers of many terminals over a few TCP connections to one host.

A terminal has one question in flight. An answer is known by message type, terminal and STAN,
whichever connection brings it; what answers nothing that is open is counted and passed over. A
time-out repeats the same bytes. A connection is given up when it breaks, when it brings what
cannot be read, and when it has been silent since a question that timed out was sent.
"""

import asyncio
import contextlib
import os
from dataclasses import dataclass

from flagfall_host.acquirer.codec import (
    MAX_FRAME,
    Message,
    decode,
    encode,
    mac_good,
    signed,
    with_length,
)
from flagfall_host.acquirer.errors import AcquirerError, FrameError, NoAnswer
from flagfall_host.acquirer.mac import Mac
from flagfall_host.acquirer.profile import Profile

CONNECT_S = 10.0  # longest wait for a connection
ASKS = 3  # times that one call asks the same question
CONNECTIONS = 4  # at most, however many terminals there are
_MAC_FIELD, _RESPONSE = "64", "39"


@dataclass
class Counters:
    """What the lines did."""

    asked: int = 0
    unanswered: int = 0
    late: int = 0  # answers to no open question
    garbled: int = 0
    connections: int = 0  # made


@dataclass
class _Open:
    """A question that waits: what its answer looks like, on which line it went out."""

    mti: str
    stan: str
    answer: "asyncio.Future[Message]"
    line: "_Line"


class Lines:
    """Up to `connections` lines to the host at `host`:`port`, made when they are needed."""

    def __init__(
        self, profile: Profile, host: str, port: int, connections: int = CONNECTIONS
    ) -> None:
        self._profile = profile
        self._address = (host, port)
        self._most = connections
        self._lines: list[_Line] = []
        self._dialling: asyncio.Lock | None = None
        self._failed = (-1.0, "")  # when a connection could not be made, and why
        self.open: dict[str, _Open] = {}  # by terminal
        self.counters = Counters()

    def close(self) -> None:
        """Give up the connections."""
        for line in list(self._lines):
            line.give_up("closed")

    async def ask(
        self, question: Message, mac: Mac | None = None, frame: bytes | None = None
    ) -> Message:
        """Ask until there is an answer to this very question: the same bytes each time.

        With `mac` the question carries DE64, and an answer that says "done" must carry a right
        one. `frame` is the question without DE64 if the caller has encoded it already. Raises
        NoAnswer after ASKS tries; FrameError for a question that fits no frame.
        """
        if frame is None:
            frame = encode(self._profile, question)
        if mac is not None:
            frame = signed(self._profile, frame, mac)
        frame = with_length(self._profile, frame)
        terminal = question.fields["41"]
        if terminal in self.open:
            raise AcquirerError(f"terminal {terminal} has a question in flight: ask it later")
        problem = ""
        for _ in range(ASKS):
            try:
                return await self._once(question, frame, mac)
            except (OSError, EOFError) as e:
                problem = _why(e)
                self.counters.unanswered += 1
            finally:
                self.open.pop(terminal, None)
        host, port = self._address
        raise NoAnswer(
            f"no answer from the acquirer at {host}:{port} ({problem}); what was asked stays "
            "unknown and is asked again: run the same command later"
        )

    async def _once(self, question: Message, frame: bytes, mac: Mac | None) -> Message:
        line = await self._line()
        loop = asyncio.get_running_loop()
        mti = f"{int(question.mti) + 10:04d}"
        waiting = _Open(mti, question.fields["11"], loop.create_future(), line)
        self.open[question.fields["41"]] = waiting
        self.counters.asked += 1
        sent = loop.time()
        line.send(frame)
        try:
            async with asyncio.timeout(self._profile.answer_s):
                answer = await waiting.answer
        except TimeoutError:
            if line.heard < sent:
                line.give_up("timed out")
            raise
        finally:
            line.load -= 1
        self._check(answer, mac)
        return answer

    async def _line(self) -> "_Line":
        """The line with the fewest questions; a new one while there may be more."""
        if self._dialling is None:
            self._dialling = asyncio.Lock()
        if len(self._lines) < self._most:
            since = asyncio.get_running_loop().time()
            async with self._dialling:
                idle = any(line.load == 0 for line in self._lines)
                if self._failed[0] >= since:  # while we waited for our turn
                    raise EOFError(self._failed[1])
                if len(self._lines) < self._most and not idle:
                    await self._dial()
        if not self._lines:
            raise EOFError("the connection was closed")
        line = min(self._lines, key=lambda each: each.load)
        line.load += 1
        return line

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, line = await loop.create_connection(
                    lambda: _Line(self, self._profile), *self._address
                )
        except OSError as e:
            self._failed = (loop.time(), _why(e))
            raise
        self.counters.connections += 1
        if not line.closed:
            self._lines.append(line)

    def _check(self, answer: Message, mac: Mac | None) -> None:
        """Raises EOFError for an answer that proves nothing."""
        if mac is None:
            return
        if _MAC_FIELD in answer.fields:
            good = mac_good(answer, mac)
        else:
            # A host that could not check our MAC has none to give; its refusal needs no proof.
            done = answer.fields.get(_RESPONSE) in self._profile.done
            good = not (done and self._profile.answer_mac)
        if not good:
            self.counters.garbled += 1
            raise EOFError("an answer with a wrong MAC")

    def came(self, answer: Message) -> None:
        """Give an answer to the question that it belongs to (DE11, DE41 and the type)."""
        waiting = self.open.get(answer.fields.get("41", ""))
        if (
            waiting is None
            or (waiting.mti, waiting.stan) != (answer.mti, answer.fields.get("11"))
            or waiting.answer.done()
        ):
            self.counters.late += 1
        else:
            waiting.answer.set_result(answer)

    def lost(self, line: "_Line", why: str) -> None:
        """A line is no more: what was asked on it is asked again."""
        if line in self._lines:
            self._lines.remove(line)
        for waiting in self.open.values():
            if waiting.line is line and not waiting.answer.done():
                waiting.answer.set_exception(EOFError(why))


class _Line(asyncio.Protocol):
    """One connection: bytes in, messages out."""

    def __init__(self, lines: Lines, profile: Profile) -> None:
        self._lines, self._profile = lines, profile
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self.heard = 0.0  # when the last byte came, in the loop's time
        self.load = 0  # questions that wait on this line
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        self.heard = asyncio.get_running_loop().time()
        self._buffer += data
        head = self._profile.length_bytes
        while len(self._buffer) >= head and not self.closed:
            size = int.from_bytes(self._buffer[:head], "big")
            if not 1 <= size <= MAX_FRAME:
                self._garbled(f"an answer of {size} bytes")
                return
            if len(self._buffer) < head + size:
                return
            frame = bytes(self._buffer[head : head + size])
            del self._buffer[: head + size]
            try:
                answer = decode(self._profile, frame)
            except FrameError as e:
                self._garbled(f"an answer that cannot be read: {e}")
                return
            self._lines.came(answer)

    def _garbled(self, why: str) -> None:
        self._lines.counters.garbled += 1
        self.give_up(why)

    def give_up(self, why: str) -> None:
        self.closed = True
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed already
                self._transport.abort()
        self._lines.lost(self, why)

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed = True
        self._lines.lost(self, "the connection was closed")


def _why(error: OSError | EOFError) -> str:
    """The reason without Python's decorations."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or "timed out"
