"""The maintenance cable: two pseudo-terminals, and between them as bad a line as is wished.

    with Cable(baud=921_600, latency_ms=16, bit_errors=1e-5) as cable:
        ...  # open cable.host and cable.unit as serial ports

Bytes are paced by an absolute schedule, 8N1. `baud=None` lets each end's own termios speed count:
ends that disagree hear garbage. The adapter's latency timer works as an FT232's does (AN232B-04):
full packets of 62 bytes go at once, the rest when the timer runs out.
"""

import contextlib
import os
import random
import select
import termios
import threading
import time
import tty
from collections import deque

from flagfall_host.closing import Closing

BASE_BAUD = 115_200
BITS = 10  # on the line for a byte: start, eight, stop
_PACKET = 62  # bytes of data in a full USB packet of an FT232
_BACKLOG_S = 0.004  # of line time that a sender's FIFO holds
_QUANTUM_S = 0.001
_LATE_S = 0.05  # a thread that wakes this late has not left the line idle
_TOO_FAST = 0.02  # share of bytes that come wrong above the speed a line carries
_FLUSH = 8  # bytes; the smallest piece that is worth moving
_IDLE_S = 0.5
_SPEEDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name.startswith("B") and name[1:].isdigit()
}


class _End:
    """One pseudo-terminal, raw from the start and open for whoever comes."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        attributes = termios.tcgetattr(self.slave)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)

    @property
    def baud(self) -> int:
        return _SPEEDS.get(termios.tcgetattr(self.slave)[5], BASE_BAUD)

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


class Lane:
    """One direction. Counters: `carried` (bytes delivered), `flipped` (bits), `dropped` (bytes
    lost on the line), `overrun` (bytes that the receiver did not fetch), `garbled` (bytes heard
    at another speed than they were sent)."""

    def __init__(
        self,
        seed: int,
        bit_errors: float,
        drops: float,
        delay_s: float,
        latency_s: float,
        good_to: int | None,
    ) -> None:
        self.carried = self.flipped = self.dropped = self.overrun = self.garbled = 0
        self._random = random.Random(seed)
        self._bit_errors = bit_errors
        self._drops = drops
        self._delay_s = delay_s
        self._latency_s = latency_s
        self._good_to = good_to
        self._queue: deque[tuple[float, bytes]] = deque()  # due, bytes
        self._free_at = 0.0
        self._throttled = False
        self._adapter = bytearray()
        self._sent_at = 0.0
        self._next_error = self._gap(bit_errors)
        self._next_drop = self._gap(drops)

    def _gap(self, rate: float) -> int:
        """Bits or bytes until the next fault."""
        return 1 << 62 if rate <= 0 else int(self._random.expovariate(rate))

    def wants(self, now: float) -> bool:
        """Whether the sender's FIFO has room."""
        room = self._free_at - now < _BACKLOG_S
        self._throttled |= not room
        return room

    def take(self, master: int, tx: int, rx: int, now: float) -> None:
        """Take what the sender has written, at most a quantum of line time."""
        n = max(_FLUSH, int(tx / BITS * _QUANTUM_S))
        try:
            data = os.read(master, n)
        except BlockingIOError:
            return
        # The FIFO was full: what comes now has waited, and the line was not idle meanwhile.
        busy = self._throttled and now - self._free_at < _LATE_S
        start = self._free_at if busy else max(now, self._free_at)
        self._throttled = False
        self._free_at = start + len(data) * BITS / tx
        if tx != rx:
            self.garbled += len(data)
            data = self._random.randbytes(max(1, len(data) * rx // tx))
        elif self._good_to is not None and tx > self._good_to:
            self.garbled += len(data)
            data = bytes(b ^ 0x10 if self._random.random() < _TOO_FAST else b for b in data)
        self._queue.append((self._free_at + self._delay_s, self._harm(data)))

    def _harm(self, data: bytes) -> bytes:
        bits = len(data) * BITS
        if self._next_error >= bits and self._next_drop >= len(data):
            self._next_error -= bits
            self._next_drop -= len(data)
            return data
        out = bytearray()
        for byte in data:
            self._next_drop -= 1
            if self._next_drop < 0:
                self._next_drop = self._gap(self._drops)
                self.dropped += 1
                self._next_error -= BITS
                continue
            self._next_error -= BITS
            while self._next_error < 0:
                bit = self._next_error + BITS
                self.flipped += 1
                # A start or stop bit that is wrong makes any byte out of this one.
                byte = byte ^ 1 << bit - 1 if 1 <= bit <= 8 else self._random.randrange(256)
                self._next_error = self._next_error + self._gap(self._bit_errors) + 1
            out.append(byte)
        return bytes(out)

    def due(self) -> float:
        """When something must be delivered next."""
        at = self._queue[0][0] if self._queue else float("inf")
        if self._adapter:
            at = min(at, self._sent_at + self._latency_s)
        return at

    def deliver(self, master: int, now: float, limit: int | None = None) -> None:
        """Hand over what is due; with `limit`, only until that many bytes were carried."""
        while self._queue and self._queue[0][0] <= now:
            self._adapter += self._queue.popleft()[1]
        n = len(self._adapter)
        if now < self._sent_at + self._latency_s:
            n = n // _PACKET * _PACKET
        if limit is not None:
            n = min(n, limit - self.carried)
        if n <= 0:
            if not self._adapter:
                self._sent_at = max(self._sent_at, now - self._latency_s)
            return
        data = bytes(self._adapter[:n])
        del self._adapter[:n]
        self._sent_at = now
        try:
            written = os.write(master, data)
        except BlockingIOError:
            written = 0
        self.overrun += n - written
        self.carried += n

    def forget(self) -> None:
        """The cable was pulled: what was under way is lost."""
        self._queue.clear()
        self._adapter.clear()


class Cable(Closing):
    """A cable in a thread of its own. `host` and `unit` are the paths of its two ends.

    baud        bit/s of the line, or None: as the ends are set
    latency_ms  of the adapter's timer towards the host       turn_ms  delay towards the unit
    bit_errors  chance of a wrong bit     drops  chance of a lost byte, both ways
    good_to     bit/s above which the line is too long for what it is: many bytes come wrong
    pull_after  bytes carried to the host after which the cable is pulled

    `to_host` and `to_unit` are its lanes. An exception in the thread is raised by `close`.
    """

    def __init__(
        self,
        *,
        baud: int | None = None,
        latency_ms: float = 0,
        turn_ms: float = 0,
        bit_errors: float = 0,
        drops: float = 0,
        seed: int = 0,
        good_to: int | None = None,
        pull_after: int | None = None,
    ) -> None:
        self.baud = baud
        self.pull_after = pull_after
        self.to_host = Lane(2 * seed, bit_errors, drops, 0, latency_ms / 1_000, good_to)
        self.to_unit = Lane(2 * seed + 1, bit_errors, drops, turn_ms / 1_000, 0, good_to)
        self._unit = _End()
        self._host: _End | None = _End()
        self._moved = threading.Condition()
        self._stop_read, self._stop_write = os.pipe()
        os.set_blocking(self._stop_read, False)
        self._stopping = False
        self._pull_wanted = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="cable", daemon=True)
        self._thread.start()

    @property
    def unit(self) -> str:
        return self._unit.path

    @property
    def host(self) -> str:
        """The path of the host's end; another one each time it was plugged in."""
        end = self._host
        return end.path if end is not None else ""

    @property
    def plugged_in(self) -> bool:
        return self._host is not None

    def pull(self) -> None:
        """Pull the host's end out: its port is gone."""
        with self._moved:
            self._pull_wanted = True
            self._wake()
            self._moved.wait_for(lambda: self._host is None or not self._thread.is_alive())

    def plug_in(self) -> None:
        """Plug the host's end in again."""
        with self._moved:
            self._pull_wanted = False
            self.pull_after = None
            if self._host is None:
                self._host = _End()
            self._wake()

    def wait_carried(self, bytes_to_host: int, seconds: float) -> bool:
        """Wait until so many bytes have come to the host in all. False: not within `seconds`."""
        with self._moved:
            return self._moved.wait_for(lambda: self.to_host.carried >= bytes_to_host, seconds)

    def close(self) -> None:
        if not self._thread.is_alive() and self._unit.master < 0:
            return
        self._stopping = True
        self._wake()
        self._thread.join()
        self._unit.close()
        self._unit.master = -1
        if self._host is not None:
            self._host.close()
        os.close(self._stop_read)
        os.close(self._stop_write)
        if self._error is not None:
            raise self._error

    # --- the thread -------------------------------------------------------------------------

    def _wake(self) -> None:
        os.write(self._stop_write, b"x")

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._step()
        except Exception as error:
            self._error = error
        with self._moved:
            self._moved.notify_all()

    def _step(self) -> None:
        now = time.monotonic()
        host, unit = self._host, self._unit
        listen = [self._stop_read]
        if self.to_host.wants(now):
            listen.append(unit.master)
        if host is not None and self.to_unit.wants(now):
            listen.append(host.master)
        due = min(self.to_host.due(), self.to_unit.due())
        if len(listen) < 3:
            due = min(due, now + _QUANTUM_S)  # a FIFO is full: look again soon
        ready, _, _ = select.select(listen, [], [], max(0.0, min(due - now, _IDLE_S)))
        now = time.monotonic()
        host = self._host  # it may have been plugged in meanwhile, and what comes now is for it
        if self._stop_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._stop_read, 64)
        unit_baud = self.baud or unit.baud
        host_baud = self.baud or (host.baud if host is not None else unit_baud)
        if unit.master in ready:
            self.to_host.take(unit.master, unit_baud, host_baud, now)
        if host is not None and host.master in ready:
            self.to_unit.take(host.master, host_baud, unit_baud, now)
        self.to_unit.deliver(unit.master, now)
        if host is not None:
            self.to_host.deliver(host.master, now, self.pull_after)
        else:
            self.to_host.forget()
        reached = self.pull_after is not None and self.to_host.carried >= self.pull_after
        with self._moved:
            if host is not None and (self._pull_wanted or reached):
                self._host = None
                host.close()
                self.to_host.forget()
                self.to_unit.forget()
            self._moved.notify_all()
