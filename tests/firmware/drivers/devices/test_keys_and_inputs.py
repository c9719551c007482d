# Keypad on pins and on an expander, seal switch, supply voltage.

import asyncio

from chips.i2c_bus import I2CBus
from chips.pcf8575_chip import PCF8575Chip
from chips.wires import Voltage, Wire
from drivers.keypad import LAYOUT, ExpanderMatrix, Keypad, PinMatrix
from drivers.pcf8575 import PCF8575
from drivers.seal_switch import SealSwitch
from drivers.supply_voltage import SupplyVoltage

ROWS = (4, 5, 6, 7, 8)
COLUMNS = (10, 11, 12, 13)


class Column:
    """A column of a matrix of pins: low while a key joins it to a row that is low."""

    def __init__(self, number, rows, pressed):
        self._number = number
        self._rows = rows
        self._pressed = pressed

    def value(self):
        for i, j in self._pressed:
            if j == self._number and self._rows[i].level == 0:
                return 0
        return 1


def on_pins():
    pressed = set()
    rows = [Wire(1) for _ in range(5)]
    return (
        PinMatrix(rows, [Column(j, rows, pressed) for j in range(4)]),
        pressed.add,
        pressed.clear,
    )


def on_expander():
    chip = PCF8575Chip()
    matrix = ExpanderMatrix(PCF8575(I2CBus({0x20: chip})), ROWS, COLUMNS)

    def press(place):
        chip.shorts.add((ROWS[place[0]], COLUMNS[place[1]]))

    return matrix, press, chip.shorts.clear


def keypads():
    for make in (on_pins, on_expander):
        matrix, press, release = make()
        typed = []
        keypad = Keypad(matrix, typed.append)

        def scan(times=6, keypad=keypad):
            for _ in range(times):
                keypad.scan()

        yield keypad, typed, press, release, scan


def test_every_key_is_itself():
    for keypad, typed, press, release, scan in keypads():
        for i in range(5):
            for j in range(4):
                name = LAYOUT[i][j]
                press((i, j))
                scan()
                release()
                scan()
                if name and not name.isdigit() and name != "CLEAR":
                    assert asyncio.run(keypad.key())[0] == name
                elif name.isdigit():
                    assert typed[-1][-1] == name
        assert not keypad._keys


def test_a_number_goes_with_its_key():
    for keypad, typed, press, release, scan in keypads():
        for place in ((0, 0), (3, 1), (1, 2)):
            press(place)
            scan()
            release()
            scan()
        assert typed == ["1", "10", "106"]
        press((4, 0))
        scan()
        release()
        scan()
        assert asyncio.run(keypad.key()) == ("SIGN", "106")
        assert typed[-1] == ""


def test_bounces_and_ghosts():
    for keypad, _, press, release, scan in keypads():
        for _ in range(5):
            press((1, 3))
            scan(1)
            release()
            scan(1)
        assert not keypad._keys
        press((1, 3))
        scan()
        press((2, 3))
        scan()
        release()
        scan()
        assert [k for k, _ in keypad._keys] == ["HIRED"]


def test_a_key_that_is_held_says_so_once():
    for keypad, _, press, release, scan in keypads():
        press((4, 1))
        scan(150)
        assert keypad._keys == [("PRINT", "")]
        scan(500)
        assert keypad._keys == [("PRINT", ""), ("LONG_PRINT", "")]
        release()
        scan()
        press((0, 0))  # a digit that is held is a digit
        scan(500)
        assert len(keypad._keys) == 2


def test_keys_are_bounded():
    for keypad, _, press, release, scan in keypads():
        for _ in range(20):
            press((1, 3))
            scan()
            release()
            scan()
        assert len(keypad._keys) == 16
        assert keypad.dropped == 4


def test_an_expander_that_is_gone_presses_nothing():
    chip = PCF8575Chip()
    bus = I2CBus({0x20: chip})
    expander = PCF8575(bus)
    matrix = ExpanderMatrix(expander, ROWS, COLUMNS)
    bus.unplugged.add(0x20)
    assert matrix.down() is None
    assert expander.faults > 0
    bus.unplugged.clear()
    chip.power_up()
    chip.shorts.add((ROWS[2], COLUMNS[3]))
    assert matrix.down() == (2, 3)


def test_lamps_and_keys_do_not_disturb_each_other():
    chip = PCF8575Chip()
    expander = PCF8575(I2CBus({0x20: chip}))
    lamp = expander.line(0, 0)
    matrix = ExpanderMatrix(expander, ROWS, COLUMNS)
    lamp.value(1)
    chip.shorts.add((ROWS[0], COLUMNS[0]))
    assert matrix.down() == (0, 0)
    assert chip.level(0) == 0 and lamp.value() == 1
    lamp.value(0)
    assert matrix.down() == (0, 0)
    assert chip.level(0) == 1


def test_an_idle_keypad_costs_one_reading():
    chip = PCF8575Chip()
    matrix = ExpanderMatrix(PCF8575(I2CBus({0x20: chip})), ROWS, COLUMNS)
    matrix.down()
    before = chip.reads
    for _ in range(10):
        matrix.down()
    assert chip.reads - before == 10


def test_the_seal_is_read_at_power_up_and_debounced():
    assert SealSwitch(Wire(1)).open
    wire = Wire(0)
    seal = SealSwitch(wire)
    assert not seal.open
    for level in (1, 0, 1, 1, 0, 1, 0):
        wire.level = level
        assert not seal.look()
    wire.level = 1
    assert [seal.look() for _ in range(4)] == [False, False, True, True]
    wire.level = 0
    assert [seal.look() for _ in range(3)] == [True, True, False]


def test_the_supply_is_what_the_divider_makes_of_it():
    for volts in (6.0, 9.0, 12.6, 24.0, 30.0):
        adc = Voltage(int(volts * 1000000 * 22 / (330 + 22)))
        mv = SupplyVoltage(adc, 330, 22).mv()
        assert abs(mv - volts * 1000) < 20, (volts, mv)
