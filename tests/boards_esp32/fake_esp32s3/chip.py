# What the fake machine, esp32 and network modules share: a strict ESP32-S3 N16R8.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Source: ESP32-S3 data sheet v1.8, tables of pins, strapping pins and pins of in-package memory.

import json
import os

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
for _pin in (43, 44):
    TAKEN[_pin] = "boot messages"

owners = {}  # GPIO: what it was given to
pressed = set()  # (row GPIO, column GPIO) of keys held down
levels = {}  # GPIO: level the chip drives, for outputs


class NotOnThisChip(ValueError):
    pass


def claim(gpio, owner):
    if gpio not in EXIST:
        raise NotOnThisChip("GPIO %s does not exist" % gpio)
    if gpio in TAKEN:
        raise NotOnThisChip("GPIO %d belongs to %s" % (gpio, TAKEN[gpio]))
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
