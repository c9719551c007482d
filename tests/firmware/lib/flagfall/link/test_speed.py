# The cable's speed: asked for, confirmed, and left again when nobody is heard.
# MIT licence, (c) 2026 The Flagfall contributors.

import expect
from flagfall.link.messages import Refused
from flagfall.link.speed import SILENCE_MS, TRIAL_MS, Speed

_MASK = 0x3FFFFFFF


class Unit:
    bauds = (115200, 460800, 921600)

    def __init__(self):
        self.ticks = _MASK - 500  # the ticks wrap during the test
        self.set = []

    def ticks_ms(self):
        return self.ticks & _MASK

    def set_baud(self, rate):
        self.set.append(rate)


def up(unit, confirm=True):
    speed = Speed(unit)
    speed.ask(921600)
    speed.step()
    if confirm:
        speed.ask(921600)
    return speed


def test_nothing_changes_before_the_answer_is_out():
    unit = Unit()
    speed = Speed(unit)
    speed.step()
    speed.ask(921600)
    assert unit.set == []
    speed.step()
    assert unit.set == [921600]


def test_a_speed_that_is_not_confirmed_is_left_after_the_trial():
    unit = Unit()
    speed = up(unit, confirm=False)
    unit.ticks += TRIAL_MS - 1
    speed.good_frame()  # a lucky frame confirms nothing
    speed.step()
    assert unit.set == [921600]
    unit.ticks += 2
    speed.step()
    assert unit.set == [921600, 115200]
    assert speed.falls == 1
    unit.ticks += 100000
    speed.step()
    assert unit.set == [921600, 115200]


def test_a_confirmed_speed_lasts_while_the_host_is_heard():
    unit = Unit()
    speed = up(unit)
    for _ in range(5):
        unit.ticks += SILENCE_MS - 1
        speed.step()
        speed.good_frame()
    assert unit.set == [921600]
    unit.ticks += SILENCE_MS + 1
    speed.step()
    assert unit.set == [921600, 115200]


def test_down_again_on_demand_and_at_the_end_of_the_session():
    unit = Unit()
    speed = up(unit)
    speed.ask(115200)
    speed.step()
    assert unit.set == [921600, 115200]
    speed.ask(115200)
    speed.end()
    speed.step()
    assert unit.set == [921600, 115200]
    speed = up(unit)
    speed.end()
    speed.step()
    assert unit.set[-1] == 115200
    assert speed.falls == 0


def test_other_speeds_are_refused():
    speed = Speed(Unit())
    for rate in (0, 9600, 921601, 0xFFFFFFFF):
        expect.raises(Refused, speed.ask, rate)

    class Fixed:
        pass

    speed = Speed(Fixed())
    expect.raises(Refused, speed.ask, 115200)
    speed.step()
    speed.end()
    speed.step()
