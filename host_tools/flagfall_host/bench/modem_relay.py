"""What lies behind the bench modem: the mobile network, as a relay of TCP connections.

A UNIX socket at `path`. The first line of a connection says what is wanted:

    KEY ms          the power key was pressed for so long; answered by DONE
    TCP name port   a connection through the modem's data call; answered by OK, then bytes both
                    ways; or by DOWN (no call), NO NAME (not in `routes`), REFUSED

It dies with the modem's carrier. Bytes can be delayed, held back for ever, cut off.
"""

import contextlib
import selectors
import socket
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from flagfall_host.bench.modem import BenchModem
from flagfall_host.closing import Closing

_READ = 4_096
_IDLE_S = 0.05
_CONNECT_S = 5.0
_BACKLOG = 1 << 18  # bytes that wait in one direction; a slow receiver holds the sender up


class _Way:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        self.source, self.sink, self.up = source, sink, up
        self.queue: deque[tuple[float, bytes]] = deque()
        self.waiting = 0
        self.ended = False


class ModemRelay(Closing):
    """Relays for `modem`. `routes`: (name, port) to the address that is really dialled.

    delay_s    of each byte, each way          stalled    nothing moves, nothing is closed
    cut_after  bytes, both ways together, after which `on_cut` is called (the carrier goes)
    `up`, `down`: bytes carried; `connections`, `refused`: how many.
    """

    def __init__(
        self,
        modem: BenchModem,
        routes: dict[tuple[str, int], tuple[str, int]] | None = None,
    ) -> None:
        self.modem = modem
        self.routes = routes if routes is not None else {}
        self.delay_s = 0.0
        self.stalled = False
        self.cut_after: int | None = None
        self.on_cut: Callable[[], None] = modem.lose_carrier
        self.up = self.down = self.connections = self.refused = 0
        self._place = tempfile.TemporaryDirectory(prefix="flagfall-")
        self.path = str(Path(self._place.name) / "modem.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(8)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._ways: list[_Way] = []
        self._drop = False
        self._stopping = False
        self._error: BaseException | None = None
        modem.carrier = self._carrier
        self._thread = threading.Thread(target=self._run, name="modem relay", daemon=True)
        self._thread.start()

    @property
    def carried(self) -> int:
        return self.up + self.down

    def close(self) -> None:
        """End it; an exception of its thread is raised here."""
        self._stopping = True
        self._thread.join()
        self._drop_all()
        self._selector.close()
        self._listener.close()
        self._place.cleanup()
        if self._error is not None:
            raise self._error

    def _carrier(self, up: bool) -> None:
        self._drop = self._drop or not up

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                for key, _ in self._selector.select(self._timeout()):
                    key.data(key.fileobj)
                self._deliver()
                if self.cut_after is not None and self.carried >= self.cut_after:
                    self.cut_after = None
                    self.on_cut()
                if self._drop:
                    self._drop = False
                    self._drop_all()
        except Exception as error:
            self._error = error

    def _timeout(self) -> float:
        due = [way.queue[0][0] for way in self._ways if way.queue]
        return min(_IDLE_S, max(0.0, min(due) - time.monotonic())) if due else _IDLE_S

    def _accept(self, listener: socket.socket) -> None:
        unit, _ = listener.accept()
        unit.settimeout(_CONNECT_S)
        try:
            words = _line(unit).split()
            if words[:1] == ["KEY"] and len(words) == 2:
                self.modem.press_key(int(words[1]))
                unit.sendall(b"DONE\n")
                unit.close()
            elif words[:1] == ["TCP"] and len(words) == 3:
                self._connect(unit, words[1], int(words[2]))
            else:
                unit.close()
        except (OSError, ValueError):
            unit.close()

    def _connect(self, unit: socket.socket, name: str, port: int) -> None:
        answer, far = b"OK\n", None
        if not self.modem.online:
            answer = b"DOWN\n"
        elif (name, port) not in self.routes:
            answer = b"NO NAME\n"
        else:
            try:
                far = socket.create_connection(self.routes[name, port], _CONNECT_S)
            except OSError:
                answer = b"REFUSED\n"
        unit.sendall(answer)
        if far is None:
            self.refused += 1
            unit.close()
            return
        self.connections += 1
        for end in (unit, far):
            end.setblocking(False)
        for way in (_Way(unit, far, True), _Way(far, unit, False)):
            self._ways.append(way)
            self._selector.register(way.source, selectors.EVENT_READ, self._read)

    def _read(self, source: socket.socket) -> None:
        way = next(w for w in self._ways if w.source is source)
        if self.stalled or way.waiting > _BACKLOG:
            time.sleep(0.001)  # it stays readable: do not spin
            return
        try:
            data = source.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            way.ended = True
            self._selector.unregister(source)
            return
        way.queue.append((time.monotonic() + self.delay_s, data))
        way.waiting += len(data)
        self.up += len(data) if way.up else 0
        self.down += 0 if way.up else len(data)

    def _deliver(self) -> None:
        now = time.monotonic()
        for way in list(self._ways):
            while way.queue and way.queue[0][0] <= now and not self.stalled:
                due, data = way.queue[0]
                try:
                    sent = way.sink.send(data)
                except BlockingIOError:
                    break
                except OSError:
                    self._end(way)
                    break
                way.waiting -= sent
                way.queue.popleft()
                if sent < len(data):
                    way.queue.appendleft((due, data[sent:]))
            if way.ended and not way.queue and way in self._ways:
                self._end(way)

    def _end(self, way: _Way) -> None:
        """One side is done: so is the connection."""
        for w in [w for w in self._ways if {w.source, w.sink} == {way.source, way.sink}]:
            self._ways.remove(w)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(w.source)
            w.source.close()

    def _drop_all(self) -> None:
        while self._ways:
            self._end(self._ways[0])


def _line(connection: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n") and len(line) < 200:
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return line.decode("ascii", "replace")
