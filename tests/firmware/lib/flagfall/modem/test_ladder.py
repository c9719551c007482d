# The ladder: gentle first, harder when that has failed, never at an end.
# MIT licence, (c) 2026 The Flagfall contributors.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/../link")

from fake_unit import Stream  # noqa: E402
from flagfall.modem import ladder  # noqa: E402
from flagfall.modem.ladder import Ladder  # noqa: E402


def zeros(n):
    return bytes(n)


def test_a_gateway_that_does_not_answer_climbs_rung_by_rung():
    steps = Ladder(zeros)
    taken = [steps.failed(ladder.SOCKET) for _ in range(54)]
    assert taken[:9] == [0, 0, 1, 0, 0, 1, 0, 0, 2]
    assert taken.count(ladder.PPP) == 12
    assert taken.count(ladder.RADIO) == 3
    assert taken.count(ladder.POWER) == 2
    assert taken.count(ladder.UNIT) == 1 and taken[53] == ladder.UNIT
    # And again from the bottom: it never ends.
    assert [steps.failed(ladder.SOCKET) for _ in range(9)] == [0, 0, 1, 0, 0, 1, 0, 0, 2]


def test_a_dead_modem_begins_at_its_power_key():
    steps = Ladder(zeros)
    assert [steps.failed(ladder.POWER) for _ in range(6)] == [3, 3, 4, 3, 3, 4]


def test_no_network_begins_at_the_radio():
    steps = Ladder(zeros)
    assert [steps.failed(ladder.RADIO) for _ in range(6)] == [2, 3, 2, 3, 2, 4]


def test_success_forgets_all():
    steps = Ladder(zeros)
    for _ in range(20):
        assert steps.failed(ladder.SOCKET) == ladder.SOCKET
        assert steps.failed(ladder.SOCKET) == ladder.SOCKET
        steps.worked()
    assert steps.failures == 0


def test_waits_grow_to_a_quarter_of_an_hour_and_stay():
    low = Ladder(zeros)
    high = Ladder(lambda n: b"\xff" * n)
    waits = []
    for _ in range(12):
        low.failed(0)
        high.failed(0)
        waits.append((low.wait_ms(), high.wait_ms()))
    assert waits[:4] == [(2500, 5000), (5000, 10000), (10000, 20000), (20000, 40000)]
    assert waits[-1] == (450000, 900000)
    longest = [w[1] for w in waits]
    assert longest == sorted(longest)


def test_a_fleet_spreads_over_the_wait():
    rnd = Stream(b"spread")
    drawn = [ladder.spread(10000, rnd) for _ in range(1000)]
    assert all([5000 <= w <= 10000 for w in drawn])
    assert min(drawn) < 5100 and max(drawn) > 9900
    assert 7300 < sum(drawn) // 1000 < 7700
