"""A small fleet's week as a ledger: everything that a report must show, with sums kept apart.

The sums are counted while the records are made, so that a report is held against them and not
against the ledger's own queries.
"""

import random
from collections import defaultdict

from flagfall_host.ledger import money
from recorded_unit import (
    APPROVED,
    CARD,
    CASH,
    DEBITED,
    DECLINED,
    NOT_DEBITED,
    OPEN,
    TORN,
    RecordedUnit,
)

DAY = 86_400
REASONS = ("over the limit", "expired", "on the deny list", "the card left too early")


class FleetWeek:
    """`units` taxis, `days` days up to and with the one that begins at `midnight` (UTC 2000)."""

    def __init__(self, midnight, units=3, days=3, trips=12, seed=1):
        self.random = random.Random(seed)
        self.midnight, self.days, self.trips = midnight, days, trips
        self.units = [RecordedUnit(f"TAXI-{n}") for n in range(1, units + 1)]
        self.due = defaultdict(lambda: defaultdict(int))  # day: what: minor units
        self.by_unit = defaultdict(int)  # unit: minor units on the last day
        for unit in self.units:
            self.data_tag = 0
            for day in range(days):
                self.a_day(unit, day)

    def a_day(self, unit, day):
        begin = self.midnight - (self.days - 1 - day) * DAY
        shift = day + 1
        unit.time = begin + self.random.randrange(6 * 3600, 8 * 3600)
        unit.event("epoch 1")
        unit.shift(1, shift=shift, driver=f"D{unit.unit_id[-1]}")
        sums = [0, 0, 0, 0]
        for _ in range(self.trips):
            unit.time += self.random.randrange(900, 4200)
            fare = self.random.randrange(1000, 6400, 20)
            extra = self.random.choice((0, 0, 0, 300))
            due = fare + extra
            paid = self.random.choice((CARD, CARD, CARD, CASH, CASH))
            if paid == CARD:
                self.tag = self.random.randbytes(8)
                if self.random.random() < 0.2:
                    reason = self.random.choice(REASONS)
                    unit.payment(due, DECLINED, reason=reason, shift=shift, tag=self.tag)
                unit.payment(due, APPROVED, shift=shift, tag=self.tag, last=f"{fare % 10000:04d}")
                sums[2] += 1
                sums[3] += due
            unit.trip(fare, extra, paid, shift=shift)
            sums[0] += 1
            sums[1] += due
            self.due[day][{CARD: "card", CASH: "cash", OPEN: "unpaid"}[paid]] += due
            self.due[day]["trips"] += 1
            if day == self.days - 1:
                self.by_unit[unit.unit_id] += due
        unit.shift(2, *sums, shift=shift, driver=f"D{unit.unit_id[-1]}")
        unit.totals(sums[1], sums[2], sums[3], sums[0])

    def trouble(self):
        """One of each kind of exception, on the first unit; returns the record numbers."""
        unit = self.units[0]
        out = {}
        out["torn"] = unit.payment(1880, TORN, tag=b"t" * 8, reason="the card left too early")
        torn = unit.payment(1240, TORN, tag=b"u" * 8, reason="the card left too early")
        unit.payment(1240, NOT_DEBITED, torn_seq=torn, tag=b"u" * 8, reason="read again")
        torn = unit.payment(1460, TORN, tag=b"v" * 8, reason="the card left too early")
        unit.payment(1460, DEBITED, torn_seq=torn, tag=b"v" * 8, reason="read again")
        unit.payment(2200, APPROVED, atc=7, tag=b"w" * 8, last="4711")
        out["disputed"] = unit.payment(2200, APPROVED, atc=7, tag=b"w" * 8, last="4711")
        out["refused-money"] = unit.payment(3100, APPROVED, tag=b"x" * 8, last="0815")
        unit.trip(900, 0, OPEN, shift=self.days)
        out["gap"] = unit.event("lost on the way")
        unit.event("epoch 1")
        return out

    def book(self, ledger, trouble=None):
        """Book all; with `trouble` all but the gap, and a forged record."""
        for unit in self.units:
            raws = list(unit.raws)
            if trouble and unit is self.units[0]:
                del raws[trouble["gap"] - 1]
                forger = RecordedUnit(unit.unit_id, key=b"f" * 32)
                forger.seq, forger.time = unit.seq, unit.time
                forger.payment(99_900, APPROVED)
                raws += forger.raws
            ledger.book(unit.unit_id, raws, unit.key)
        if trouble:
            key = (self.units[0].unit_id, 1, trouble["refused-money"])
            with ledger.writing() as connection:
                for was, to in (
                    (money.CAPTURED, money.QUEUED),
                    (money.QUEUED, money.SENT),
                    (money.SENT, money.REFUSED),
                ):
                    one = money.Move(key, was, to, "response 14")
                    money.move_all(connection, [one], ledger.now())

    def settle(self, ledger, before):
        """Everything taken before the time `before` is settled."""
        rows = {(r["unit_id"], r["epoch"], r["seq"]): r for r in ledger.rows("payments")}
        from flagfall import clock

        with ledger.writing() as connection:
            for m in list(ledger.rows("money")):
                key = (m["unit_id"], m["epoch"], m["seq"])
                if m["state"] != money.CAPTURED or rows[key]["time"] >= clock.iso8601(before):
                    continue
                ways = (money.CAPTURED, money.QUEUED, money.SENT, money.ACCEPTED, money.SETTLED)
                for was, to in zip(ways, ways[1:], strict=False):
                    money.move_all(connection, [money.Move(key, was, to, "test")], ledger.now())
