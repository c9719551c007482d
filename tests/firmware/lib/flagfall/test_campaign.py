# Tap campaigns: what they take off, for whom, and what no list may hold.

from expect import raises
from flagfall.campaign import CampaignError, best, parse

TENTH = {"id": 1, "name": "Spring", "from": 1000, "until": 2000, "percent": 10, "cap": 300}
TWO = {"id": 2, "name": "Airport", "from": 1500, "until": 3000, "off": 200}


def off(rows, at=1600, fare=1000, due=None):
    amount, row = best(parse(rows), at, fare, fare if due is None else due)
    return amount, row["id"] if row else 0


def test_the_highest_discount_of_those_that_run():
    assert off([TENTH, TWO]) == (200, 2)
    assert off([TENTH, TWO], fare=2500) == (250, 1)
    assert off([TENTH, TWO], at=1499, fare=2500) == (250, 1)
    assert off([TENTH, TWO], at=2000, fare=2500) == (200, 2)
    assert off([TENTH], at=999) == off([TENTH], at=2000) == off([], fare=5) == (0, 0)


def test_cap_rounding_and_what_stays():
    assert off([TENTH], fare=9999) == (300, 1)
    assert off([TENTH], fare=1019) == (101, 1)  # down, in the passenger's disfavour by < 1
    assert off([TENTH], fare=9) == (0, 0)
    assert off([TWO], fare=150) == (149, 2)  # one minor unit stays to be charged
    assert off([TWO], fare=150, due=650) == (150, 2)  # never more than the fare itself
    assert off([TWO], fare=0, due=0) == (0, 0)


def test_what_makes_no_sense():
    for change in (
        {"id": 0},
        {"id": 65536},
        {"id": True},
        {"name": ""},
        {"name": "x" * 17},
        {"name": "a\nb"},
        {"name": 5},
        {"from": -1},
        {"until": 1000},
        {"until": None},
        {"percent": 0},
        {"percent": 101},
        {"percent": 1.5},
        {"off": 5},
        {"cap": 0},
        {"cap": "5"},
        {"until": 1 << 32},
        {"colour": "red"},
    ):
        row = dict(TENTH)
        row.update(change)
        raises(CampaignError, parse, [row])
    for rows in ({}, None, [5], [TENTH, TENTH], [dict(TWO, id=n) for n in range(1, 18)]):
        raises(CampaignError, parse, rows)
    neither = dict(TENTH)
    del neither["percent"]
    raises(CampaignError, parse, [neither])
