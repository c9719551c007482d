# A UART of the bench unit: a pseudo-terminal, opened as the unix port of MicroPython can.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio
import termios
import time

from drivers.timed_read import read_within

_PIECE = 128  # bytes written at once: a pty takes that much whenever it says it is writable
_DISCARD_READS = 256
_CHUNK = 512
_DRAIN_MS = 30
_LIMIT_MS = 50  # a shorter wait is a pause, not a limit
_SPEEDS = {115200: termios.B115200, 921600: termios.B921600}

# Places in the list that termios.tcgetattr returns, and in its list of control characters.
_IFLAG, _OFLAG, _LFLAG, _ISPEED, _OSPEED, _CC = 0, 1, 3, 4, 5, 6
_VTIME, _VMIN = 5, 6  # Linux


def make_raw(fd, tenths=0):
    """Bytes pass unchanged, and a read returns what is there after at most `tenths` of a second,
    be it nothing."""
    attributes = termios.tcgetattr(fd)
    attributes[_IFLAG] = attributes[_OFLAG] = attributes[_LFLAG] = 0
    attributes[_CC][_VMIN] = 0
    attributes[_CC][_VTIME] = tenths
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


class SerialPort:
    """A port for drivers on the pty at `path`: `read`, `write`, `discard`.

    What has come and was not read waits in the kernel, which bounds it. An unplugged cable (the
    pty's other end is closed) looks like silence; what is written to it is lost and counted.
    """

    bauds = (115200, 921600)

    def __init__(self, path, patience=1):
        self._patience = patience  # limits are so many times longer: the other end is slow
        self._file = open(path, "r+b", buffering=0)
        make_raw(self._file.fileno())  # a read never stalls the unit
        self._stream = asyncio.StreamReader(self._file)
        self.lost = 0  # bytes written to nobody

    async def read(self, n, timeout_ms):
        """Return 1 to `n` bytes as soon as any are there, b"" after `timeout_ms`."""
        # Even a line that is never silent must let the other tasks run.
        await asyncio.sleep_ms(0)
        try:
            data = self._file.read(n)
            if data or timeout_ms <= 0:
                return data or b""
            if timeout_ms >= _LIMIT_MS:
                timeout_ms *= self._patience
            data = await read_within(self._stream, n, timeout_ms)
            if data is None:
                return b""
            if data:
                return data
        except OSError:
            pass
        # The other end is closed: poll says readable at once, for ever.
        await asyncio.sleep_ms(max(timeout_ms, 1))
        return b""

    async def write(self, data):
        """Send all of `data`."""
        view = memoryview(data)
        for at in range(0, len(data), _PIECE):
            piece = view[at : at + _PIECE]
            try:
                self._stream.write(piece)
                await self._stream.drain()
            except OSError:
                self._stream.out_buf = b""
                self.lost += len(data) - at
                return

    def set_baud(self, baud):
        """Change the line's speed, once what was written has gone."""
        # A pty does not say when its bytes were fetched; the last answer takes a few ms.
        time.sleep_ms(_DRAIN_MS)
        attributes = termios.tcgetattr(self._file.fileno())
        attributes[_ISPEED] = attributes[_OSPEED] = _SPEEDS[baud]
        termios.tcsetattr(self._file.fileno(), termios.TCSANOW, attributes)

    def discard(self):
        """Drop what is waiting."""
        try:
            for _ in range(_DISCARD_READS):
                if not self._file.read(_CHUNK):
                    return
        except OSError:
            pass

    def close(self):
        self._file.close()
