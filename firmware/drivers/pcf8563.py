# The PCF8563 on I2C: a battery-backed clock with a plain 32 kHz crystal (some 20 ppm).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# NXP PCF8563 data sheet rev 11 (DS): registers in table 4, voltage-low flag in 8.5, STOP in 8.3.1.
# All registers are read in one access, as DS 8.5 asks, so that the time cannot tear.

from drivers.clock_chip import ClockError, ClockLost, fields_of, from_bcd, to_bcd, utc_seconds

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


ADDRESS = const(0x51)
_CONTROL = const(0x00)
_SECONDS = const(0x02)
_ALL = const(9)  # control 1 to years
_STOP = const(0x20)
_RUN = b"\x00"
_HELD = b"\x20"
_VOLTAGE_LOW = const(0x80)  # VL in seconds: the time is no longer certain
_CENTURY = const(0x80)  # C in months: toggles when the year goes from 99 to 00


class PCF8563:
    """`read()` and `set(utc_s)` in UTC seconds since 2000. Raises ClockError, ClockLost."""

    name = "PCF8563"

    def __init__(self, i2c):
        self._i2c = i2c

    def read(self):
        try:
            r = self._i2c.readfrom_mem(ADDRESS, _CONTROL, _ALL)
        except OSError:
            raise ClockError("the PCF8563 does not answer") from None
        if r[2] & _VOLTAGE_LOW:
            raise ClockLost("the PCF8563 has lost the time: its battery was empty or cut off")
        if r[0] & _STOP:
            raise ClockLost("the PCF8563 stands still: setting it was cut off")
        # Bits that DS table 4 leaves undefined are masked.
        return utc_seconds(
            2000 + 100 * (r[7] >> 7) + from_bcd(r[8], 0, 99),
            from_bcd(r[7] & 0x1F, 1, 12),
            from_bcd(r[5] & 0x3F, 1, 31),
            from_bcd(r[4] & 0x3F, 0, 23),
            from_bcd(r[3] & 0x7F, 0, 59),
            from_bcd(r[2], 0, 59),
        )

    def set(self, utc_s):
        """Set the time; the chip is held meanwhile, so that no second carries in between."""
        century, year, month, day, hour, minute, second, weekday = fields_of(utc_s)
        # The chip counts weekdays from Sunday; it only counts them, it does not use them.
        time = (second, minute, hour, day, (weekday + 1) % 7, month, year)
        data = bytearray(to_bcd(n) for n in time)
        data[5] |= century << 7
        try:
            self._i2c.writeto_mem(ADDRESS, _CONTROL, _HELD)
            self._i2c.writeto_mem(ADDRESS, _SECONDS, data)
            self._i2c.writeto_mem(ADDRESS, _CONTROL, _RUN)
        except OSError:
            raise ClockError("the PCF8563 does not answer") from None
