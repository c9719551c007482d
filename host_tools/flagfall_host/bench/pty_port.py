"""A simulated chip on a pseudo-terminal, where any program may open it as a serial port."""

import os
import select
import termios
import threading
import tty
from typing import Protocol

from flagfall_host.closing import Closing

_IDLE_S = 0.02  # how often a chip may speak by itself
_READ = 4096
_OSPEED = 5  # place in the list that termios.tcgetattr returns
# The speeds that a client sets; a pseudo-terminal that nobody has set up matches any.
_BAUDS = {getattr(termios, f"B{baud}"): baud for baud in (115200, 230400, 460800, 921600)}
_NOISE = b"\xf0"


class Chip(Protocol):
    """A chip on a serial wire: bytes in, bytes out."""

    def feed(self, data: bytes) -> bytes: ...

    def idle(self) -> bytes: ...


class PtyPort(Closing):
    """Serves `chip` at `path` from a thread until `close`.

    The line is raw from the start and stays open over the comings and goings of its clients.
    A chip's own exception ends the thread and is raised by `close`.
    """

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._stop_read, self._stop_write = os.pipe()
        self._error: BaseException | None = None
        self.dropped = 0  # bytes that no client fetched in time
        self._thread = threading.Thread(target=self._run, name=f"pty {self.path}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._master < 0:
            return
        os.write(self._stop_write, b"x")
        self._thread.join()
        for fd in (self._master, self._slave, self._stop_read, self._stop_write):
            os.close(fd)
        self._master = -1
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while True:
                ready, _, _ = select.select([self._master, self._stop_read], [], [], _IDLE_S)
                if self._stop_read in ready:
                    return
                if self._master in ready:
                    self._send(self._chip.feed(self._heard(os.read(self._master, _READ))))
                else:
                    self._send(self._chip.idle())
        except Exception as error:
            self._error = error

    def _heard(self, data: bytes) -> bytes:
        """A chip that runs at another speed than the line hears noise."""
        speed = termios.tcgetattr(self._slave)[_OSPEED]
        baud = _BAUDS.get(speed)
        wanted = getattr(self._chip, "baud", None)
        return data if None in (baud, wanted) or baud == wanted else _NOISE * len(data)

    def _send(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                self.dropped += len(data)  # a UART does not wait for its listener either
                return
