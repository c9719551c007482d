# The ports of a unit: hardware UARTs, and the console, which is the maintenance cable: the chip's
# own USB socket, or UART0 behind a USB bridge where the chip has none.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Both offer what the drivers and the link ask of a port: `read(n, timeout_ms)`, `write(data)`,
# `discard()`.

import asyncio
import select
import sys
import time

import micropython
from drivers.timed_read import read_within
from machine import UART
from micropython import const

# While flash is erased nothing is read for up to 100 ms; at 115200 baud 1.2 kB may come by then.
_RX_BUFFER = const(4096)
_TX_BUFFER = const(1024)
_PIECE = const(128)  # bytes written at once, so that a long text does not hold the meter up
_USB_PIECE = const(64)  # one USB packet
_USB_STUCK_MS = const(250)  # a packet that takes this long: nobody reads at the other end
_DISCARD_READS = const(64)
_CHUNK = const(512)


class UartPort:
    """UART number `block` on GPIO `tx` and `rx`."""

    def __init__(self, block, tx, rx, baud):
        self._uart = UART(block, baud, tx=tx, rx=rx, rxbuf=_RX_BUFFER, txbuf=_TX_BUFFER)
        self._stream = asyncio.StreamReader(self._uart)
        self._pace(baud)

    def set_baud(self, baud):
        """Change the line's speed, once what was written has gone (UART.init waits for that)."""
        self._uart.init(baudrate=baud)
        self._pace(baud)

    def _pace(self, baud):
        self._piece_ms = _PIECE * 10 * 1000 // baud + 1  # 8N1: 10 bits a byte

    @property
    def uart(self):
        """The stream itself, for PPP."""
        return self._uart

    async def read(self, n, timeout_ms):
        """Return 1 to `n` bytes as soon as any are there, b"" after `timeout_ms`."""
        await asyncio.sleep_ms(0)  # even a line that is never silent must let others run
        data = self._uart.read(n)
        if data or timeout_ms <= 0:
            return data or b""
        return await read_within(self._stream, n, timeout_ms) or b""

    async def write(self, data):
        """Send all of `data`, at the pace of the line."""
        view = memoryview(data)
        for at in range(0, len(data), _PIECE):
            self._uart.write(view[at : at + _PIECE])
            if at + _PIECE < len(data):
                await asyncio.sleep_ms(self._piece_ms)

    def discard(self):
        """Drop what has come in and was not read."""
        for _ in range(_DISCARD_READS):
            if not self._uart.read(_CHUNK):
                return


class ConsolePort:
    """The maintenance cable. Ctrl-C is data here: a cable cannot stop the meter."""

    def __init__(self):
        micropython.kbd_intr(-1)
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._stream = asyncio.StreamReader(self._in)
        self._poll = select.poll()
        self._poll.register(self._in, select.POLLIN)
        self.lost = 0  # bytes written while nobody read

    async def read(self, n, timeout_ms):
        """Return 1 to `n` bytes as soon as any are there, b"" after `timeout_ms`."""
        await asyncio.sleep_ms(0)
        data = self._waiting(n)
        if data or timeout_ms <= 0:
            return data
        try:
            # Only ever one byte: asking for more would wait until all of them have come.
            data = await asyncio.wait_for_ms(self._stream.read(1), timeout_ms)
        except asyncio.TimeoutError:
            return b""
        if not data:  # unplugged; do not spin
            await asyncio.sleep_ms(max(timeout_ms, 1))
            return b""
        return data + self._waiting(n - 1)

    async def write(self, data):
        """Send `data`; what nobody takes within a quarter of a second is dropped and counted."""
        view = memoryview(data)
        for at in range(0, len(data), _USB_PIECE):
            piece = view[at : at + _USB_PIECE]
            began = time.ticks_ms()
            written = self._out.write(piece)
            slow = time.ticks_diff(time.ticks_ms(), began) > _USB_STUCK_MS
            if slow or (written is not None and written < len(piece)):
                self.lost += len(data) - at
                return
            await asyncio.sleep_ms(0)

    def discard(self):
        """Drop what has come in and was not read."""
        for _ in range(_DISCARD_READS):
            if not self._waiting(_CHUNK):
                return

    def _waiting(self, n):
        """Up to `n` bytes that are there already."""
        out = bytearray()
        while len(out) < n and self._poll.poll(0):
            byte = self._in.read(1)
            if not byte:
                break
            out.extend(byte)
        return bytes(out)
