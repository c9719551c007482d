# TM1637 and MAX7219 on simulated chips that see wires only.

import expect
from chips.max7219_chip import MAX7219Chip
from chips.tm1637_chip import TM1637Chip
from drivers.fare_display import FareDisplay, fare_text
from drivers.max7219 import MAX7219
from drivers.seven_segment import encode
from drivers.tm1637 import TM1637, DisplayError

_SHAPES = {0x3F: "0", 0x06: "1", 0x5B: "2", 0x4F: "3", 0x66: "4", 0x6D: "5", 0x7D: "6"}
_SHAPES.update({0x07: "7", 0x7F: "8", 0x6F: "9", 0x40: "-", 0x00: " "})


def seen(cells):
    """What a person reads off the digits."""
    out = ""
    for cell in cells:
        out += _SHAPES[cell & 0x7F] + ("." if cell & 0x80 else "")
    return out.strip()


def tm1637():
    chip = TM1637Chip()
    return TM1637(chip.clock, chip.data), chip


def left_to_right(chip):
    return bytes(chip.cells[i] for i in (2, 1, 0, 5, 4, 3))


def max7219():
    chip = MAX7219Chip()
    return MAX7219(chip.clock, chip.data, chip.load), chip


FIGURES = ("0.00", "8.00", "14.50", "9999.99", "123456", "-", "13")


def test_figures_are_read_as_they_were_meant():
    driver, chip = tm1637()
    for figure in FIGURES:
        driver.show(figure)
        assert seen(left_to_right(chip)) == figure
    driver, chip = max7219()
    for figure in FIGURES:
        driver.show(figure)
        assert seen(chip.cells) == figure


def test_a_figure_too_long_is_dashes_and_never_a_wrong_figure():
    assert seen(encode("12345.67", 6)) == "------"
    assert seen(encode("1234.56", 6)) == "1234.56"
    driver, chip = tm1637()
    driver.show("1234567")
    assert seen(left_to_right(chip)) == "------"


def test_brightness():
    driver, chip = tm1637()
    driver.show("1")
    assert chip.brightness == 7
    driver.brightness(2)
    assert chip.brightness == 2
    driver.show("2")
    assert chip.brightness == 2
    driver.brightness(99)
    assert chip.brightness == 7
    driver, chip = max7219()
    driver.brightness(3)
    driver.show("1")
    assert chip.brightness == 3
    driver.brightness(-1)
    assert chip.brightness == 0


def test_all_segments():
    driver, chip = tm1637()
    driver.all_segments()
    assert chip.cells == b"\xff" * 6
    driver, chip = max7219()
    driver.show("1")
    driver.all_segments()
    assert chip.cells == b"\xff" * 8
    driver.show("5")
    assert seen(chip.cells) == "5"


def test_a_tm1637_that_is_gone_says_so_and_a_max7219_cannot():
    driver, chip = tm1637()
    chip.plugged = False
    assert "does not answer" in str(expect.raises(DisplayError, driver.show, "1"))
    driver, chip = max7219()
    driver.show("7")
    chip.power_up()
    assert chip.cells is None
    driver.show("7")
    assert seen(chip.cells) == "7"


FACE = {"fare": 1450, "minor_digits": 2, "position": "HIRED"}


def test_fare_text():
    assert fare_text(FACE) == "14.50"
    assert fare_text({"fare": 5, "minor_digits": 2}) == "0.05"
    assert fare_text({"fare": 1450, "minor_digits": 0}) == "1450"
    assert fare_text({"position": "NOT PROVISIONED"}) == "----"


def test_fare_display_sends_what_changed_and_now_and_then_the_rest():
    driver, chip = tm1637()
    display = FareDisplay(driver)
    display.show(FACE)
    frames = chip.frames
    for _ in range(9):
        display.show(FACE)
    assert chip.frames == frames
    chip.power_up()  # its supply dipped
    display.show(FACE)
    assert seen(left_to_right(chip)) == "14.50"


def test_fare_display_without_its_chip_counts_and_comes_back():
    driver, chip = tm1637()
    display = FareDisplay(driver)
    chip.plugged = False
    display.show(FACE)
    display.show(FACE)
    display.brightness(1)
    display.all_segments(True)
    assert display.faults == 4
    display.all_segments(False)
    chip.plugged = True
    display.show(FACE)
    assert seen(left_to_right(chip)) == "14.50"


def test_the_lamp_test_hides_the_fare_and_gives_it_back():
    driver, chip = max7219()
    display = FareDisplay(driver)
    display.show(FACE)
    display.all_segments(True)
    later = dict(FACE)
    later["fare"] = 1600
    display.show(later)
    assert chip.cells == b"\xff" * 8
    display.all_segments(False)
    assert seen(chip.cells) == "16.00"


def test_changed_digits_alone_make_the_same_figure():
    figures = ("0.00", "10.00", "10.20", "10.20", "9999.99", "10.00", "-", "123456", "1.5", "13")
    for make, read in ((tm1637, left_to_right), (max7219, lambda chip: chip.cells)):
        driver, chip = make()
        driver.show("8.88")
        for figure in figures:
            driver.show(figure, False)
            assert seen(read(chip)) == figure


def test_a_fare_that_runs_on_a_chip_that_lost_its_supply_is_dark_and_never_wrong():
    driver, chip = tm1637()
    display = FareDisplay(driver)
    display.show({"fare": 1400, "minor_digits": 2})
    chip.power_up()
    dark = 0
    for fare in range(1410, 1800, 10):
        display.show({"fare": fare, "minor_digits": 2})
        if chip.cells is None:
            dark += 1
        else:
            assert seen(left_to_right(chip)) == "%d.%02d" % (fare // 100, fare % 100)
    assert 0 < dark <= 30
