# What the fake machine, esp32 and network modules share: a strict ESP32-S3 N16R8.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Source: ESP32-S3 data sheet v1.8, tables of pins, strapping pins and pins of in-package memory.

import json
import os

import pins
from nor_flash import NorFlash

EXIST = tuple(range(0, 22)) + tuple(range(26, 49))
TAKEN = {}  # GPIO: why it is not free on this module
for _pin in range(26, 33):
    TAKEN[_pin] = "flash and PSRAM"
for _pin in range(33, 38):
    TAKEN[_pin] = "octal PSRAM"
for _pin in (0, 3, 45, 46):
    TAKEN[_pin] = "strapping"
for _pin in (19, 20):
    TAKEN[_pin] = "USB"
TAKEN[44] = "boot messages"
BOOT_MESSAGES = 43  # only for what hears a clock, and has none then

ADC = tuple(range(1, 21))  # ADC1 and ADC2; the second is busy while the radio works

owners = {}  # GPIO: what it was given to
wires = {}  # GPIO: the wire of a simulated device that hangs there
inputs = {pins.SEAL: 0}  # GPIO: level that something outside gives it; the lid is on
pressed = set()  # (row GPIO, column GPIO) of keys held down
levels = {}  # GPIO: level the chip drives, for outputs


class NotOnThisChip(ValueError):
    pass


def claim(gpio, owner):
    if gpio not in EXIST:
        raise NotOnThisChip("GPIO %s does not exist" % gpio)
    if gpio in TAKEN:
        raise NotOnThisChip("GPIO %d belongs to %s" % (gpio, TAKEN[gpio]))
    if gpio == BOOT_MESSAGES and gpio != pins.FARE_LOAD:
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
