"""The figures of a report: plain numbers and texts, as `--json` prints them.

Money is in minor units of `currency`, times are local ISO 8601, distances millimetres.
"""

import datetime
from collections import Counter, defaultdict
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema
from flagfall.receipt import currency_code

from flagfall_host.ledger import Ledger, money, period
from flagfall_host.ledger.errors import SeveralCurrencies
from flagfall_host.record_words import minor_digits
from flagfall_host.reports.exceptions import exceptions
from flagfall_host.reports.span import ReportError, Span, local

DEADLINE_DAYS = 10  # calendar days in which a tap must reach the acquirer
AGES = (("today", 0, 0), ("1 to 3 days", 1, 3), ("4 to 7 days", 4, 7), ("8 to 10 days", 8, 10))
LATE = "over 10 days"
_SUMS = (
    "trips",
    "distance_mm",
    "hired_ms",
    "fares",
    "supplements",
    "cash",
    "card",
    "unpaid",
    "discounts",
)
_OUTCOMES = {
    schema.APPROVED: "approved",
    schema.TORN_DEBITED: "torn, found debited",
    schema.TORN_NOT_DEBITED: "torn, found not debited",
    schema.TORN: "torn: its answer was not read",
    schema.TORN_GIVEN_UP: "torn, given up",
    schema.DECLINED: "declined",
}


class Figures:
    """Collects one report's figures in one reading transaction, so that they fit together."""

    def __init__(self, ledger: Ledger, span: Span, unit_id: str | None) -> None:
        self._ledger = ledger
        self._span = span
        self._unit_id = unit_id
        self._currencies: set[int] = set()

    def collect(self) -> dict[str, Any]:
        """Everything. Raises ReportError, SeveralCurrencies."""
        span, now = self._span, self._ledger.now()
        with self._ledger.reading() as connection:
            pulled = period.pulled(connection)
            if self._unit_id and self._unit_id not in pulled:
                known = ", ".join(pulled) or "none"
                raise ReportError(f"{self._unit_id}: not in the ledger; there are: {known}")
            trips = list(period.trips(connection, span.within, self._unit_id))
            taps = list(period.taps(connection, span.within, self._unit_id))
            out: dict[str, Any] = {
                "from": span.first.isoformat(),
                "to": span.last.isoformat(),
                "timezone": span.zone.key,
                "made_at": self._time(now),
                "totals": _totals(trips, taps),
                "units": self._units(trips, taps, pulled, now),
                "shifts": self._shifts(connection),
                "taps": _outcomes(taps),
                "money": _states(taps),
                "campaigns": _campaigns(trips),
                "hours": self._hours(trips),
                "days": self._days(trips),
                "unsettled": self._unsettled(connection, now),
                "batches": self._batches(connection),
                "exceptions": exceptions(connection, self._unit_id, self._time),
            }
        self._currencies |= {t["currency"] for t in trips} | {t["currency"] for t in taps}
        if len(self._currencies) > 1:
            named = ", ".join(currency_code(c) for c in sorted(self._currencies))
            raise SeveralCurrencies(f"money in several currencies ({named}): ask for one unit")
        currency = next(iter(self._currencies), 0)
        out["currency"] = currency_code(currency) if currency else ""
        out["minor_digits"] = minor_digits(currency)
        out["trips"] = [self._trip(t) for t in trips]
        return out

    def _time(self, seconds: int) -> str:
        return local(seconds, self._span.zone).isoformat(timespec="seconds")

    def _trip(self, t: dict[str, Any]) -> dict[str, Any]:
        return {
            "unit": t["unit_id"],
            "seq": t["seq"],
            "trip": t["trip"],
            "shift": t["shift"],
            "begin": self._time(t["start_time"]),
            "end": self._time(t["end_time"]),
            "distance_mm": t["distance_mm"],
            "waited_ms": t["slow_ms"],
            "fare": t["fare"],
            "supplements": t["supplements"],
            "discount": t["discount"],
            "campaign": t["campaign"],
            "paid": ("unpaid", "cash", "card")[t["paid"]] if t["paid"] <= schema.CARD else "?",
            "tariff": f"{t['tariff']} {t['tariff_version']}",
        }

    def _units(
        self,
        trips: list[dict[str, Any]],
        taps: list[dict[str, Any]],
        pulled: dict[str, dict[str, int]],
        now: int,
    ) -> list[dict[str, Any]]:
        trips_of, taps_of = _by_unit(trips), _by_unit(taps)
        out = []
        for name, state in pulled.items():
            if self._unit_id not in (None, name):
                continue
            mine = _totals(trips_of[name], taps_of[name])
            out.append(
                {
                    "unit": name,
                    **mine,
                    "pulled_at": self._time(state["booked_at"]),
                    "pulled_days_ago": self._age(state["booked_at"], now),
                    "complete": state["complete_up_to"] >= state["newest"],
                }
            )
        return out

    def _shifts(self, connection: sa.Connection) -> list[dict[str, Any]]:
        start, end = self._span.within
        out = []
        for shift in period.shifts(connection, self._unit_id):
            begin, over = shift["begin"], shift["end"]
            if begin["time"] >= end or (over is not None and over["time"] < start):
                continue
            if over is None and begin["time"] < start:
                continue  # begun on another day and never signed out: shown on that day
            sums = period.of_shift(connection, shift)
            discounts = period.discounts_of_shift(connection, shift)
            said = {name: over[name] for name in sums} if over else None
            out.append(
                {
                    "unit": shift["unit_id"],
                    "shift": shift["shift"],
                    "driver": shift["driver"],
                    "begin": self._time(begin["time"]),
                    "end": self._time(over["time"]) if over else None,
                    **sums,
                    "discounts": discounts,
                    "cash": sums["fares"] - sums["card_amount"] - discounts,
                    "unit_agrees": None if said is None else said == sums,
                }
            )
        return out

    def _hours(self, trips: list[dict[str, Any]]) -> list[dict[str, int]]:
        out = [{"cash": 0, "card": 0, "unpaid": 0} for _ in range(24)]
        for trip in trips:
            hour = local(trip["end_time"], self._span.zone).hour
            out[hour][_how(trip)] += trip["fare"] + trip["supplements"]
        return out

    def _days(self, trips: list[dict[str, Any]]) -> list[dict[str, Any]]:
        out: dict[datetime.date, dict[str, Any]] = {
            date: {"date": date.isoformat(), "trips": 0, "cash": 0, "card": 0, "unpaid": 0}
            for date in self._span.days
        }
        for trip in trips:
            date = local(trip["end_time"], self._span.zone).date()
            out[date]["trips"] += 1
            out[date][_how(trip)] += trip["fare"] + trip["supplements"]
        return list(out.values())

    def _age(self, seconds: int, now: int) -> int:
        zone = self._span.zone
        return (local(now, zone).date() - local(seconds, zone).date()).days

    def _unsettled(self, connection: sa.Connection, now: int) -> dict[str, Any]:
        """All money that waits, as of now, by the age of its tap in calendar days."""
        ages: dict[str, dict[str, int]] = {
            label: {"to_upload": 0, "to_upload_taps": 0, "accepted": 0, "accepted_taps": 0}
            for label in (*(a[0] for a in AGES), LATE)
        }
        oldest = None
        for time, amount, currency, state in period.unsettled(connection, self._unit_id):
            self._currencies.add(currency)
            age = max(0, self._age(time, now))
            label = next((name for name, low, high in AGES if low <= age <= high), LATE)
            what = "accepted" if state == money.ACCEPTED else "to_upload"
            ages[label][what] += amount
            ages[label][f"{what}_taps"] += 1
            if what == "to_upload" and oldest is None:
                oldest = time
        out: dict[str, Any] = {"ages": [{"age": label, **row} for label, row in ages.items()]}
        for name in ("to_upload", "to_upload_taps", "accepted", "accepted_taps"):
            out[name] = sum(row[name] for row in ages.values())
        out["late"] = ages[LATE]["to_upload"]
        out["late_taps"] = ages[LATE]["to_upload_taps"]
        out["next_deadline"] = None
        if oldest is not None:
            due = local(oldest, self._span.zone).date() + datetime.timedelta(days=DEADLINE_DAYS)
            out["next_deadline"] = due.isoformat()
        return out

    def _batches(self, connection: sa.Connection) -> list[dict[str, Any]]:
        if self._unit_id:
            return []  # a batch holds the taps of many units
        out = []
        for row in period.settlements(connection, self._span.within):
            self._currencies |= {row["currency"]} if row["payments"] else set()
            named = {name: row[name] for name in ("batch", "payments", "amount", "state")}
            at = self._time(row["changed_at"])
            out.append({"terminal": row["terminal_id"], **named, "at": at})
        return out


