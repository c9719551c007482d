# The PN532 on its high-speed UART (NXP UM0701-02, 6.2.4): 115200 baud, 8N1 after power-up.
# MIT licence, (c) 2026 The Flagfall contributors.

# Two 55 and a pause of zeros: the rising edges wake the chip, the zeros give its oscillator time
# before the first frame (UM0701-02, 7.2.11; libraries use 3 to 25 zeros).
_WAKE = b"\x55\x55" + bytes(14)

_GAP_MS = 100  # inside a frame no byte is further from the next (the chip's own limit is 89 ms)


_POWER_UP_BAUD = 115200
# Codes of SetSerialBaudRate, UM0701-02, 7.2.7.
_BAUD_CODES = {115200: 4, 230400: 5, 460800: 6, 921600: 7, 1288000: 8}
_SETTLE_MS = 5  # the chip changes its speed some time after the host's ACK


class HSU:
    """Carries PN532 frames over a port with `read(n, timeout_ms)`, `write(data)`, `discard()`.

    `baud` beyond 115200 is set after each wake-up, if the port also has `set_baud(baud)`.
    """

    gap_ms = _GAP_MS

    def __init__(self, port, baud=_POWER_UP_BAUD):
        self._port = port
        self._baud = baud
        self._start_baud = _POWER_UP_BAUD
        self.speed_code = None if baud == _POWER_UP_BAUD else _BAUD_CODES[baud]

    async def wake(self):
        """Bring the chip out of its low-power start-up mode. Says nothing about success."""
        if self.speed_code is not None:
            self._port.set_baud(self._start_baud)
        await self._port.write(_WAKE)

    async def use_speed(self):
        """The chip has been told its new speed: follow it."""
        self._port.set_baud(self._baud)
        await self._port.read(1, _SETTLE_MS)

    def other_speed(self):
        """The chip was not found: it may still run at the speed of before the unit's restart."""
        if self.speed_code is not None:
            both = _POWER_UP_BAUD + self._baud
            self._start_baud = both - self._start_baud

    async def write(self, frame):
        """Send one frame."""
        await self._port.write(frame)

    async def read(self, n, timeout_ms):
        """Return 1 to `n` bytes as soon as there are any, b"" after `timeout_ms`."""
        return await self._port.read(n, timeout_ms)

    def discard(self):
        """Drop what has come in and was not read."""
        self._port.discard()
