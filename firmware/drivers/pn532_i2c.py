# The PN532 on I2C (NXP UM0701-02, 6.2.6): address 24, up to 400 kHz, the chip stretches the clock.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio
import time

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_ADDRESS = const(0x24)  # 7 bits
_READY = const(0x01)  # status byte in front of every read
_LONGEST = const(277)  # frame with preamble and postamble
_WAKE_TRIES = const(5)  # a sleeping chip does not acknowledge its address at first
_POLL_MS = const(1)


def _default_ticks_ms():
    return int(time.monotonic() * 1000)


async def _default_sleep_ms(ms):
    await asyncio.sleep(ms / 1000)


class I2CBus:
    """Carries PN532 frames over `i2c` (as `machine.I2C`).

    Each read transaction starts at the frame's first byte again, so that a frame is read in one.
    """

    gap_ms = 10  # a frame comes in one piece or not at all
    ack_size = 7
    speed_code = None  # the host's clock is the bus's

    def __init__(self, i2c, ticks_ms=None, sleep_ms=None):
        self._i2c = i2c
        self._ticks_ms = ticks_ms or getattr(time, "ticks_ms", _default_ticks_ms)
        self._sleep_ms = sleep_ms or getattr(asyncio, "sleep_ms", _default_sleep_ms)
        self._status = bytearray(1)
        self._in = bytearray(_LONGEST + 1)

    async def wake(self, attempt=0):
        """Address the chip until it acknowledges. Says nothing about success."""
        for _ in range(_WAKE_TRIES):
            try:
                self._i2c.readfrom_into(_ADDRESS, self._status)
                return
            except OSError:
                await self._sleep_ms(_POLL_MS)

    async def write(self, frame):
        """Send one frame; a chip that does not acknowledge it has not taken it."""
        try:
            self._i2c.writeto(_ADDRESS, frame)
        except OSError:
            pass

    async def read(self, n, timeout_ms):
        """Return the frame that the chip has ready with up to `n` bytes of idle line behind it,
        b"" after `timeout_ms`."""
        start = self._ticks_ms()
        while not self._ready():
            if (self._ticks_ms() - start) & 0x3FFFFFFF >= timeout_ms:
                return b""
            await self._sleep_ms(_POLL_MS)
        view = memoryview(self._in)[: min(n, _LONGEST) + 1]
        try:
            self._i2c.readfrom_into(_ADDRESS, view)
        except OSError:
            return b""
        return bytes(view[1:]) if view[0] & _READY else b""

    def discard(self):
        """Nothing waits in the host: the chip keeps what was not fetched."""

    def _ready(self):
        try:
            self._i2c.readfrom_into(_ADDRESS, self._status)
        except OSError:
            return False
        return bool(self._status[0] & _READY)
