# What the fake machine, esp32 and network modules share: a strict chip on its module.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# FLAGFALL_FAKE_CHIP says which. Sources: ESP32-S3 data sheet v1.8 (module N16R8) and ESP32 data
# sheet v4.6 (module WROVER-E), tables of pins, strapping pins and pins of in-package memory.

import json
import os

from nor_flash import NorFlash


def _taken(rows):
    return {pin: why for gpios, why in rows for pin in gpios}


if os.getenv("FLAGFALL_FAKE_CHIP") == "esp32s3":
    EXIST = tuple(range(0, 22)) + tuple(range(26, 49))
    TAKEN = _taken(
        (
            (range(26, 33), "flash and PSRAM"),
            (range(33, 38), "octal PSRAM"),
            ((0, 3, 45, 46), "strapping"),
            ((19, 20), "USB"),
            ((44,), "boot messages"),
        )
    )
    BOOT_MESSAGES = 43  # only for what hears a clock, and has none then
    ADC = tuple(range(1, 21))  # ADC1 and ADC2; the second is busy while the radio works
    INPUT_ONLY = ()
    COUNTERS = 4
    CONSOLE_UART = None
else:
    EXIST = tuple(range(0, 20)) + (21, 22, 23, 25, 26, 27) + tuple(range(32, 40))
    TAKEN = _taken(
        (
            (range(6, 12), "flash"),
            ((16, 17), "PSRAM"),
            ((0, 2, 5, 12, 15), "strapping"),
            ((1, 3), "the console"),
            ((20, 24, 37, 38), "no pin of the module"),
        )
    )
    BOOT_MESSAGES = None
    ADC = tuple(range(32, 40))  # ADC1
    INPUT_ONLY = (34, 35, 36, 39)
    COUNTERS = 8
    CONSOLE_UART = 0

BOOT = 0  # the button: a strapping pin, which a program may read once the chip has started
boot_held = False

owners = {}  # GPIO: what it was given to
wires = {}  # GPIO: the wire of a simulated device that hangs there
inputs = {}  # GPIO: level that something outside gives it
pressed = set()  # (row GPIO, column GPIO) of keys held down
levels = {}  # GPIO: level the chip drives, for outputs


def _pins():
    import pins  # the board's: not to be had before a slot of the program has been chosen

    return pins


def level_from_outside(gpio):
    # Unless a test says otherwise the lid is on and the wheel stands. None: nothing drives it.
    pins = _pins()
    return inputs.get(gpio, 0 if gpio in (pins.SEAL, pins.PULSE) else None)


class NotOnThisChip(ValueError):
    pass


def drives(gpio):
    """The chip is about to drive a pin."""
    if gpio in INPUT_ONLY:
        raise NotOnThisChip("GPIO %d is an input only" % gpio)


def claim(gpio, owner):
    if gpio not in EXIST:
        raise NotOnThisChip("GPIO %s does not exist" % gpio)
    if gpio in TAKEN:
        raise NotOnThisChip("GPIO %d belongs to %s" % (gpio, TAKEN[gpio]))
    if gpio is not None and gpio == BOOT_MESSAGES and gpio != _pins().FARE_LOAD:
        raise NotOnThisChip("GPIO %d carries the boot messages" % gpio)
    if owners.get(gpio, owner) != owner:
        raise NotOnThisChip("GPIO %d is already %s" % (gpio, owners[gpio]))
    owners[gpio] = owner


_partitions = None


def partitions():
    """label: (type, subtype, NorFlash), from the JSON that FLAGFALL_FAKE_FLASH names."""
    global _partitions
    if _partitions is None:
        path = os.getenv("FLAGFALL_FAKE_FLASH")
        folder = path[: path.rfind("/")]
        with open(path) as f:
            rows = json.load(f)
        _partitions = {}
        for label, type, subtype, size in rows:
            flash = NorFlash(size, "%s/%s.flash" % (folder, label))
            _partitions[label] = (type, subtype, flash)
    return _partitions
