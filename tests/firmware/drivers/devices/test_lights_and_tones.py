# The four lights and the buzzer, on a clock that the test owns.

import asyncio

from chips.i2c_bus import I2CBus
from chips.pcf8575_chip import PCF8575Chip
from chips.wires import Piezo, Wire
from drivers.buzzer import TONES, Buzzer
from drivers.contactless_lights import ContactlessLights
from drivers.pcf8575 import PCF8575


class Clock:
    """Time passes only by sleeping; `at` has what happens when."""

    def __init__(self, at=()):
        self.ms = 0
        self.at = list(at)

    async def sleep_ms(self, ms):
        await asyncio.sleep(0)
        self.ms += ms
        while self.at and self.at[0][0] <= self.ms:
            self.at.pop(0)[1]()


def play(device, clock, until_ms):
    """Run a device's task until the clock, moved on beside it, says so."""

    async def main():
        task = asyncio.create_task(device.run())
        await asyncio.sleep(0)
        for _ in range(100000):
            if clock.ms >= until_ms:
                break
            before = clock.ms
            for _ in range(5):
                await asyncio.sleep(0)
            if clock.ms == before:  # the device waits for a change: time passes all the same
                await clock.sleep_ms(10)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass

    asyncio.run(main())


def lit(wires):
    return sum(w.level << i for i, w in enumerate(wires))


def record(wires, clock, rows):
    """Make the wires note (ms, what is lit) as they change."""
    for wire in wires:
        wire.value = _noting(wire, wires, clock, rows)


def _noting(wire, wires, clock, rows):
    def value(*level):
        if not level:
            return wire.level
        if wire.level != int(level[0]):
            wire.level = int(level[0])
            rows.append((clock.ms, lit(wires)))
        return None

    return value


def test_idle_blinks_the_first_light_every_five_seconds():
    wires = [Wire() for _ in range(4)]
    clock = Clock()
    rows = []
    record(wires, clock, rows)
    lights = ContactlessLights(wires, sleep_ms=clock.sleep_ms)
    lights.show("idle")
    play(lights, clock, 12000)
    assert rows[:4] == [(0, 1), (200, 0), (5000, 1), (5200, 0)]


def test_a_tap_lights_one_then_four_and_beeps_once():
    wires = [Wire() for _ in range(4)]
    heard = []
    clock = Clock()
    rows = []
    record(wires, clock, rows)
    lights = ContactlessLights(wires, heard.append, clock.sleep_ms)
    clock.at = [(300, lambda: lights.show("read")), (350, lambda: lights.show("idle"))]
    lights.show("ready")
    lights.show("processing")
    assert heard == []

    play(lights, clock, 3000)
    assert heard == ["read"]
    seen = [state for _, state in rows]
    assert seen[0] == 1 and 0xF in seen
    # Four stand for their whole time although the reader was idle again at once.
    four = next(ms for ms, state in rows if state == 0xF)
    after = next(ms for ms, state in rows if ms > four)
    assert after - four >= 750
    assert seen[-1] in (0, 1)


def test_alert_and_unknown_states_are_dark():
    for state in ("alert", "off", "no such state"):
        wires = [Wire(1) for _ in range(4)]
        clock = Clock()
        lights = ContactlessLights(wires, sleep_ms=clock.sleep_ms)
        lights.show("ready")
        lights.show(state)
        play(lights, clock, 1)
        assert lit(wires) == 0


def test_lamps_hang_between_the_supply_and_an_expander():
    chip = PCF8575Chip()
    bus = I2CBus({0x20: chip})
    expander = PCF8575(bus)
    lights = ContactlessLights([expander.line(n, 0) for n in range(4)])
    assert [chip.level(n) for n in range(4)] == [1, 1, 1, 1]
    lights._light(0x3)
    assert [chip.level(n) for n in range(4)] == [0, 0, 1, 1]
    bus.unplugged.add(0x20)
    lights._light(0xF)
    assert expander.faults
    bus.unplugged.clear()
    chip.power_up()
    lights._light(0x7)
    assert [chip.level(n) for n in range(4)] == [0, 0, 0, 1]


def test_tones_are_those_of_the_book_and_a_newer_one_replaces_an_older():
    assert TONES["approved"] == ((1500, 500),)
    assert TONES["declined"] == ((750, 200), (0, 200), (750, 200))
    piezo = Piezo()
    clock = Clock()
    buzzer = Buzzer(piezo, clock.sleep_ms)
    buzzer.tone("declined")
    clock.at = [(300, lambda: buzzer.tone("approved")), (1200, lambda: buzzer.tone("what"))]

    play(buzzer, clock, 1300)
    assert piezo.played[0] == (750, 32768)
    assert (1500, 32768) in piezo.played
    assert piezo.played[-1][1] == 0
