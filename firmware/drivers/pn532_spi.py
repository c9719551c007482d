# The PN532 on SPI (NXP UM0701-02, 6.2.5): mode 0, least significant bit first, up to 5 MHz.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio
import time

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# The first byte of each transfer, bits reversed: ESP32's SPI sends the most significant bit first.
_DATA_WRITE = const(0x80)  # 01
_STATUS_READ = const(0x40)  # 02
_DATA_READ = const(0xC0)  # 03
_READY = const(0x80)  # bit 0 of the status, reversed

_WAKE_MS = const(5)  # chip select held low
_LONGEST = const(277)  # frame with preamble and postamble
_POLL_MS = const(1)

_REVERSED = bytes(sum(((i >> bit) & 1) << (7 - bit) for bit in range(8)) for i in range(256))


def _default_ticks_ms():
    return int(time.monotonic() * 1000)


async def _default_sleep_ms(ms):
    await asyncio.sleep(ms / 1000)


class SPIBus:
    """Carries PN532 frames over `spi` (as `machine.SPI`, MSB first) with `cs` (as `machine.Pin`).

    A frame is read whole in one transfer, from its start. Mind that `read` polls.
    """

    gap_ms = 10  # a frame comes in one piece or not at all
    ack_size = 7
    speed_code = None  # the host's clock is the bus's

    def __init__(self, spi, cs, ticks_ms=None, sleep_ms=None):
        self._spi = spi
        self._cs = cs
        self._ticks_ms = ticks_ms or getattr(time, "ticks_ms", _default_ticks_ms)
        self._sleep_ms = sleep_ms or getattr(asyncio, "sleep_ms", _default_sleep_ms)
        self._out = bytearray(_LONGEST + 1)
        self._in = bytearray(_LONGEST + 1)
        cs(1)

    async def wake(self, attempt=0):
        """Select the chip for long enough that it wakes. Says nothing about success."""
        self._cs(0)
        await self._sleep_ms(_WAKE_MS)
        self._cs(1)

    async def write(self, frame):
        """Send one frame."""
        n = len(frame)
        self._out[0] = _DATA_WRITE
        for i in range(n):
            self._out[i + 1] = _REVERSED[frame[i]]
        self._cs(0)
        self._spi.write(memoryview(self._out)[: n + 1])
        self._cs(1)

    async def read(self, n, timeout_ms):
        """Return the frame that the chip has ready with up to `n` bytes of idle line behind it,
        b"" after `timeout_ms`."""
        start = self._ticks_ms()
        while not self._transfer(_STATUS_READ, 1)[0] & _READY:
            if (self._ticks_ms() - start) & 0x3FFFFFFF >= timeout_ms:
                return b""
            await self._sleep_ms(_POLL_MS)
        raw = self._transfer(_DATA_READ, min(n, _LONGEST))
        return bytes(_REVERSED[b] for b in raw)

    def discard(self):
        """Nothing waits in the host: the chip keeps what was not fetched."""

    def _transfer(self, kind, n):
        self._out[0] = kind
        for i in range(1, n + 1):
            self._out[i] = 0
        self._cs(0)
        self._spi.write_readinto(memoryview(self._out)[: n + 1], memoryview(self._in)[: n + 1])
        self._cs(1)
        return memoryview(self._in)[1 : n + 1]
