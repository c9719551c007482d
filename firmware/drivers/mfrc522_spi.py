# Registers of an MFRC522 or FM175xx over SPI: mode 0, MSB first, up to 10 MHz (DS 8.1.2).
# MIT licence, (c) 2026 The Flagfall contributors.


class RegisterBus:
    """Reads and writes registers over `spi` (as `machine.SPI`) with `cs` (as `machine.Pin`)."""

    def __init__(self, spi, cs):
        self._spi = spi
        self._cs = cs
        self._out = bytearray(2)
        self._in = bytearray(2)
        self._burst_out = bytearray(65)  # address byte and the whole FIFO
        self._burst_in = bytearray(65)
        cs(1)

    def read(self, register):
        """Return the value of `register` (0 to 3F)."""
        self._out[0] = 0x80 | register << 1
        self._out[1] = 0
        self._cs(0)
        self._spi.write_readinto(self._out, self._in)
        self._cs(1)
        return self._in[1]

    def write(self, register, value):
        """Set `register` to `value`."""
        self._out[0] = register << 1
        self._out[1] = value
        self._cs(0)
        self._spi.write(self._out)
        self._cs(1)

    def read_many(self, register, n):
        """Return `n` bytes (at most 64) read from one register, the FIFO."""
        self._burst_out[:n] = bytes((0x80 | register << 1,)) * n
        self._burst_out[n] = 0
        self._cs(0)
        self._spi.write_readinto(
            memoryview(self._burst_out)[: n + 1], memoryview(self._burst_in)[: n + 1]
        )
        self._cs(1)
        return bytes(memoryview(self._burst_in)[1 : n + 1])

    def write_many(self, register, data):
        """Write `data` (at most 64 bytes) to one register, the FIFO."""
        n = len(data)
        self._burst_out[0] = register << 1
        self._burst_out[1 : n + 1] = data
        self._cs(0)
        self._spi.write(memoryview(self._burst_out)[: n + 1])
        self._cs(1)
