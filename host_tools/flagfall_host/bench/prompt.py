"""MicroPython's prompt on a pseudo-terminal, as a unit's cable shows it while BOOT is held.

For programs that speak to a board's raw REPL, mpremote above all. MicroPython's unix port differs
from a chip in three things, which are made good here: its terminal is raw, a soft reset starts it
anew instead of ending it, and Ctrl-C reaches code that runs. When the program asks for a reset
(exit code 75, firmware/boot/chooser.py) the prompt is over: the unit starts.
"""

import contextlib
import os
import select
import signal
import subprocess
import threading
import tty
from pathlib import Path

from flagfall_host.bench.unit_process import MICROPYTHON, RESTART_CODE, environment
from flagfall_host.closing import Closing

_READ = 4_096
_LOOK_S = 0.05
_RAW = b"\x01"
_INTERRUPT = b"\x03"
_RUN = b"\x04"
_SOFT_RESET = b"MPY: soft reboot\r\n"
_ENDS = (_RUN + b">", b">>> ", b"exit\r\n>")  # of an answer, the longest last


class Prompt(Closing):
    """Serves the prompt of a unit whose program lies in `program` at `path`, until `close`.

    `reset` is set once the unit was told to start.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self.reset = threading.Event()
        self._client, self._client_slave = _raw_pty()
        self.path = os.ttyname(self._client_slave)
        self._board, self._board_slave = _raw_pty()
        self._over = threading.Event()
        self._running = False  # code runs: between its end (0x04) and the board's answer
        self._said = b""  # the last bytes of what the board has said
        self._child = self._start()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [MICROPYTHON, "-i"],
            env=environment(self._program),
            cwd=self._program,
            stdin=self._board_slave,
            stdout=self._board_slave,
            stderr=self._board_slave,
        )

    def _serve(self) -> None:
        while not self._over.is_set():
            ready, _, _ = select.select([self._client, self._board], [], [], _LOOK_S)
            if self._client in ready:
                self._to_board(os.read(self._client, _READ))
            if self._board in ready:
                self._to_client(os.read(self._board, _READ))
            elif self._child.poll() is not None:
                self._ended()

    def _to_board(self, data: bytes) -> None:
        if _INTERRUPT in data:
            # Only code that runs is interrupted: the prompt itself would end.
            data = data.replace(b"\r" + _INTERRUPT, b"").replace(_INTERRUPT, b"")
            if self._running:
                self._child.send_signal(signal.SIGINT)
        if data.endswith(_RUN):
            self._running = True
        if data:
            os.write(self._board, data)

    def _to_client(self, data: bytes) -> None:
        self._said = (self._said + data)[-len(_ENDS[-1]) :]  # an answer may come in pieces
        if self._said.endswith(_ENDS):
            self._running = False
        os.write(self._client, data)

    def _ended(self) -> None:
        self._running = False
        if self._child.returncode == RESTART_CODE:
            self.reset.set()
            self._over.set()
            return
        os.write(self._client, _SOFT_RESET)
        self._child = self._start()
        os.write(self._board, _RAW)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        self._child.wait()
        for fd in (self._client, self._client_slave, self._board, self._board_slave):
            os.close(fd)


def _raw_pty() -> tuple[int, int]:
    master, slave = os.openpty()
    tty.setraw(slave)
    return master, slave
