"""One question and its answer, over a TCP connection that is made when it is needed.

A late answer to an earlier question is passed over. After a time-out the connection is given up:
what still comes on it is nobody's.
"""

import socket
import time
from dataclasses import dataclass

from flagfall_host.acquirer.codec import MAX_FRAME, Message, decode, encode, mac_good, with_length
from flagfall_host.acquirer.errors import FrameError, NoAnswer
from flagfall_host.acquirer.profile import Profile

CONNECT_S = 10.0  # longest wait for a connection
ASKS = 3  # times that one call asks the same question
_STRAY = 64  # answers to other questions passed over before the connection counts as mad
_MAC_FIELD, _RESPONSE = "64", "39"


@dataclass
class Counters:
    """What the line did."""

    asked: int = 0
    unanswered: int = 0
    late: int = 0  # answers to other questions
    garbled: int = 0


class Exchange:
    """The line to the host at `host`:`port`; one question in flight."""

    def __init__(self, profile: Profile, host: str, port: int) -> None:
        self._profile = profile
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self.counters = Counters()

    def close(self) -> None:
        """Give up the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, question: Message, mak: bytes | None = None) -> Message:
        """Ask until there is an answer to this very question: the same bytes each time.

        With `mak` the question carries DE64, and an answer that says "done" must carry a right
        one. Raises NoAnswer after ASKS tries; FrameError for a question that fits no frame.
        """
        frame = with_length(self._profile, encode(self._profile, question, mak))
        problem = ""
        for _ in range(ASKS):
            try:
                connection = self._connected()
                self.counters.asked += 1
                connection.sendall(frame)
                return self._answer_to(question, connection, mak)
            except (OSError, EOFError) as e:
                problem = str(e) or type(e).__name__
                self.counters.unanswered += 1
                self.close()
        host, port = self._address
        raise NoAnswer(
            f"no answer from the acquirer at {host}:{port} ({problem}); what was asked stays "
            "unknown and is asked again: run the same command later"
        )

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, CONNECT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(self._profile.answer_s)
        return self._socket

    def _answer_to(
        self, question: Message, connection: socket.socket, mak: bytes | None
    ) -> Message:
        until = time.monotonic() + self._profile.answer_s
        for _ in range(_STRAY):
            head = _exactly(connection, self._profile.length_bytes, until)
            size = int.from_bytes(head, "big")
            if not 1 <= size <= MAX_FRAME:
                self.counters.garbled += 1
                raise EOFError(f"an answer of {size} bytes")
            try:
                answer = decode(self._profile, _exactly(connection, size, until))
            except FrameError as e:
                self.counters.garbled += 1
                raise EOFError(f"an answer that cannot be read: {e}") from None
            if not _belongs(question, answer):
                self.counters.late += 1
                continue
            self._check(answer, mak)
            return answer
        raise EOFError("only answers to other questions")

    def _check(self, answer: Message, mak: bytes | None) -> None:
        """Raises EOFError for an answer that proves nothing."""
        if mak is None:
            return
        if _MAC_FIELD in answer.fields:
            good = mac_good(self._profile, answer, mak)
        else:
            # A host that could not check our MAC has none to give; its refusal needs no proof.
            done = answer.fields.get(_RESPONSE) in self._profile.done
            good = not (done and self._profile.answer_mac)
        if not good:
            self.counters.garbled += 1
            raise EOFError("an answer with a wrong MAC")


def _belongs(question: Message, answer: Message) -> bool:
    """Whether this is the answer: message type, STAN and terminal (DE11, DE41)."""
    return answer.mti == f"{int(question.mti) + 10:04d}" and all(
        answer.fields.get(n) == question.fields[n] for n in ("11", "41")
    )


def _exactly(connection: socket.socket, n: int, until: float) -> bytes:
    data = b""
    while len(data) < n:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left)
        part = connection.recv(n - len(data))
        if not part:
            raise EOFError("the connection was closed")
        data += part
    return data
