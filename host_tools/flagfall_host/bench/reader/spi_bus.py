"""A SPI bus with one simulated register chip on it, for drivers that expect `machine.SPI`."""

from typing import Protocol

_OVERHEAD_US = 15.0  # what a transfer costs beside its bits on an ESP32


class RegisterChip(Protocol):
    """A chip that is read and written by register, and has a clock."""

    def read(self, register: int) -> int: ...

    def write(self, register: int, value: int) -> None: ...

    def advance(self, us: float) -> None: ...


class FakeSPI:
    """Speaks the MFRC522's SPI format (MFRC522 data sheet 8.1.2) like a `machine.SPI`.

    First byte: address << 1, with bit 7 for a read. A write burst goes to one register; in a read
    each further byte out names the register of the next byte in.
    """

    def __init__(
        self, chip: RegisterChip, baudrate: int = 4_000_000, overhead_us: float = _OVERHEAD_US
    ) -> None:
        self._chip = chip
        self._overhead_us = overhead_us
        self._byte_us = 8e6 / baudrate
        self._selected = False
        self._address: int | None = None
        self._reading = False

    def cs(self, level: int) -> None:
        """The chip-select pin, to be called as a `machine.Pin` is."""
        self._selected = not level
        self._address = None
        if level:
            self._chip.advance(self._overhead_us)

    def write(self, data: bytes) -> None:
        for byte in data:
            self._byte(byte)

    def readinto(self, buffer: bytearray, write: int = 0) -> None:
        for i in range(len(buffer)):
            buffer[i] = self._byte(write)

    def write_readinto(self, data: bytes, buffer: bytearray) -> None:
        for i, byte in enumerate(data):
            buffer[i] = self._byte(byte)

    def _byte(self, out: int) -> int:
        if not self._selected:
            raise RuntimeError("SPI transfer without chip select")
        self._chip.advance(self._byte_us)
        address = out >> 1 & 0x3F
        if self._address is None:
            self._address = address
            self._reading = bool(out & 0x80)
            return 0
        if not self._reading:
            self._chip.write(self._address, out)
            return 0
        value = self._chip.read(self._address)
        if out & 0x80:
            self._address = address
        return value
