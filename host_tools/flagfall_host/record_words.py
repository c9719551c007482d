"""A journal record as one line that a person reads: for the event log and the reports.

Nothing here shows more of a card than its last four digits.
"""

from collections.abc import Mapping
from typing import Any

from flagfall import clock
from flagfall.journal import schema
from flagfall.receipt import clock_time, currency_code, kilometres
from flagfall.receipt import money as amount_text

_NO_MINOR_UNITS = (392, 410)  # yen and won, ISO 4217
OUTCOMES = {
    schema.APPROVED: "approved",
    schema.DECLINED: "declined",
    schema.TORN: "torn: not known yet whether the card was debited",
    schema.TORN_DEBITED: "torn, found debited",
    schema.TORN_NOT_DEBITED: "torn, found not debited",
    schema.TORN_GIVEN_UP: "torn, given up",
}
PAID = {schema.OPEN: "not paid", schema.CASH: "paid in cash", schema.CARD: "paid by card"}
EVENTS = {
    schema.STARTED: "the unit started",
    schema.POWER_LOST_IN_TRIP: "the power was lost during a trip",
    schema.TARIFF_CHANGED: "the tariff was changed",
    schema.TIME_SET: "the clock was set",
    schema.KEYS_CHANGED: "the CA keys were changed",
    schema.PROVISIONED: "the unit got its identity",
    schema.JOURNAL_FULL: "the journal is nearly full: pull the unit",
    schema.DAMAGED_RECORD: "a damaged record was found",
    schema.WRONG_KEY: "somebody tried a wrong key on the cable",
    schema.RECEIPT_PRINTED: "a receipt was printed",
    schema.SENSOR_FAULT: "the distance sensor gave nonsense",
    schema.READER_FAULT: "the card reader failed",
    schema.K_CHANGED: "k was changed",
    schema.SETTINGS_CHANGED: "the settings were changed",
    schema.UPLINK: "the mobile network",
    schema.SELF_TEST: "the workshop tested the unit",
    schema.SEAL: "the seal switch",
    schema.SUPPLY: "the supply fell too low for cards",
    schema.CLOCK_FAULT: "the clock chip",
    schema.SIGN_IN_REFUSED: "a sign-in was refused",
    schema.DISPLAY_FAULT: "a display",
    schema.FILES_ROLLED_BACK: "older files of the office were put back",
    schema.OFFICE_FILE: "a file of the office is in force",
    schema.PROGRAM: "the program",
    schema.METROLOGY_CHANGED: "other metrology files were permitted",
}
_SENSOR = {
    "1": "faster than any taxi",
    "2": "the counter went back",
    "3": "the clock jumped, ms",
    "4": "hired without a pulse, s",
}


def money(amount: int, currency: int) -> str:
    """Minor units with the currency's code: money(8460, 156) == "CNY 84.60"."""
    return f"{currency_code(currency)} {amount_text(amount, minor_digits(currency))}"


def minor_digits(currency: int) -> int:
    """Places behind the point of a currency (ISO 4217 numeric)."""
    return 0 if currency in _NO_MINOR_UNITS else 2


def words(type: int, fields: Mapping[str, Any]) -> str:
    """One line for a record of `type` with the fields of `flagfall.journal.schema`."""
    write = _WORDS.get(type)
    return write(fields) if write else schema.type_name(type).lower()


def _trip(f: Mapping[str, Any]) -> str:
    due = money(f["fare"] + f["supplements"], f["currency"])
    text = (
        f"trip {f['trip']}: {kilometres(f['distance_mm'])} km, waited {clock_time(f['slow_ms'])}, "
        f"{due}, {PAID.get(f['paid'], 'paid otherwise')}"
    )
    return text + (", interrupted by power" if f["flags"] & 1 else "")


def _payment(f: Mapping[str, Any]) -> str:
    outcome = OUTCOMES.get(f["outcome"], f"outcome {f['outcome']}")
    text = (
        f"tap for trip {f['trip']}: {money(f['amount'], f['currency'])} {outcome}, "
        f"card **** {f['last_digits']}"
    )
    if f["torn_seq"]:
        text += f", resolves record {f['torn_seq']}"
    reason = f["reason"]
    return text if not reason or reason == outcome else f"{text} ({reason})"


def _shift(f: Mapping[str, Any]) -> str:
    if f["event"] == schema.SIGN_IN:
        return f"shift {f['shift']}: driver {f['driver']} signed in"
    return (
        f"shift {f['shift']}: driver {f['driver']} signed out; {f['trips']} trips, fares "
        f"{amount_text(f['fares'])}, {f['card_payments']} taps of {amount_text(f['card_amount'])}"
    )


def _totals(f: Mapping[str, Any]) -> str:
    return (
        f"totals: {kilometres(f['distance_mm'])} km, {f['hirings']} hirings, fares "
        f"{amount_text(f['fares'])}, {f['card_payments']} taps of {amount_text(f['card_amount'])}"
    )


def _event(f: Mapping[str, Any]) -> str:
    meaning = EVENTS.get(f["code"], f"event {f['code']}")
    text = f["text"]
    if f["code"] == schema.SENSOR_FAULT:
        kind, _, value = text.partition(":")
        text = f"{_SENSOR.get(kind, kind)}{':' + value if value else ''}"
    return f"{meaning} ({text})" if text else meaning


def _ack(f: Mapping[str, Any]) -> str:
    return f"the office has booked everything up to record {f['upto_seq']}"


def _key(f: Mapping[str, Any]) -> str:
    return f"card data are sealed under key {f['key_number']} from here on"


_WORDS = {
    schema.TRIP: _trip,
    schema.PAYMENT: _payment,
    schema.SHIFT: _shift,
    schema.TOTALS: _totals,
    schema.EVENT: _event,
    schema.ACK: _ack,
    schema.KEY: _key,
}


def time_text(seconds: int) -> str:
    """UTC as a person reads it: 2026-03-02 10:15:30."""
    return "%04d-%02d-%02d %02d:%02d:%02d" % clock.civil(seconds)[:6]
