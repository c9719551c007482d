"""What an inspector does, on the bench: distance, time, clock, threshold and fare, each apart.

Readings come from the firmware's own engine in MicroPython, references from the moments of the
pulses and from `reference_meter`. Limits are the maximum permissible errors of MID Annex IX:
distance 0.2 % or 4 m, time 0.1 % or 0.2 s, fare 0.1 % or its least significant digit, here one
step of the tariff. The goal is a tenth of each.
"""

import datetime
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from flagfall_host.metering.reference_meter import reference
from flagfall_host.metering.trips import Trip, read_trace, run_trips
from flagfall_host.tariffs.catalogue import names, tariff_text
from flagfall_host.tariffs.compiler import encode
from flagfall_host.tariffs.errors import TariffFileError
from flagfall_host.tariffs.schema import read_tariff
from flagfall_host.tariffs.tariff_file import TariffFile

GOAL = 0.1  # of the maximum permissible error
CONSTANTS = (100, 531, 1000, 4000, 20000)
SPEEDS_KMH = (3, 6, 11, 13, 30, 60, 90, 120)
WLTC = Path(__file__).parents[1] / "bench" / "traces" / "wltc-class3b.csv"
SAMPLINGS = {
    "every 10 ms": [10],
    "every 100 ms": [100],
    "irregularly": [37, 160, 90, 13, 240],
    "10 ms with stalls of 500 ms": [10] * 50 + [500],
}
_NOON = datetime.datetime(2026, 6, 3, 12)


@dataclass
class Reading:
    """One test: `error` and `limit` in `unit`; `share` is the error as a part of the limit."""

    section: str
    what: str
    reference: float
    reading: float
    error: float
    limit: float
    share: float
    unit: str


Progress = Callable[[str], None]


def verify(progress: Progress = lambda text: None, runtime: str = "micropython") -> dict[str, Any]:
    """Run every test; return the JSON object of `flagfall verify`."""
    readings: list[Reading] = []
    for section in (distance, time, clock, threshold, fares):
        progress(section.__doc__ or "")
        readings += section(runtime)
    progress(sampling.__doc__ or "")
    samples = sampling(runtime)
    sections = []
    for name in dict.fromkeys(r.section for r in readings):
        worst = max((r for r in readings if r.section == name), key=lambda r: r.share)
        sections.append(
            {
                "section": name,
                "tests": sum(r.section == name for r in readings),
                "worst": worst.what,
                "largest_error": worst.error,
                "limit": worst.limit,
                "unit": worst.unit,
                "share_of_limit": worst.share,
                "goal_met": worst.share <= GOAL,
            }
        )
    same = all(len({s["fare_minor"] for s in rows}) == 1 for rows in samples.values())
    return {
        "goal": GOAL,
        "passed": all(r.share <= 1 for r in readings),
        "goal_met": all(s["goal_met"] for s in sections),
        "sampling_independent": same,
        "sections": sections,
        "sampling": samples,
        "readings": [asdict(r) for r in readings],
        "runtime": runtime,
    }


def _read(section: str, what: str, ref: Fraction, got: Fraction, limit: Fraction, unit: str):
    error = abs(got - ref)
    numbers = (float(ref), float(got), float(error), float(limit), float(error / limit))
    return Reading(section, what, *numbers, unit)


def _tariff(name: str) -> tuple[TariffFile, bytes]:
    file = read_tariff(tariff_text(name)[1], name)
    return file, encode(file)


def _utc(file: TariffFile, local: datetime.datetime = _NOON) -> int:
    seconds = int((local - datetime.datetime(2000, 1, 1)).total_seconds())
    return seconds - file.local_time().offset_s(seconds)


def _time_limit(seconds: Fraction) -> Fraction:
    return max(seconds / 1000, Fraction(1, 5))


def distance(runtime: str) -> list[Reading]:
    """distance: 2 km and more over all constants and speeds"""
    file, blob = _tariff("hefei")
    plan = [(k, v) for k in CONSTANTS for v in SPEEDS_KMH]
    trips = [Trip(blob, k, _utc(file)).drive(2000 + v * 3, v) for k, v in plan]
    found = []
    for (k, v), trip, got in zip(plan, trips, run_trips(trips, runtime), strict=True):
        pulses = sum(s[1] for s in trip.segments) * k // 10**9
        ref = Fraction(pulses * 1000, k)
        limit = max(ref / 500, Fraction(4))
        what = f"k {k}, {v} km/h"
        found.append(_read("distance", what, ref, Fraction(got["distance_mm"], 1000), limit, "m"))
    return found


