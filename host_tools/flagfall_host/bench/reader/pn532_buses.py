"""The PN532's other two host links, for drivers that expect `machine.I2C` or `machine.SPI`.

UM0701-02, 6.2.5 and 6.2.6. Here the host asks, and the chip holds each frame until it is fetched.
"""

import errno
from collections import deque

from flagfall.pn532_frame import ACK

from flagfall_host.bench.reader.pn532 import ASLEEP, PN532Chip

_I2C_ADDRESS = 0x24
_DATA_WRITE, _STATUS_READ, _DATA_READ = 0x01, 0x02, 0x03
_REVERSED = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


class _Frames:
    """The frames that wait in the chip for their host."""

    def __init__(self, chip: PN532Chip) -> None:
        self.chip = chip
        self._waiting: deque[bytes] = deque()

    def write(self, data: bytes) -> None:
        self._waiting.clear()  # a new command, an abort or NACK: what was not fetched is void
        self._add(self.chip.feed(data))

    def ready(self) -> bool:
        if not self._waiting:
            self._add(self.chip.idle())
        return bool(self._waiting)

    def read(self, n: int) -> bytes:
        """The waiting frame from its start; it is gone once it was read whole."""
        if not self.ready():
            return bytes(n)
        frame = self._waiting[0]
        if n >= len(frame):
            self._waiting.popleft()
        return frame[:n] + bytes(max(0, n - len(frame)))

    def _add(self, out: bytes) -> None:
        end = out.find(ACK) + len(ACK) if ACK in out else 0
        for frame in (out[:end], out[end:]):
            if frame:
                self._waiting.append(frame)


class FakeI2C:
    """A `machine.I2C` with a PN532 on it."""

    def __init__(self, chip: PN532Chip) -> None:
        self._frames = _Frames(chip)
        self._chip = chip

    def writeto(self, address: int, data: bytes) -> int:
        self._acknowledge(address)
        self._frames.write(bytes(data))
        return len(data)

    def readfrom_into(self, address: int, buffer: bytearray) -> None:
        self._acknowledge(address)
        ready = self._frames.ready()
        buffer[0] = int(ready)
        if ready and len(buffer) > 1:
            buffer[1:] = self._frames.read(len(buffer) - 1)

    def _acknowledge(self, address: int) -> None:
        if address != _I2C_ADDRESS:
            raise OSError(errno.ENODEV)
        if self._chip.mode == ASLEEP:
            self._chip.wake()
            raise OSError(errno.ENODEV)


class FakePN532SPI:
    """A `machine.SPI` with a PN532 on it, and its chip-select pin `cs`."""

    def __init__(self, chip: PN532Chip) -> None:
        self._frames = _Frames(chip)
        self._chip = chip
        self._selected = False
        self._heard = bytearray()

    def cs(self, level: int) -> None:
        if not level:
            self._chip.wake()
        elif self._heard[:1] == bytes((_DATA_WRITE,)):
            self._frames.write(bytes(self._heard[1:]))
        self._selected = not level
        self._heard.clear()

    def write(self, data: bytes) -> None:
        self.write_readinto(data, bytearray(len(data)))

    def write_readinto(self, data: bytes, buffer: bytearray) -> None:
        if not self._selected:
            raise RuntimeError("SPI transfer without chip select")
        fresh = not self._heard
        self._heard += bytes(_REVERSED[b] for b in data)
        said = bytes(len(data))
        if fresh and self._heard[0] == _STATUS_READ:
            said = b"\x00" + bytes((int(self._frames.ready()),)) * (len(data) - 1)
        elif fresh and self._heard[0] == _DATA_READ:
            said = b"\x00" + self._frames.read(len(data) - 1)
        buffer[:] = bytes(_REVERSED[b] for b in said)
