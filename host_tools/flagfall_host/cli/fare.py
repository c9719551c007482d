"""`flagfall fare`: one trip through the firmware's own engine, and how its fare came about."""

import datetime
import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flagfall_host.metering.errors import TripError
from flagfall_host.metering.fare_account import account, clock, money
from flagfall_host.metering.trips import Trip, read_trace, run_trips
from flagfall_host.tariffs.catalogue import tariff_text
from flagfall_host.tariffs.compiler import compile_text
from flagfall_host.tariffs.schema import read_tariff
from flagfall_host.tariffs.tariff_file import TariffFile

DEFAULT_START = "2026-06-03T12:00:00"  # a Wednesday


def fare(
    tariff: Annotated[str, typer.Argument(help="A name from `flagfall tariff list`, or a file.")],
    distance_m: Annotated[str, typer.Option(help="Metres, driven at 50 km/h.")] = "0",
    wait_s: Annotated[str, typer.Option(help="Seconds, stood still after the drive.")] = "0",
    trace: Annotated[Path | None, typer.Option(help="CSV with t_s and speed_kmh.")] = None,
    k: Annotated[int, typer.Option(help="Pulses a kilometre, 100 to 65535.")] = 10_000,
    start: Annotated[
        str, typer.Option(help="ISO 8601; without an offset it is the tariff's local time.")
    ] = DEFAULT_START,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the tariff, e.g. one-way; repeatable."),
    ] = None,
    supplement: Annotated[
        list[str] | None, typer.Option(help="A supplement of the tariff by name; repeatable.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="micropython or cpython.")] = "micropython",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a trip through the firmware's taximeter and print how its fare came about."""
    name, text = tariff_text(tariff)
    file = read_tariff(text, name)
    trip = Trip(compile_text(text, name), k, start_utc(file, start))
    trip.options = option_mask(file, option or [])
    trip.supplements = sum(supplement_of(file, s) for s in supplement or [])
    if trace:
        trip.trace(read_trace(trace))
    trip.drive(number(distance_m, "--distance-m")).wait(number(wait_s, "--wait-s"))
    (result,) = run_trips([trip], runtime)
    told = account(file, result, trip.options, k)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        show(file, told)


def number(text: str, name: str) -> Fraction:
    """A decimal given by the user, exactly."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as e:
        raise TripError(f"{name} must be a number, not {text!r}") from e


def option_mask(tariff: TariffFile, names: list[str]) -> int:
    mask = 0
    for name in names:
        if name not in tariff.options:
            known = ", ".join(tariff.options) or "none"
            raise TripError(f"{tariff.name} has no option {name!r}; it has: {known}")
        mask |= 1 << tariff.options.index(name)
    return mask


def supplement_of(tariff: TariffFile, name: str) -> int:
    if name not in tariff.supplements:
        known = ", ".join(tariff.supplements) or "none"
        raise TripError(f"{tariff.name} has no supplement {name!r}; it has: {known}")
    return tariff.supplements[name]


def start_utc(tariff: TariffFile, start: str) -> int:
    """UTC seconds since 2000 of an ISO 8601 time. Without an offset: local standard time."""
    try:
        when = datetime.datetime.fromisoformat(start)
    except ValueError as e:
        raise TripError(f"--start must be like 2026-06-03T22:30, not {start!r}") from e
    epoch = datetime.datetime(2000, 1, 1)
    if when.tzinfo:
        seconds = int((when - epoch.replace(tzinfo=datetime.UTC)).total_seconds())
    else:
        local = tariff.local_time()
        seconds = int((when - epoch).total_seconds()) - tariff.utc_offset_min * 60
        if seconds >= 0:
            seconds -= local.offset_s(seconds) - tariff.utc_offset_min * 60
    if not 0 <= seconds < 1 << 32:
        raise TripError("--start must be between 2000 and 2136")
    return seconds


def show(tariff: TariffFile, told: dict) -> None:
    """The account for people."""
    digits = tariff.minor_digits
    table = Table(title=f"{tariff.title} ({tariff.name})", show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    table.add_row("distance", f"{told['distance_m'] / 1000:.3f} km")
    table.add_row("hired", clock(told["hired_ms"]))
    table.add_row("below the threshold", clock(told["slow_ms"]), end_section=True)
    table.add_row("flagfall", money(told["flagfall_minor"], digits))
    table.add_row(f"{told['jumps']} steps", money(told["steps_minor"], digits))
    for row in told["surcharges"]:
        if "percent" in row:
            why = " and ".join(row["why"]) or "always"
            what = ", ".join(row["on"])
            table.add_row(f"  {why}: {row['percent']:+d} % on {what}", "included")
        elif row["in"] == "fare":
            table.add_row(f"fee: {row['fee']}", money(row["amount_minor"], digits))
    if told["discount_and_rounding_minor"]:
        table.add_row("discount, rounding", money(told["discount_and_rounding_minor"], digits))
    fare_text = f"{tariff.currency} {money(told['fare_minor'], digits)}"
    table.add_row("fare", fare_text, style="bold")
    if told["supplements_minor"]:
        table.add_row("supplements", money(told["supplements_minor"], digits))
        table.add_row("total", money(told["total_minor"], digits))
    console = Console()
    console.print(table)
    console.print(f"metered by the firmware's engine on {told['runtime']}, k = {told['k']}")
    for code, value in told["faults"]:
        console.print(f"fault {code} noticed: {value} not charged")
