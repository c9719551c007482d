# The PN532 on its high-speed UART (NXP UM0701-02, 6.2.4): 115200 baud, 8N1 after power-up.
# MIT licence, (c) 2026 The Flagfall contributors.

# Two 55 and a pause of zeros: the rising edges wake the chip, the zeros give its oscillator time
# before the first frame (UM0701-02, 7.2.11; libraries use 3 to 25 zeros).
_WAKE = b"\x55\x55" + bytes(14)

_GAP_MS = 100  # inside a frame no byte is further from the next (the chip's own limit is 89 ms)


class HSU:
    """Carries PN532 frames over a port with `read(n, timeout_ms)`, `write(data)`, `discard()`."""

    gap_ms = _GAP_MS

    def __init__(self, port):
        self._port = port

    async def wake(self):
        """Bring the chip out of its low-power start-up mode. Says nothing about success."""
        await self._port.write(_WAKE)

    async def write(self, frame):
        """Send one frame."""
        await self._port.write(frame)

    async def read(self, n, timeout_ms):
        """Return 1 to `n` bytes as soon as there are any, b"" after `timeout_ms`."""
        return await self._port.read(n, timeout_ms)

    def discard(self):
        """Drop what has come in and was not read."""
        self._port.discard()
