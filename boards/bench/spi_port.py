# A SPI bus of the bench unit: transfers travel over a pseudo-terminal to the simulated chip.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# To the chip: 01 select, 00 release, 02 length (2 bytes, low first) bytes: a transfer, which is
# answered by as many bytes.

import errno

from serial_port import make_raw

_ANSWER_TENTHS = 20  # of a second: the simulation has died if it takes longer
_LONGEST = 65535


class SPIPort:
    """Like `machine.SPI` (`write`, `write_readinto`) on the pty at `path`, with its pin `cs`."""

    def __init__(self, path):
        self._file = open(path, "r+b", buffering=0)
        make_raw(self._file.fileno(), _ANSWER_TENTHS)

    def cs(self, level):
        """The chip-select pin, to be called as a `machine.Pin` is."""
        self._file.write(b"\x00" if level else b"\x01")

    def write(self, data):
        self._transfer(data)

    def write_readinto(self, data, buffer):
        buffer[:] = self._transfer(data)

    def _transfer(self, data):
        n = len(data)
        if n > _LONGEST:
            raise ValueError("a transfer takes at most 65535 bytes")
        self._file.write(bytes((2, n & 0xFF, n >> 8)) + bytes(data))
        answer = b""
        while len(answer) < n:
            more = self._file.read(n - len(answer))
            if not more:
                raise OSError(errno.ETIMEDOUT)
            answer += more
        return answer
