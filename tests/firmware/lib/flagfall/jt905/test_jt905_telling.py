# What records have to tell an ISU, in the order of a shift and with the power gone in between.

from flagfall.journal import schema
from flagfall.jt905 import bodies
from flagfall.jt905.telling import Telling


class _Record:
    def __init__(self, type, **fields):
        self.type = type
        self.time = 1000
        self.body = schema.pack(type, **fields)


def _trip(number, paid=schema.CASH):
    return _Record(
        schema.TRIP,
        trip=number,
        shift=1,
        start_time=0,
        end_time=600,
        distance_mm=2000000,
        pulses=2000,
        slow_ms=0,
        hired_ms=600000,
        fare=1000,
        supplements=0,
        currency=156,
        paid=paid,
        flags=0,
        tariff_version=1,
        tariff="hefei",
    )


def _totals(distance_km, hired_km, hirings):
    return _Record(
        schema.TOTALS,
        distance_mm=distance_km * 1000000,
        hired_distance_mm=hired_km * 1000000,
        hirings=hirings,
        supplements=0,
        fares=0,
        card_payments=0,
        card_amount=0,
    )


def _shift(event, trips=0):
    return _Record(
        schema.SHIFT,
        shift=1,
        event=event,
        trips=trips,
        fares=2000,
        card_payments=0,
        card_amount=0,
        driver="D-17",
    )


def _telling():
    return Telling(bodies.Owner("J12345", "1"), 1000, 2)


def test_a_shift():
    telling = _telling()
    told = []
    for record in (
        _totals(100, 60, 7),
        _shift(schema.SIGN_IN),
        _trip(1),
        _totals(105, 62, 8),
        _shift(schema.SIGN_OUT, 1),
    ):
        told.append(telling.take(record, 0, 200))
    assert [t and t[0] for t in told] == [
        None,
        bodies.SIGNED_IN,
        None,
        bodies.TRIP,
        bodies.SIGNED_OUT,
    ]
    assert told[3][1][22:26] == b"D-17"
    assert told[3][1][51:53] == bodies.number(30, 2)  # 3 km vacant between the two totals
    shift = told[4][1]
    assert shift[55:58] == bodies.number(50, 3)
    assert shift[58:61] == bodies.number(20, 3)
    assert shift[63:66] == bodies.number(10, 3)  # ten minutes hired


def test_a_trip_whose_totals_the_power_took():
    telling = _telling()
    telling.take(_totals(100, 60, 7), 0, 200)
    assert telling.take(_trip(1), 0, 200) is None
    command, body = telling.take(_trip(2), 0, 200)
    assert (command, body[61:65]) == (bodies.TRIP, b"\0\0\0\1")
    command, body = telling.take(_totals(110, 64, 9), 0, 200)
    assert (command, body[61:65]) == (bodies.TRIP, b"\0\0\0\2")
    assert telling.take(_totals(110, 64, 9), 0, 200) is None
