"""A certified ISU (JT/T 905-2014) on the meter port of a bench unit."""

import threading
from collections import deque

from flagfall.jt905 import bodies
from flagfall.jt905.frame import ISU, Parser, encode

_ASKS_FOR = {bodies.STATUS, bodies.CLOCK_CHECK, bodies.TARIFF_QUERY, bodies.TARIFF_SET}
_LOG = 1_000


class Isu:
    """A chip for `PtyPort`. It acknowledges what a taximeter tells it.

    `silent`: it answers nothing. `refusals`: so many acknowledgements say "failed". `told` holds
    (command, data) of all that came, newest last.
    """

    def __init__(self, vendor: int = 0) -> None:
        self.vendor = vendor
        self.silent = False
        self.refusals = 0
        self.told: deque[tuple[int, bytes]] = deque(maxlen=_LOG)
        self._parser = Parser()
        self._asked = b""
        self._answers: dict[int, bytes] = {}
        self._changed = threading.Condition()

    def feed(self, data: bytes) -> bytes:
        out = b""
        for _type, _vendor, command, body in self._parser.feed(data):
            with self._changed:
                if command in _ASKS_FOR:
                    self._answers[command] = body
                else:
                    self.told.append((command, body))
                    out += self._acknowledgement(command)
                self._changed.notify_all()
        return b"" if self.silent else out

    def idle(self) -> bytes:
        with self._changed:
            asked, self._asked = self._asked, b""
        return asked

    def _acknowledgement(self, command: int) -> bytes:
        if command == bodies.HEARTBEAT:
            # ISU state, time limit, count limit, reserved: nothing is limited.
            return encode(command, bytes(10), ISU, self.vendor)
        result = bodies.ACCEPTED
        if self.refusals:
            self.refusals -= 1
            result = bodies.FAILED
        return encode(command, bytes((result,)), ISU, self.vendor)

    def ask(self, command: int, data: bytes = b"", seconds: float = 10) -> bytes:
        """The taximeter's answer. Raises TimeoutError."""
        self.send(encode(command, data, ISU, self.vendor))
        with self._changed:
            if not self._changed.wait_for(lambda: command in self._answers, seconds):
                raise TimeoutError(f"the taximeter does not answer {command:04X}")
            return self._answers.pop(command)

    def send(self, raw: bytes) -> None:
        """Put bytes on the line, whatever they are."""
        with self._changed:
            self._asked += raw

    def wait_told(self, command: int, count: int = 1, seconds: float = 20) -> list[bytes]:
        """The data of all `command` that came, once there are `count`. Raises TimeoutError."""

        def found() -> list[bytes]:
            return [body for told, body in self.told if told == command]

        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, seconds):
                seen = [f"{told:04X}" for told, _ in self.told]
                raise TimeoutError(f"no {command:04X} from the taximeter, only {seen}")
            return found()
