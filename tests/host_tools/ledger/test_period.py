"""The sums of a period, on SQLite and on PostgreSQL alike."""

import json

from flagfall.clock import seconds_from_civil
from flagfall_host.ledger import Ledger, period
from flagfall_host.reports.figures import Figures
from flagfall_host.reports.span import Span, day, zone
from fleet_week import DAY, FleetWeek

MIDNIGHT = seconds_from_civil(2026, 3, 2)
UTC = zone("UTC")


def test_both_databases_say_what_was_driven(place):
    week = FleetWeek(MIDNIGHT, units=2, days=3, trips=5)
    trouble = week.trouble()
    now = MIDNIGHT + 20 * 3600
    with Ledger.open(place, now=lambda: now) as ledger:
        week.book(ledger, trouble)
        week.settle(ledger, MIDNIGHT - DAY)
        days = [day(text, UTC, now) for text in ("2026-02-28", "2026-03-02")]
        found = Figures(ledger, Span(*days, UTC), None).collect()
    assert [d["card"] for d in found["days"]] == [week.due[n]["card"] for n in range(3)]
    assert [d["cash"] for d in found["days"]] == [week.due[n]["cash"] for n in range(3)]
    waiting = week.due[1]["card"] + week.due[2]["card"] + 1460 + 2200
    assert found["unsettled"]["to_upload"] == waiting
    assert all(s["unit_agrees"] for s in found["shifts"]) and len(found["shifts"]) == 6
    assert found["exceptions"]["count"] == 5
    json.dumps(found)  # plain numbers and texts, whatever the database gave


def test_a_shift_ends_with_its_own_sign_out(ledger, unit):
    unit.event()
    unit.shift(1, shift=1, driver="D1")
    unit.trip(1000, shift=1)
    unit.restart()
    unit.event()
    unit.shift(2, 1, 1000, shift=1, driver="D1")
    unit.shift(1, shift=2, driver="D2")
    unit.trip(2000, shift=2)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    with ledger.reading() as connection:
        first, second = period.shifts(connection, unit.unit_id)
        assert (first["driver"], second["driver"], second["end"]) == ("D1", "D2", None)
        assert period.of_shift(connection, first)["fares"] == 1000
        assert period.of_shift(connection, second)["fares"] == 2000
        assert period.newest_time(connection, unit.unit_id) == unit.time - 7
        assert period.newest_time(connection, "NOBODY") == 0
