from expect import raises
from flagfall import clock

# Dates checked against the `date` program: (seconds since 2000, civil).
_KNOWN = (
    (0, (2000, 1, 1, 0, 0, 0, 5)),
    (5097600, (2000, 2, 29, 0, 0, 0, 1)),
    (848871475, (2026, 11, 24, 21, 37, 55, 1)),
    (4294967295, (2136, 2, 7, 6, 28, 15, 1)),
    (3160857599, (2100, 2, 28, 23, 59, 59, 6)),
    (3160857600, (2100, 3, 1, 0, 0, 0, 0)),
)


def test_known_dates_both_ways():
    for seconds, civil in _KNOWN:
        assert clock.civil(seconds) == civil, seconds
        assert clock.seconds_from_civil(*civil[:6]) == seconds, civil


def test_every_day_of_a_leap_cycle_returns():
    last = None
    for day in range(0, 4 * 366):
        c = clock.civil(day * 86400)
        assert clock.seconds_from_civil(*c[:3]) == day * 86400
        assert last is None or c[6] == (last + 1) % 7
        last = c[6]


def test_dates_that_do_not_exist():
    for bad in ((2023, 2, 29), (2024, 4, 31), (2024, 13, 1), (2024, 1, 1, 24), (2024, 0, 1)):
        raises(ValueError, clock.seconds_from_civil, *bad)


def test_epochs():
    assert clock.seconds_2000(1795556275, 1970) == 848871475
    assert clock.seconds_2000(848871475, 2000) == 848871475
    assert clock.to_unix(clock.from_unix(1795556275)) == 1795556275
    assert clock.iso8601(848871475) == "2026-11-24T21:37:55Z"
    raises(ValueError, clock.seconds_2000, 0, 1900)
