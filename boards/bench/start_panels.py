# What the reference board shows in its first seconds: run by the host's start_picture.py.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Reads a face (JSON). Prints a JSON list of two: from the start on, and with that face.

import json
import sys

from chips.i2c_bus import I2CBus
from chips.ssd1306_chip import SSD1306Chip
from chips.tm1637_chip import TM1637Chip
from drivers.fare_display import FareDisplay
from drivers.passenger_display import PassengerDisplay
from drivers.ssd1306 import ADDRESS, SECOND_ADDRESS, SSD1306
from drivers.text_display import TextDisplay
from drivers.tm1637 import TM1637
from front_panel import FrontPanel


class Lamp:
    def value(self, level):
        pass


driver, passenger, fare = SSD1306Chip(), SSD1306Chip(), TM1637Chip()
bus = I2CBus({ADDRESS: driver, SECOND_ADDRESS: passenger})
panel = FrontPanel(
    TextDisplay(SSD1306(bus)),
    FareDisplay(TM1637(fare.clock, fare.data)),
    [PassengerDisplay(SSD1306(bus, SECOND_ADDRESS))],
    Lamp(),
)


def seen():
    dots = [
        ["".join("1" if chip.dot(x, y) else "0" for x in range(128)) for y in range(64)]
        for chip in (driver, passenger)
    ]
    cells = [fare.cells[i] for i in (2, 1, 0, 5, 4, 3)]  # left to right
    return {"fare": cells, "driver": dots[0], "passenger": dots[1]}


panel.start()
first = seen()
panel.show(json.loads(sys.stdin.read()))
print(json.dumps([first, seen()]))
