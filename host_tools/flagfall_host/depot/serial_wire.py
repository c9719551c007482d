"""The cable as the link sees it: bytes to write, bytes that have come, a speed, a name."""

import contextlib
import errno
import threading
import time
from typing import Protocol

import serial

from flagfall_host.depot.link_errors import PortError, PortLost

BASE_BAUD = 115_200
_POLL_S = 0.1  # how long the reader thread may sit in one read
_WRITE_S = 10.0  # a port that takes nothing for this long is stuck
_WAITING = 1 << 20  # bytes read and not yet asked for; a window of frames is a tenth of it


class Wire(Protocol):
    """What carries frames. `read` gives what is there, at once; b"" after a time of silence."""

    name: str
    baud: int

    def write(self, data: bytes) -> None: ...

    def read(self, timeout_s: float) -> bytes: ...

    def set_baud(self, baud: int) -> None: ...

    def now(self) -> float:
        """Seconds on a clock that only moves forward."""
        ...

    def close(self) -> None: ...


class SerialWire:
    """A serial port, or anything else `serial.serial_for_url` opens (socket://, rfc2217://).

    A thread keeps reading, so that no byte is lost while the ledger commits. Raises PortError
    when the port cannot be opened and PortLost when it fails later.
    """

    def __init__(self, port: str, baud: int = BASE_BAUD) -> None:
        self.name = port
        self.baud = baud
        # pyserial asserts DTR and RTS, as the kernel has done already on opening. No line
        # changes alone, which is what would reset an ESP32 through its download circuit: a
        # meter must go on running when the cable is plugged in.
        try:
            self._serial = serial.serial_for_url(
                port, baudrate=baud, timeout=_POLL_S, write_timeout=_WRITE_S, exclusive=True
            )
        except (serial.SerialException, ValueError, OSError) as e:
            raise PortError(_why_not(port, e)) from e
        self._came = threading.Condition()
        self._chunks: list[bytes] = []
        self._size = 0
        self.dropped = 0  # bytes that nobody asked for in time
        self._lost: str | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._listen, name=f"read {port}", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._closing:
            try:
                data = self._serial.read(self._serial.in_waiting or 1)
            except (serial.SerialException, OSError, TypeError) as e:
                # TypeError: pyserial, when another thread has closed the port.
                with self._came:
                    self._lost = str(e)
                    self._came.notify_all()
                return
            if not data:
                continue
            with self._came:
                if self._size + len(data) > _WAITING:
                    self.dropped += len(data)
                    continue
                self._chunks.append(data)
                self._size += len(data)
                self._came.notify_all()

    def read(self, timeout_s: float) -> bytes:
        with self._came:
            if not self._chunks and self._lost is None:
                self._came.wait(timeout_s)
            if not self._chunks:
                if self._lost is not None:
                    raise PortLost(self._gone())
                return b""
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
            return data

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException as e:
            raise PortLost(
                f"{self.name}: the port takes no bytes: unplug the adapter, plug it in again "
                "and run the command again"
            ) from e
        except (serial.SerialException, OSError) as e:
            raise PortLost(self._gone()) from e

    def set_baud(self, baud: int) -> None:
        try:
            self._serial.flush()
            self._serial.baudrate = baud
        except (serial.SerialException, ValueError, OSError) as e:
            raise PortLost(self._gone()) from e
        self.baud = baud

    def now(self) -> float:
        return time.monotonic()

    def _gone(self) -> str:
        return (
            f"{self.name}: the port went away (cable or adapter pulled?): plug it in and run the "
            "same command again; it goes on where it stopped"
        )

    def close(self) -> None:
        self._closing = True
        self._thread.join(timeout=10 * _POLL_S)
        with contextlib.suppress(serial.SerialException, OSError):
            self._serial.close()


def _why_not(port: str, e: Exception) -> str:
    number = getattr(e, "errno", None)
    if number == errno.ENOENT:
        return f"{port}: no such port: is the cable plugged in? `flagfall unit ports` lists them"
    if number == errno.EACCES:
        return (
            f"{port}: not allowed to open the port: add yourself to its group "
            "(sudo usermod -aG dialout $USER) and log in again"
        )
    if number in (errno.EAGAIN, errno.EBUSY):
        return f"{port}: another program is using the port: close it and try again"
    return f"{port}: the port cannot be opened: {e}"
