# The totalisers of a unit: they only grow, and nothing resets them.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# MID Annex IX 15.1: total distance, distance hired, number of hirings, supplements, fares. Card
# payments are kept beside them. Distances come in steps of 0.1 mm and are carried from there
# into whole kilometres, so that the running part stays a small integer.

import struct

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_KM = const(10000000)  # 0.1 mm in a kilometre
_LAYOUT = "<QQIQQIQ"
SIZE = 48  # bytes of `pack()`


class TotalsError(Exception):
    """A total would shrink, or stored totals have the wrong length."""


class Totals:
    """Non-resettable totals.

    Read `distance_mm`, `hired_distance_mm`, `hirings`, `supplements`, `fares`, `card_payments`,
    `card_amount`; money in minor units. Grow them with the `add_...` methods only.
    """

    def __init__(self):
        self._km = 0
        self._part = 0
        self._hired_km = 0
        self._hired_part = 0
        self._hirings = 0
        self._supplements = 0
        self._fares = 0
        self._card_payments = 0
        self._card_amount = 0

    @property
    def distance_mm(self):
        return self._km * 1000000 + self._part // 10

    @property
    def hired_distance_mm(self):
        return self._hired_km * 1000000 + self._hired_part // 10

    @property
    def hirings(self):
        return self._hirings

    @property
    def supplements(self):
        return self._supplements

    @property
    def fares(self):
        return self._fares

    @property
    def card_payments(self):
        return self._card_payments

    @property
    def card_amount(self):
        return self._card_amount

    def add_distance(self, tenths_mm, hired):
        """Add a distance driven, in 0.1 mm; to the hired distance too if `hired`."""
        if tenths_mm < 0:
            raise TotalsError("a distance cannot be negative")
        part = self._part + tenths_mm
        while part >= _KM:
            part -= _KM
            self._km += 1
        self._part = part
        if hired:
            part = self._hired_part + tenths_mm
            while part >= _KM:
                part -= _KM
                self._hired_km += 1
            self._hired_part = part

    def add_hiring(self):
        self._hirings += 1

    def add_trip(self, fare, supplements):
        """Add the money of a finished trip, minor units."""
        if fare < 0 or supplements < 0:
            raise TotalsError("a fare cannot be negative")
        self._fares += fare
        self._supplements += supplements

    def add_card_payment(self, amount):
        """Add one approved card payment, minor units."""
        if amount < 0:
            raise TotalsError("a payment cannot be negative")
        self._card_payments += 1
        self._card_amount += amount

    def pack(self):
        """The 48 bytes of a TOTALS record after its version byte (docs/formats.md section 3)."""
        return struct.pack(
            _LAYOUT,
            self.distance_mm,
            self.hired_distance_mm,
            self._hirings,
            self._supplements,
            self._fares,
            self._card_payments,
            self._card_amount,
        )

    @classmethod
    def unpack(cls, data):
        """Totals from the bytes that `pack` gave. Raises TotalsError on a wrong length."""
        totals = cls()
        totals.raise_to(data)
        return totals

    def raise_to(self, packed):
        """Raise each total to the stored one where that is larger; none ever shrinks."""
        if len(packed) != SIZE:
            raise TotalsError("totals must be %d bytes, got %d" % (SIZE, len(packed)))
        mm, hired_mm, hirings, supplements, fares, cards, amount = struct.unpack(_LAYOUT, packed)
        if mm > self.distance_mm:
            self._km, rest = divmod(mm, 1000000)
            self._part = rest * 10
        if hired_mm > self.hired_distance_mm:
            self._hired_km, rest = divmod(hired_mm, 1000000)
            self._hired_part = rest * 10
        self._hirings = max(self._hirings, hirings)
        self._supplements = max(self._supplements, supplements)
        self._fares = max(self._fares, fares)
        self._card_payments = max(self._card_payments, cards)
        self._card_amount = max(self._card_amount, amount)
