# An I2C bus with simulated chips on it, as machine.I2C. Runs on both runtimes.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A chip has `write(data)`, called with the bytes of one write, and `read(n)`. What is not on the
# bus, or is unplugged, does not acknowledge: OSError(19), as on ESP32.

_ENODEV = 19


class I2CBus:
    """`chips`: {address: chip}. `unplugged`: addresses that do not answer. Counts `writes`."""

    def __init__(self, chips):
        self.chips = chips
        self.unplugged = set()
        self.writes = 0

    def scan(self):
        return sorted(a for a in self.chips if a not in self.unplugged)

    def _chip(self, address):
        if address not in self.chips or address in self.unplugged:
            raise OSError(_ENODEV)
        return self.chips[address]

    def writeto(self, address, data, stop=True):
        chip = self._chip(address)
        self.writes += 1
        chip.write(bytes(data))
        return len(data)

    def writevto(self, address, vector, stop=True):
        return self.writeto(address, b"".join(bytes(part) for part in vector))

    def readfrom(self, address, n, stop=True):
        return self._chip(address).read(n)

    def readfrom_into(self, address, buf, stop=True):
        buf[:] = self._chip(address).read(len(buf))

    def readfrom_mem(self, address, register, n):
        self.writeto(address, bytes((register,)))
        return self.readfrom(address, n)

    def writeto_mem(self, address, register, data):
        self.writeto(address, bytes((register,)) + bytes(data))
