# The pins of the reference board, in one table: an ESP32-S3 module N16R8 (16 MiB flash, 8 MiB
# octal PSRAM). docs/hardware.md has the wiring that goes with it.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Not to be used: GPIO 26 to 32 (flash and PSRAM), 33 to 37 (the octal PSRAM's upper lines), 22 to
# 25 (they do not exist), 19 and 20 (USB, the maintenance cable), 44 (the boot messages' way in).
# Strapping pins 0, 3, 45 and 46 decide at reset how the chip starts (ESP32-S3 data sheet, "Boot
# Configurations"): nothing of the unit hangs on them. The boot messages leave by 43.

PULSE = 4  # distance pulses, conditioned to 0/3.3 V

READER_TX = 17  # UART1, to the PN532's RX
READER_RX = 18

MODEM_TX = 15  # UART2, to the modem's RX; level shifter where it is not 3.3 V
MODEM_RX = 16
MODEM_POWER = 7  # its PWRKEY, through a transistor

PRINTER_TX = 41  # UART0, moved away from the boot messages
PRINTER_RX = 42

DISPLAY_SDA = 8  # I2C0: displays, battery-backed clock, port expander
DISPLAY_SCL = 9

BUZZER = 21
ROOF_LIGHT = 47  # through a transistor or relay: high is lit

SEAL = 38  # to ground while the lid is on
SUPPLY = 1  # ADC1: the vehicle's permanent line, 16 to 1

FARE_CLOCK = 39  # TM1637 or MAX7219
FARE_DATA = 40
FARE_LOAD = 43  # MAX7219 only: it takes no boot message, for its clock stands still then

KEY_ROWS = (48, 2, 5, 6, 10)
KEY_COLUMNS = (11, 12, 13, 14)

# Lines of the port expander (PCF8575 at 20 on I2C0): P00 is 0, P17 is 15.
LIGHT_LINES = (0, 1, 2, 3)  # contactless lights, low is lit
IGNITION_LINE = 9  # low while the ignition is on

# Number of each peripheral block in use.
PULSE_COUNTER = 0
READER_UART = 1
MODEM_UART = 2
PRINTER_UART = 0
DISPLAY_I2C = 0


def table():
    """(name, GPIO) of every pin above; the tests check it against the chip."""
    singles = (
        ("pulse", PULSE),
        ("reader tx", READER_TX),
        ("reader rx", READER_RX),
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
    rows = tuple(("key row %d" % i, pin) for i, pin in enumerate(KEY_ROWS))
    columns = tuple(("key column %d" % i, pin) for i, pin in enumerate(KEY_COLUMNS))
    return singles + rows + columns


def lines():
    """(name, line) of everything on the port expander."""
    lights = tuple(("contactless light %d" % (i + 1), n) for i, n in enumerate(LIGHT_LINES))
    return lights + (("ignition", IGNITION_LINE),)
