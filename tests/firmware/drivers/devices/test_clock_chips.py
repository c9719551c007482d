# DS3231 and PCF8563 on simulated chips that count register by register.

import expect
from chips.ds3231_chip import DS3231Chip
from chips.i2c_bus import I2CBus
from chips.pcf8563_chip import PCF8563Chip
from drivers.clock_chip import ClockError, ClockLost
from drivers.ds3231 import DS3231
from drivers.pcf8563 import PCF8563
from flagfall.clock import seconds_from_civil

TIMES = (
    (2026, 3, 2, 2, 0, 0),
    (2026, 12, 31, 23, 59, 58),
    (2028, 2, 28, 23, 59, 59),
    (2028, 2, 29, 23, 59, 59),
    (2027, 2, 28, 23, 59, 59),
    (2099, 12, 31, 23, 59, 59),
    (2000, 1, 1, 0, 0, 0),
    (2026, 10, 9, 19, 59, 59),
)


def clocks():
    for make, chip, address in ((DS3231, DS3231Chip(), 0x68), (PCF8563, PCF8563Chip(), 0x51)):
        bus = I2CBus({address: chip})
        yield make(bus), chip, bus, address


def test_what_was_set_is_read_and_goes_on():
    for clock, chip, _, _ in clocks():
        for time in TIMES:
            start = seconds_from_civil(*time)
            clock.set(start)
            assert clock.read() == start, (clock.name, time)
            passed = 0
            for more in (1, 1, 59, 3600):
                chip.tick(more)
                passed += more
                assert clock.read() == start + passed, (clock.name, time, passed)


def test_a_day_and_two_months_pass_as_they_should():
    for clock, chip, _, _ in clocks():
        start = seconds_from_civil(2027, 12, 31, 23, 0, 0)
        clock.set(start)
        chip.tick(3 * 86400)
        assert clock.read() == start + 3 * 86400


def test_a_new_chip_has_lost_the_time_until_it_is_set():
    for clock, chip, _, _ in clocks():
        assert "lost the time" in str(expect.raises(ClockLost, clock.read))
        chip.tick(100)
        expect.raises(ClockLost, clock.read)
        clock.set(800000000)
        assert clock.read() == 800000000


def test_a_dark_night_with_and_without_a_battery():
    for clock, chip, _, _ in clocks():
        clock.set(830000000)
        chip.dark(30000)
        assert clock.read() == 830030000
        chip.battery = False
        chip.dark(10)
        expect.raises(ClockLost, clock.read)


def test_setting_that_was_cut_off_does_not_count():
    bus = I2CBus({0x51: PCF8563Chip()})
    clock = PCF8563(bus)
    clock.set(830000000)
    bus.writeto_mem(0x51, 0, b"\x20")  # held, then the power went
    assert "stands still" in str(expect.raises(ClockLost, clock.read))
    bus = I2CBus({0x68: DS3231Chip()})
    clock = DS3231(bus)
    bus.writeto_mem(0x68, 0, b"\x00\x00\x00\x01\x01\x01\x26")  # the flag still stands
    expect.raises(ClockLost, clock.read)
    clock.set(830000000)
    bus.writeto_mem(0x68, 0x0E, b"\x9c")
    assert "stand still" in str(expect.raises(ClockLost, clock.read))


def test_a_chip_that_is_not_there_says_so():
    for clock, _, bus, address in clocks():
        bus.unplugged.add(address)
        for error in (
            expect.raises(ClockError, clock.read),
            expect.raises(ClockError, clock.set, 830000000),
        ):
            assert "%s does not answer" % clock.name in str(error)
            assert not isinstance(error, ClockLost)


def test_every_garbage_in_every_register_is_an_error_or_a_date():
    base = {0x68: 0, 0x51: 2}
    for clock, chip, _, address in clocks():
        refused = 0
        for register in range(base[address], base[address] + 7):
            clock.set(seconds_from_civil(2026, 5, 17, 13, 24, 35))
            good = chip.r[register]
            for byte in range(256):
                chip.r[register] = byte
                try:
                    assert 0 <= clock.read() < 1 << 33
                except ClockError as e:
                    refused += 1
                    assert str(e)
            chip.r[register] = good
        assert refused > 500, clock.name


def test_thirtieth_of_february_is_no_date():
    for clock, chip, _, _ in clocks():
        clock.set(seconds_from_civil(2026, 2, 1))
        chip.r[chip.day] = 0x30
        assert "no such date" in str(expect.raises(ClockError, clock.read))


def test_ds3231_in_twelve_hour_mode():
    chip = DS3231Chip()
    clock = DS3231(I2CBus({0x68: chip}))
    clock.set(seconds_from_civil(2026, 5, 17, 0, 59, 59))
    for byte, hour in ((0x52, 0), (0x41, 1), (0x51, 11), (0x72, 12), (0x61, 13), (0x71, 23)):
        chip.r[2] = byte
        assert clock.read() == seconds_from_civil(2026, 5, 17, hour, 59, 59), hex(byte)
    chip.tick()
    assert clock.read() == seconds_from_civil(2026, 5, 18, 0, 0, 0)


def test_the_century_bit():
    for clock, _, _, _ in clocks():
        clock.set(seconds_from_civil(2099, 12, 31, 23, 59, 59))
    for clock, chip, _, _ in clocks():
        late = seconds_from_civil(2135, 6, 7, 8, 9, 10)
        clock.set(late)
        assert chip.r[chip.month] & 0x80
        assert clock.read() == late