def _by_unit(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    out = defaultdict(list)
    for row in rows:
        out[row["unit_id"]].append(row)
    return out


def _how(trip: dict[str, Any]) -> str:
    return {schema.CASH: "cash", schema.CARD: "card"}.get(trip["paid"], "unpaid")


def _totals(trips: list[dict[str, Any]], taps: list[dict[str, Any]]) -> dict[str, int]:
    out = dict.fromkeys(_SUMS, 0)
    for t in trips:
        out["trips"] += 1
        out["distance_mm"] += t["distance_mm"]
        out["hired_ms"] += t["hired_ms"]
        out["fares"] += t["fare"]
        out["supplements"] += t["supplements"]
        out[_how(t)] += t["fare"] + t["supplements"]
        out["discounts"] += t["discount"]
    approved = [t for t in taps if t["outcome"] in money.APPROVED_OUTCOMES]
    out["taps"] = len(taps)
    out["taps_approved"] = len(approved)
    out["tap_amount"] = sum(t["amount"] for t in approved)
    return out


def _outcomes(taps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Taps by outcome and, where it was not approved at once, by reason."""
    counts: Counter[tuple[int, str]] = Counter()
    amounts: Counter[tuple[int, str]] = Counter()
    for tap in taps:
        reason = "" if tap["outcome"] == schema.APPROVED else tap["reason"]
        counts[tap["outcome"], reason] += 1
        amounts[tap["outcome"], reason] += tap["amount"]
    order = list(_OUTCOMES)
    return [
        {
            "outcome": _OUTCOMES.get(outcome, f"outcome {outcome}"),
            "reason": reason,
            "taps": count,
            "amount": amounts[outcome, reason],
            "is_money": outcome in money.APPROVED_OUTCOMES,
        }
        for (outcome, reason), count in sorted(
            counts.items(),
            key=lambda item: (
                order.index(item[0][0]) if item[0][0] in order else len(order),
                -item[1],
                item[0][1],
            ),
        )
    ]


def _campaigns(trips: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each tap campaign paid of the fares, by its id."""
    out: dict[int, dict[str, Any]] = {}
    for t in trips:
        if t["campaign"]:
            row = out.setdefault(
                t["campaign"], {"campaign": t["campaign"], "trips": 0, "fares": 0, "discounts": 0}
            )
            row["trips"] += 1
            row["fares"] += t["fare"] + t["supplements"]
            row["discounts"] += t["discount"]
    return [out[number] for number in sorted(out)]


def _states(taps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where the money of the period's taps is now."""
    out = []
    for state in money.STATES:
        amounts = [t["amount"] for t in taps if t["state"] == state]
        if amounts:
            out.append({"state": state, "taps": len(amounts), "amount": sum(amounts)})
    return out
