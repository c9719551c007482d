"""How a fare came about: the meter's result of one trip, told in the words of its tariff."""

from typing import Any

from flagfall.meter import tariff as form

from flagfall_host.tariffs.tariff_file import SURCHARGED, TariffFile


def account(tariff: TariffFile, result: dict[str, Any], options: int, k: int) -> dict[str, Any]:
    """The JSON object of `flagfall fare`: all money in minor units."""
    fare = result["fare"]
    begun = result["begun"]  # charged in advance for the steps that have begun
    shown = result["metered"] + begun + result["fees"]
    return {
        "tariff": tariff.name,
        "tariff_version": tariff.version,
        "currency": tariff.currency,
        "minor_digits": tariff.minor_digits,
        "fare_minor": fare,
        "supplements_minor": result["supplements"],
        "total_minor": fare + result["supplements"],
        "distance_m": result["distance_mm"] / 1000,
        "slow_ms": result["slow_ms"],
        "hired_ms": result["hired_ms"],
        "pulses": result["pulses"],
        "k": k,
        "jumps": result["distance_steps"] + result["time_steps"] + (1 if begun else 0),
        "flagfall_minor": result["flagfall"],
        "steps_minor": result["metered"] + begun - result["flagfall"],
        "fees_minor": result["fees"],
        "discount_and_rounding_minor": fare - shown,
        "surcharges": _surcharges(tariff, result["windows"], options),
        "options": [name for bit, name in enumerate(tariff.options) if options >> bit & 1],
        "faults": result["faults"],
        "runtime": result["runtime"],
    }


def _holds(row: tuple[int, ...], windows: int, options: int) -> bool:
    in_time = not row[0] or bool(row[0] & windows)
    return in_time and row[1] & options == row[1] and not row[2] & options


def _surcharges(tariff: TariffFile, windows: int, options: int) -> list[dict[str, Any]]:
    """What was in force at any moment of the trip."""
    found: list[dict[str, Any]] = []
    for row in tariff.surcharges:
        if _holds(row, windows, options):
            on = [name for name, bit in SURCHARGED.items() if row[3] & bit]
            found.append({"percent": row[4], "on": on, "why": _why(tariff, row)})
    for name, row in zip(tariff.fee_names, tariff.fees, strict=True):
        if _holds(row, windows, options):
            kind = "supplement" if row[4] == form.FEE_SUPPLEMENT else "fare"
            found.append({"fee": name, "amount_minor": row[3], "in": kind})
    return found


def _why(tariff: TariffFile, row: tuple[int, ...]) -> list[str]:
    names = [n for bit, n in enumerate(tariff.window_names) if row[0] >> bit & 1]
    return names + [n for bit, n in enumerate(tariff.options) if row[1] >> bit & 1]


def money(minor: int, digits: int) -> str:
    """Minor units as a decimal: money(2580, 2) is '25.80'."""
    sign, minor = ("-" if minor < 0 else ""), abs(minor)
    if not digits:
        return f"{sign}{minor}"
    return f"{sign}{minor // 10**digits}.{minor % 10**digits:0{digits}d}"


def clock(ms: int) -> str:
    """A duration as h:mm:ss.s"""
    tenths = ms // 100
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
