"""The clock chips against Python's own calendar."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from chips.ds3231_chip import DS3231Chip
from chips.i2c_bus import I2CBus
from chips.pcf8563_chip import PCF8563Chip
from drivers.ds3231 import DS3231
from drivers.pcf8563 import PCF8563

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def bcd(*numbers):
    return bytes(int(str(n), 16) for n in numbers)


@pytest.mark.parametrize("seed", range(20))
def test_registers_hold_what_the_calendar_says(seed):
    drawn = random.Random(seed)
    chips = {0x68: DS3231Chip(), 0x51: PCF8563Chip()}
    bus = I2CBus(chips)
    for _ in range(50):
        t = EPOCH + timedelta(seconds=drawn.randrange(3_155_760_000))
        seconds = int((t - EPOCH).total_seconds())
        DS3231(bus).set(seconds)
        PCF8563(bus).set(seconds)
        time = (t.second, t.minute, t.hour)
        assert chips[0x68].r[:7] == bcd(*time, t.isoweekday(), t.day, t.month, t.year - 2000)
        sunday_first = t.isoweekday() % 7
        assert chips[0x51].r[2:9] == bcd(*time, t.day, sunday_first, t.month, t.year - 2000)
        assert DS3231(bus).read() == PCF8563(bus).read() == seconds
