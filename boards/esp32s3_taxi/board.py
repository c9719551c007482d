# The reference board: an ESP32-S3 module with 16 MiB flash and 8 MiB octal PSRAM (N16R8).
# MIT licence, (c) 2026 The Flagfall contributors.

import pins
from drivers.keypad import PinMatrix
from machine import Pin
from micropython import const
from serial_ports import UartPort
from taxi_board import TaxiBoard

_READER_BAUD = const(115200)  # PN532 after power-up (UM0701-02, 6.2.4)


class Board(TaxiBoard):
    """The keypad hangs on pins, the reader on a UART of its own."""

    model = "esp32s3_taxi"

    def __init__(self):
        super().__init__()
        self._reader = None

    def key_matrix(self):
        rows = [Pin(p, Pin.OPEN_DRAIN, value=1) for p in pins.KEY_ROWS]
        columns = [Pin(p, Pin.IN, Pin.PULL_UP) for p in pins.KEY_COLUMNS]
        return PinMatrix(rows, columns)

    def reader_port(self):
        if self._reader is None:
            self._reader = UartPort(pins.READER_UART, pins.READER_TX, pins.READER_RX, _READER_BAUD)
        return self._reader
