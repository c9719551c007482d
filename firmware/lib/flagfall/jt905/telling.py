# What the journal's records have to tell an ISU: signing in and out, trips (JT/T 905-2014).
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.journal import schema
from flagfall.jt905 import bodies

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_TENTH_KM = const(100000)  # mm


class Telling:
    """Reads records in their order. `k`: pulses a km; `digits`: of the currency's minor unit."""

    def __init__(self, owner, k, digits):
        self._owner = owner
        self._k = k
        self._digits = digits
        self._driver = ""
        self._trip = None  # fields of a TRIP that waits for its TOTALS
        self._at = (0, 0, 0)  # distance, hired distance (mm), hirings at the last TOTALS
        self._known = False
        self._shift = None  # (local start, distance, hired distance)
        self._hired_s = 0  # of the shift's trips

    def take(self, record, offset_s, unit_price, totals=None):
        """Return (command, body) if the ISU is to be told something, else None.

        `offset_s`: local time less UTC. `unit_price`: minor units a km. `totals`: the unit's own,
        for a record that was written just now; without, those of the last TOTALS count. A trip is
        told at the TOTALS that follow it: then the meter is For Hire again. Should the power have
        gone before those, it is told at the next trip, its vacant distance unknown.
        """
        type = record.type
        if type == schema.TRIP:
            before, self._trip = self._trip, schema.unpack(type, record.body)
            self._hired_s += self._trip["hired_ms"] // 1000
            if before is not None:
                return self._trip_body(before, 0, offset_s)
        elif type == schema.TOTALS:
            return self._take_totals(schema.unpack(type, record.body), offset_s)
        elif type == schema.SHIFT:
            if totals is not None:
                self._at = (totals.distance_mm, totals.hired_distance_mm, totals.hirings)
            fields = schema.unpack(type, record.body)
            local = record.time + offset_s
            if fields["event"] == schema.SIGN_IN:
                return self._sign_in(fields, local)
            return self._sign_out(fields, local, unit_price)
        return None

    def _take_totals(self, totals, offset_s):
        was = self._at
        self._at = (totals["distance_mm"], totals["hired_distance_mm"], totals["hirings"])
        known, self._known = self._known, True
        trip, self._trip = self._trip, None
        if trip is None:
            return None
        # Stopped at the kerb the taxi drives for hire no more, but is not vacant: what was driven
        # then is small and counts as vacant here.
        vacant = self._at[0] - self._at[1] - (was[0] - was[1]) if known else 0
        return self._trip_body(trip, max(0, vacant) // _TENTH_KM, offset_s)

    def _trip_body(self, trip, vacant_km, offset_s):
        body = bodies.trip(self._owner, self._driver, trip, offset_s, self._digits, vacant_km)
        return bodies.TRIP, body

    def _sign_in(self, fields, local):
        self._driver = fields["driver"]
        self._shift = (local, self._at[0], self._at[1])
        self._hired_s = 0
        return bodies.SIGNED_IN, bodies.signed_in(self._owner, self._driver, local, self._at[2])

    def _sign_out(self, fields, local, unit_price):
        distance, hired, hirings = self._at
        began, start, start_hired = self._shift or (local, distance, hired)
        shift = {
            "driver": fields["driver"],
            "k": self._k,
            "began": began,
            "ended": local,
            "km": (distance - start) // _TENTH_KM,
            "hired_km": (hired - start_hired) // _TENTH_KM,
            "trips": fields["trips"],
            "hired_s": self._hired_s,
            "money": bodies.tenths(fields["fares"], self._digits),
            "card_money": bodies.tenths(fields["card_amount"], self._digits),
            "cards": fields["card_payments"],
            "total_km": distance // _TENTH_KM,
            "total_hired_km": hired // _TENTH_KM,
            "unit_price": unit_price * 100 // 10**self._digits,
            "total_trips": hirings,
        }
        return bodies.SIGNED_OUT, bodies.signed_out(self._owner, shift)
