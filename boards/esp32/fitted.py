# Finds out which of the chips that a board may have are fitted to this one.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# What answers is used, so that nobody has to say it. Only a MAX7219 cannot answer: where no TM1637
# does, one is taken to be there, which costs a display that is not there nothing.

from drivers import ds3231, pcf8563, ssd1306
from drivers.fare_display import FareDisplay
from drivers.tm1637 import TM1637, DisplayError
from machine import Pin


def clock_chip(i2c):
    """The battery-backed clock on `i2c`; where none answers, a DS3231 that says so."""
    if pcf8563.ADDRESS in i2c.scan():
        return pcf8563.PCF8563(i2c)
    return ds3231.DS3231(i2c)


def fare_display(pins):
    """The fare in seven segments."""
    return FareDisplay(_seven_segments(pins))


def passenger_displays(i2c):
    """A panel for the passenger, if one is fitted."""
    if ssd1306.SECOND_ADDRESS not in i2c.scan():
        return []
    from drivers.passenger_display import PassengerDisplay

    return [PassengerDisplay(ssd1306.SSD1306(i2c, ssd1306.SECOND_ADDRESS))]


def _seven_segments(pins):
    clock = Pin(pins.FARE_CLOCK, Pin.OPEN_DRAIN, Pin.PULL_UP, value=1)
    data = Pin(pins.FARE_DATA, Pin.OPEN_DRAIN, Pin.PULL_UP, value=1)
    chip = TM1637(clock, data)
    try:
        chip.brightness(chip.levels - 1)
        return chip
    except DisplayError:
        from drivers.max7219 import MAX7219

        wires = (pins.FARE_CLOCK, pins.FARE_DATA, pins.FARE_LOAD)
        return MAX7219(*(Pin(gpio, Pin.OUT, value=0) for gpio in wires))
