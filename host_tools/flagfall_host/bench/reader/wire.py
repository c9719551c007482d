"""A chip and its host in one process: a port without a cable, and with a clock of its own."""

from flagfall_host.bench.pty_port import Chip


class Wire:
    """A port for drivers (`read`, `write`, `discard`) whose far end is `chip`.

    A time-out passes at once; `ticks_ms` counts the milliseconds that would have passed.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.now_ms = 0
        self._waiting = bytearray()

    def ticks_ms(self) -> int:
        return self.now_ms

    async def write(self, data: bytes) -> None:
        self._waiting += self.chip.feed(bytes(data))

    async def read(self, n: int, timeout_ms: int) -> bytes:
        if not self._waiting:
            self._waiting += self.chip.idle()
        if not self._waiting:
            self.now_ms += timeout_ms
        data = bytes(self._waiting[:n])
        del self._waiting[:n]
        return data

    def discard(self) -> None:
        self._waiting.clear()
