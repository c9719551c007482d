"""A simulated SPI chip for a bench unit in another process, over a pseudo-terminal.

From the unit: 01 select, 00 release, 02 length (2 bytes, low first) bytes: a transfer, which is
answered by as many bytes. Time passes for the chip as it does for the unit.
"""

import time

from flagfall_host.bench.reader.spi_bus import FakeSPI, RegisterChip


class SPIServer:
    """Serves `chip` as a serial chip (`feed`, `idle`) for `PtyPort`."""

    def __init__(self, chip: RegisterChip) -> None:
        self._chip = chip
        self._spi = FakeSPI(chip)
        self._buffer = bytearray()
        self._last = time.monotonic()

    def feed(self, data: bytes) -> bytes:
        self._pass_time()
        self._buffer += data
        out = bytearray()
        while self._buffer:
            kind = self._buffer[0]
            if kind in (0, 1):
                self._spi.cs(1 - kind)
                del self._buffer[0]
                continue
            if kind != 2:
                raise ValueError(f"no such SPI request: {kind}")
            n = int.from_bytes(self._buffer[1:3], "little")
            if len(self._buffer) < 3 + n:
                break
            answer = bytearray(n)
            self._spi.write_readinto(bytes(self._buffer[3 : 3 + n]), answer)
            del self._buffer[: 3 + n]
            out += answer
        return bytes(out)

    def idle(self) -> bytes:
        self._pass_time()
        return b""

    def _pass_time(self) -> None:
        now = time.monotonic()
        self._chip.advance((now - self._last) * 1e6)
        self._last = now