def time(runtime: str) -> list[Reading]:
    """time: standing and driving, called in different ways"""
    file, blob = _tariff("hefei")
    found: list[Reading] = []
    for name, calls in SAMPLINGS.items():
        stand = Trip(blob, 1000, _utc(file), calls=calls).wait(1800)
        drive = Trip(blob, 1000, _utc(file), calls=calls).drive(10_000, 60).wait(600)
        for what, trip, slow in (("standing", stand, 1800), ("after a drive", drive, 600)):
            (got,) = run_trips([trip], runtime)
            hired = Fraction(sum(s[0] for s in trip.segments), 1000)
            hired_got = Fraction(got["hired_ms"], 1000)
            found.append(
                _read("time", f"hired, {what}, {name}", hired, hired_got, _time_limit(hired), "s")
            )
            slow_ref, slow_got = Fraction(slow), Fraction(got["slow_ms"], 1000)
            found.append(
                _read("time", f"slow, {what}, {name}", slow_ref, slow_got,
                      _time_limit(slow_ref), "s")
            )  # fmt: skip
    return found


def clock(runtime: str) -> list[Reading]:
    """clock: the moment at which the night begins and ends, to 20 ms"""
    file, blob = _tariff("hefei")
    found = []
    for hour, minute, label in ((22, 30, "night begins"), (4, 30, "night ends")):
        start = datetime.datetime(2026, 6, 3, hour, minute)
        due_ms = 30 * 60 * 1000
        offsets = range(-100, 120, 20)
        trips = [
            Trip(blob, 1000, _utc(file, start), calls=[10]).wait(Fraction(due_ms + d, 1000))
            for d in offsets
        ]
        results = run_trips(trips, runtime)
        day, night = 200, 240
        before, after = (day, night) if hour == 22 else (night, day)
        changed = [d for d, r in zip(offsets, results, strict=True) if r["unit_price"] == after]
        first = changed[0] if changed and results[0]["unit_price"] == before else 10_000
        ref = Fraction(due_ms, 1000)
        limit = max(ref / 5000, Fraction(1, 5))  # 0.02 % timekeeping
        found.append(_read("clock", label, ref, ref + Fraction(first, 1000), limit, "s"))
    return found


def threshold(runtime: str) -> list[Reading]:
    """threshold: 2 % below and above it, each approached from both sides"""
    plan = []
    for name, kmh in (("hefei", "12"), ("shenzhen-2024", "10"), ("london-2013", "16.7256")):
        file, blob = _tariff(name)
        for k in CONSTANTS:
            for factor in ("0.98", "1.02"):
                speed = Fraction(kmh) * Fraction(factor)
                for side in ("from below", "from above"):
                    trip = Trip(blob, k, _utc(file), calls=[10])
                    trip.wait(20) if side == "from below" else trip.drive(600, 50)
                    trip.drive(900, speed)
                    what = f"{name}, k {k}, {float(speed):.2f} km/h {side}"
                    plan.append((what, file, trip))
    results = run_trips([trip for _, _, trip in plan], runtime)
    found = []
    for (what, file, trip), got in zip(plan, results, strict=True):
        ref = reference(file, trip)
        slow = Fraction(got["slow_ms"], 1000)
        found.append(_read("threshold", what, ref.slow_s, slow, _time_limit(ref.hired_s), "s"))
    return found


def fares(runtime: str) -> list[Reading]:
    """fare: every tariff on a mixed trip, four of them on the WLTC"""
    plan = []
    points = read_trace(WLTC)
    for name in names():
        try:
            file, blob = _tariff(name)
        except TariffFileError:
            continue  # a template
        mixed = Trip(blob, 531, _utc(file), calls=[10])
        mixed.drive(7000, 60).wait(200).drive(300, 7).drive(4000, 45).wait(45)
        plan.append((f"{name}, mixed trip", file, mixed))
        if name in ("hefei", "hong-kong-urban-2022", "london-2013", "tokyo-2022"):
            for k in (531, 1000):
                trip = Trip(blob, k, _utc(file), calls=[10]).trace(points)
                plan.append((f"{name}, WLTC, k {k}", file, trip))
    results = run_trips([trip for _, _, trip in plan], runtime)
    found = []
    for (what, file, trip), got in zip(plan, results, strict=True):
        ref = Fraction(reference(file, trip).fare)
        digit = max(min(row[7] for row in file.distances), file.round_to)
        limit = max(ref / 1000, Fraction(digit))
        found.append(_read("fare", what, ref, Fraction(got["fare"]), limit, "minor units"))
    return found


def sampling(runtime: str) -> dict[str, list[dict[str, Any]]]:
    """sampling: the WLTC under different ways of calling"""
    points = read_trace(WLTC)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in ("hefei", "hong-kong-urban-2022"):
        file, blob = _tariff(name)
        trips = [
            Trip(blob, 4000, _utc(file), calls=calls).trace(points) for calls in SAMPLINGS.values()
        ]
        found[name] = [
            {"sampling": how, "fare_minor": got["fare"], "slow_ms": got["slow_ms"]}
            for how, got in zip(SAMPLINGS, run_trips(trips, runtime), strict=True)
        ]
    return found
