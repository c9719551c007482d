# The pins of the second board, in one table: an ESP32-WROVER-E N8R8 (8 MiB flash, 8 MiB PSRAM).
# docs/hardware.md has the wiring that goes with it.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Not to be used: GPIO 6 to 11 (flash), 16 and 17 (PSRAM), 1 and 3 (UART0, the maintenance cable
# by way of a USB bridge). Strapping pins 0, 2, 5, 12 and 15 decide at reset how the chip starts
# (ESP32 data sheet, "Strapping Pins"): nothing of the unit hangs on them. 34 to 39 are inputs
# without pull-ups; 36 and 39 see pulses of 80 ns when the ADC wakes (ESP32 errata), so that no
# pulse is counted there.

PULSE = 34  # distance pulses, conditioned to 0/3.3 V

READER_SDA = 32  # I2C1, the PN532 alone: it stretches the clock
READER_SCL = 33

MODEM_TX = 14  # UART2, to the modem's RX; level shifter where it is not 3.3 V
MODEM_RX = 36
MODEM_POWER = 13  # its PWRKEY, through a transistor

PRINTER_TX = 27  # UART1
PRINTER_RX = 35

DISPLAY_SDA = 21  # I2C0: displays, battery-backed clock, port expander
DISPLAY_SCL = 22

BUZZER = 25
ROOF_LIGHT = 26  # through a transistor or relay: high is lit
SEAL = 4  # to ground while the lid is on
SUPPLY = 39  # ADC1: the vehicle's permanent line, 16 to 1

FARE_CLOCK = 18  # TM1637 or MAX7219
FARE_DATA = 23
FARE_LOAD = 19  # MAX7219 only

# Lines of the port expander (PCF8575 at 20 on I2C0): P00 is 0, P17 is 15.
LIGHT_LINES = (0, 1, 2, 3)  # contactless lights, low is lit
KEY_ROW_LINES = (4, 5, 6, 7, 8)
IGNITION_LINE = 9  # low while the ignition is on
KEY_COLUMN_LINES = (10, 11, 12, 13)

# Number of each peripheral block in use.
PULSE_COUNTER = 0
MODEM_UART = 2
PRINTER_UART = 1
DISPLAY_I2C = 0
READER_I2C = 1


def table():
    """(name, GPIO) of every pin above; the tests check it against the chip."""
    return (
        ("pulse", PULSE),
        ("reader sda", READER_SDA),
        ("reader scl", READER_SCL),
        ("modem tx", MODEM_TX),
        ("modem rx", MODEM_RX),
        ("modem power", MODEM_POWER),
        ("printer tx", PRINTER_TX),
        ("printer rx", PRINTER_RX),
        ("display sda", DISPLAY_SDA),
        ("display scl", DISPLAY_SCL),
        ("buzzer", BUZZER),
        ("roof light", ROOF_LIGHT),
        ("seal", SEAL),
        ("supply", SUPPLY),
        ("fare clock", FARE_CLOCK),
        ("fare data", FARE_DATA),
        ("fare load", FARE_LOAD),
    )


def lines():
    """(name, line) of everything on the port expander."""
    lights = tuple(("contactless light %d" % (i + 1), n) for i, n in enumerate(LIGHT_LINES))
    rows = tuple(("key row %d" % i, n) for i, n in enumerate(KEY_ROW_LINES))
    columns = tuple(("key column %d" % i, n) for i, n in enumerate(KEY_COLUMN_LINES))
    return lights + (("ignition", IGNITION_LINE),) + rows + columns
