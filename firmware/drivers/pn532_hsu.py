# The PN532 on its high-speed UART (NXP UM0701-02, 6.2.4): 115200 baud, 8N1 after power-up.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall import pn532_frame as frames

# Two 55 and a pause of zeros: the rising edges wake the chip, the zeros give its oscillator time
# before the first frame (UM0701-02, 7.2.11; libraries use 3 to 25 zeros).
_WAKE = b"\x55\x55" + bytes(14)

_GAP_MS = 100  # inside a frame no byte is further from the next (the chip's own limit is 89 ms)

_POWER_UP_BAUD = 115200
# Codes of SetSerialBaudRate, UM0701-02, 7.2.7.
_BAUD_CODES = {115200: 4, 230400: 5, 460800: 6, 921600: 7, 1288000: 8}
_SLOW_DOWN = frames.encode(bytes((frames.TO_CHIP, 0x10, _BAUD_CODES[_POWER_UP_BAUD])))
_SETTLE_MS = 5  # the chip changes its speed some time after the host's ACK
_LAST = 2  # attempt to find the chip after which there is no other


class HSU:
    """Carries PN532 frames over a port with `read(n, timeout_ms)`, `write(data)`, `discard()`.

    `fast` is the speed to go up to once the chip is found, if the port also has
    `set_baud(baud)`. `baud` is the line's speed now.
    """

    gap_ms = _GAP_MS
    ack_size = len(frames.ACK)

    def __init__(self, port, fast=_POWER_UP_BAUD):
        self._port = port
        self._fast = fast if hasattr(port, "set_baud") else _POWER_UP_BAUD
        self.baud = _POWER_UP_BAUD
        self.speed_code = None  # what the chip is to be told once it answers
        # Frames travel as they are: one call less for each.
        self.read = port.read
        self.write = port.write
        self.discard = port.discard

    async def wake(self, attempt=0):
        """Bring the chip out of its low-power start-up mode. Says nothing about success.

        `attempt` 0 speaks as the chip was last heard, 1 at the other speed: either end may have
        lost its supply alone. 2 stays at the power-up speed: the line does not bear the other.
        """
        self.speed_code = None
        if self._fast != _POWER_UP_BAUD:
            baud = self.baud
            if attempt == 1:
                baud = _POWER_UP_BAUD + self._fast - baud
            elif attempt == _LAST:
                await self._slow_down()
                baud = _POWER_UP_BAUD
            if baud == _POWER_UP_BAUD and attempt < _LAST:
                self.speed_code = _BAUD_CODES[self._fast]
            self._turn_to(baud)
        await self._port.write(_WAKE)

    async def use_speed(self):
        """The chip has been told its new speed: follow it."""
        self._turn_to(self._fast)
        await self._port.read(1, _SETTLE_MS)

    async def _slow_down(self):
        """A chip at the fast end may hear us though we do not hear it: ask it to come back."""
        self._turn_to(self._fast)
        await self._port.write(_SLOW_DOWN)
        await self._port.read(1, _GAP_MS)
        await self._port.write(frames.ACK)
        await self._port.read(1, _SETTLE_MS)

    def _turn_to(self, baud):
        self._port.set_baud(baud)
        self.baud = baud
