"""`check`: whoever changes the ledger's rows is found out by the records' bytes."""

import pytest
import sqlalchemy as sa
from flagfall_host.ledger.errors import MoneyError, SeveralCurrencies
from flagfall_host.ledger.money import STATES, WAYS, Move, move_all
from recorded_unit import CARD, JOURNAL_KEY, RecordedUnit, a_day


@pytest.fixture
def booked(ledger, unit):
    a_day(unit, 8)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    assert ledger.check(journal_key=lambda _: JOURNAL_KEY) == []
    return ledger


def kinds(ledger, **options):
    return {f.kind for f in ledger.check(**options)}


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE trips SET fare = fare + 1 WHERE trip = 2", "evidence"),
        ("DELETE FROM trips WHERE trip = 2", "evidence"),
        ("UPDATE payments SET amount = amount - 1 WHERE trip = 2", "evidence"),
        ("DELETE FROM payments WHERE trip = 2", "money"),
        ("UPDATE money SET amount = 1 WHERE seq = (SELECT MIN(seq) FROM payments)", "money"),
        ("DELETE FROM money WHERE seq = (SELECT MIN(seq) FROM payments)", "money"),
        ("UPDATE shifts SET fares = 0 WHERE event = 2", "shift"),
        ("UPDATE totals SET fares = 0", "evidence"),
        ("UPDATE events SET text = 'nothing happened'", "evidence"),
        ("DELETE FROM records WHERE seq = 4", "gap"),
        ("UPDATE records SET raw = (SELECT raw FROM records WHERE seq = 3) WHERE seq = 4", "link"),
    ],
)
def test_a_changed_row_is_found(booked, statement, kind):
    with booked.writing() as connection:
        changed = connection.execute(sa.text(statement)).rowcount
    assert changed == 1
    assert kind in kinds(booked)


def test_a_changed_record_is_found_by_its_crc_or_with_the_key_by_its_mac(booked, unit):
    forger = RecordedUnit(key=b"?" * 32)
    forger.seq, forger.link, forger.time = 3, unit.raws[2][-16:-12], unit.time
    forger.payment(1)
    for raw, options, found in (
        (unit.raws[3][:-1] + b"?", {}, "evidence"),
        (forger.raws[0], {"journal_key": lambda _: JOURNAL_KEY}, "evidence"),
    ):
        with booked.writing() as connection:
            connection.execute(sa.text("UPDATE records SET raw = :r WHERE seq = 4"), {"r": raw})
        assert found in kinds(booked, **options)


def test_a_card_trip_without_its_payment_and_the_reverse(ledger, unit):
    unit.trip(1000, 0, CARD)
    unit.payment(500)
    unit.trip(900)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    found = [f.text for f in ledger.check() if f.kind == "trip"]
    assert found == [
        "trip 1: 1000 due, 0 by card",
        "trip 2: not paid by card, yet 500 by card",
    ]


def test_a_shift_that_says_other_sums_is_named(ledger, unit):
    unit.shift(1)
    unit.trip(1000)
    unit.shift(2, 1, 999, 0, 0)
    unit.shift(2, 1, 999, 0, 0)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    texts = [f.text for f in ledger.check() if f.kind == "shift"]
    assert len(texts) == 2
    assert "says trips 1, fares 999" in texts[0] and "records say trips 1, fares 1000" in texts[0]
    assert texts[1] == "shift 1 has no sign-in"


def test_money_goes_only_where_a_way_leads(booked):
    with booked.reading() as connection:
        key = tuple(connection.execute(sa.text("SELECT unit_id, epoch, seq FROM money")).first())
    assert set(WAYS) == set(STATES)
    for was in STATES:
        for state in STATES:
            if state in WAYS[was] and was == "captured":
                continue
            with pytest.raises(MoneyError), booked.writing() as connection:
                move_all(connection, [Move(key, was, state, "test")], 1)
    assert list(booked.rows("moves")) == []
    with booked.writing() as connection:
        values = {"batch": 1, "stan": 1}
        move_all(connection, [Move(key, "captured", "queued", "test", values)], 1)
    moved = list(booked.rows("moves"))
    assert [(m["was"], m["state"], m["why"]) for m in moved] == [("captured", "queued", "test")]


def test_sums_over_two_currencies_are_not_made(ledger):
    for name, currency in (("A", 156), ("B", 344)):
        unit = RecordedUnit(name)
        unit.trip(1000, currency=currency)
        ledger.book(name, unit.raws, unit.key)
    with pytest.raises(SeveralCurrencies, match="156, 344"):
        ledger.summary()
    assert ledger.summary("B")["currency"] == 344


def test_lists_show_nothing_sealed(booked):
    for what in ("trips", "payments", "shifts", "totals", "events", "money", "refusals"):
        for row in booked.rows(what, "TAXI-1"):
            assert not {"sealed", "card_tag", "raw", "sha256"} & set(row)
    payment = next(booked.rows("payments"))
    assert payment["time"].startswith("2026-01-01T") and payment["last_digits"] == "0011"
