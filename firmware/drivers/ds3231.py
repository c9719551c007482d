# The DS3231 on I2C: a battery-backed clock with its own temperature compensation (2 ppm).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Maxim DS3231 data sheet, 19-5170 rev 10 (DS): registers in figure 1, control and status in the
# sections of that name. A read latches the time at its start, so that it cannot tear.

from drivers.clock_chip import ClockError, ClockLost, fields_of, from_bcd, to_bcd, utc_seconds

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


ADDRESS = const(0x68)
_SECONDS = const(0x00)
_CONTROL = const(0x0E)
_ALL = const(16)  # seconds to status
_CONTROL_AT = const(0x0E)
_STATUS_AT = const(0x0F)
_STOP_ON_BATTERY = const(0x80)  # EOSC in control: the oscillator stands while VCC is away
_STOPPED = const(0x80)  # OSF in status: the oscillator has stood still
_INTERRUPTS = const(0x1C)  # control after power-up, DS "Control Register"
_TWELVE = const(0x40)  # in hours: 12-hour mode
_PM = const(0x20)
_CENTURY = const(0x80)  # in month: toggles when the year goes from 99 to 00


class DS3231:
    """`read()` and `set(utc_s)` in UTC seconds since 2000. Raises ClockError, ClockLost."""

    name = "DS3231"

    def __init__(self, i2c):
        self._i2c = i2c

    def read(self):
        try:
            r = self._i2c.readfrom_mem(ADDRESS, _SECONDS, _ALL)
        except OSError:
            raise ClockError("the DS3231 does not answer") from None
        if r[_STATUS_AT] & _STOPPED:
            raise ClockLost("the DS3231 has lost the time: its battery was empty or cut off")
        if r[_CONTROL_AT] & _STOP_ON_BATTERY:
            raise ClockLost("the DS3231 is set to stand still on its battery")
        return utc_seconds(
            2000 + 100 * (r[5] >> 7) + from_bcd(r[6], 0, 99),
            from_bcd(r[5] & ~_CENTURY, 1, 12),
            from_bcd(r[4], 1, 31),
            _hour(r[2]),
            from_bcd(r[1], 0, 59),
            from_bcd(r[0], 0, 59),
        )

    def set(self, utc_s):
        """Set the time; only then is it taken for good again."""
        century, year, month, day, hour, minute, second, weekday = fields_of(utc_s)
        time = (second, minute, hour, weekday + 1, day, month, year)
        data = bytearray(to_bcd(n) for n in time)
        data[5] |= century << 7
        try:
            self._i2c.writeto_mem(ADDRESS, _SECONDS, data)
            # Control, then status: the flag falls last, when everything else is in the chip.
            self._i2c.writeto_mem(ADDRESS, _CONTROL, bytes((_INTERRUPTS, 0)))
        except OSError:
            raise ClockError("the DS3231 does not answer") from None


def _hour(byte):
    if not byte & _TWELVE:
        return from_bcd(byte, 0, 23)
    return from_bcd(byte & 0x1F, 1, 12) % 12 + (12 if byte & _PM else 0)
