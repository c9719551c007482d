# The second board: an ESP32-WROVER-E with 8 MiB flash and 8 MiB PSRAM (N8R8).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Two UARTs are left beside the cable's, for printer and modem: the reader is on an I2C bus of its
# own, and the keypad, for want of pins, on the port expander.

import pins
from drivers.keypad import ExpanderMatrix
from machine import I2C, Pin
from micropython import const
from taxi_board import TaxiBoard

_READER_HZ = const(400000)
_READER_STRETCH_US = const(20000)  # the PN532 stretches the clock while it thinks


class Board(TaxiBoard):
    """The keypad hangs on the port expander, the reader on I2C."""

    model = "esp32_taxi"

    def __init__(self):
        super().__init__()
        self._reader = None

    def key_matrix(self):
        return ExpanderMatrix(self.expander, pins.KEY_ROW_LINES, pins.KEY_COLUMN_LINES)

    def reader_port(self):
        """The bus on which the reader is."""
        if self._reader is None:
            self._reader = I2C(
                pins.READER_I2C,
                sda=Pin(pins.READER_SDA),
                scl=Pin(pins.READER_SCL),
                freq=_READER_HZ,
                timeout=_READER_STRETCH_US,
            )
        return self._reader

    def make_reader(self, bus):
        """The reader chip on its bus."""
        from drivers.pn532 import PN532
        from drivers.pn532_i2c import I2CBus

        return PN532(I2CBus(bus), type_b=True)
