"""`flagfall report`: pages for the fleet office, each one HTML file."""

import datetime
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flagfall_host.cli.options import LEDGER, Json, LedgerPlace, TimeZone
from flagfall_host.ledger import Ledger, period
from flagfall_host.reports.span import ReportError, Span, day, local, zone

app = typer.Typer(help="Reports as HTML pages: a day, a shift, a unit.", no_args_is_help=True)

Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="The HTML file to write.", show_default="by what it is of"),
]
Company = Annotated[
    str, typer.Option(help="The name at the head of the page.", envvar="FLAGFALL_COMPANY")
]
_UNIT_DAYS = 30


@app.command("day")
def of_day(
    date: Annotated[
        str | None,
        typer.Argument(metavar="DATE", help="YYYY-MM-DD, today or yesterday; default today."),
    ] = None,
    output: Out = None,
    ledger: LedgerPlace = LEDGER,
    timezone: TimeZone = "UTC",
    company: Company = "",
    as_json: Json = False,
) -> None:
    """A day of the fleet: takings by unit and shift, taps, money that waits, exceptions."""
    with Ledger.open(ledger, create=False) as book:
        where = zone(timezone)
        which = day(date, where, book.now())
        figures = _collect(book, Span(which, which, where), None)
    head = {"kind": "day", "title": _long(which), "subtitle": "", "company": company}
    _hand_out(head | figures, output or Path(f"day-{which}.html"), as_json)


@app.command("unit")
def of_unit(
    unit: Annotated[str, typer.Argument(help="The unit's id.")],
    output: Out = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="The first day.", show_default="29 days before")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="The last day; default today.")] = None,
    ledger: LedgerPlace = LEDGER,
    timezone: TimeZone = "UTC",
    company: Company = "",
    as_json: Json = False,
) -> None:
    """One unit over some days: takings, every trip, its money and its exceptions."""
    with Ledger.open(ledger, create=False) as book:
        where = zone(timezone)
        last = day(end, where, book.now())
        first = last - datetime.timedelta(days=_UNIT_DAYS - 1)
        if begin is not None:
            first = day(begin, where, book.now())
        if first > last:
            raise ReportError(f"--from {first} is after --to {last}")
        figures = _collect(book, Span(first, last, where), unit)
    head = {
        "kind": "unit",
        "title": f"Unit {unit}",
        "subtitle": f"{_long(first)} to {_long(last)}",
        "company": company,
    }
    _hand_out(head | figures, output or Path(f"unit-{unit}.html"), as_json)


@app.command("shift")
def of_shift(
    unit: Annotated[str, typer.Argument(help="The unit's id.")],
    shift: Annotated[
        int | None, typer.Argument(metavar="SHIFT", help="Its number; default the last one.")
    ] = None,
    output: Out = None,
    ledger: LedgerPlace = LEDGER,
    timezone: TimeZone = "UTC",
    company: Company = "",
    as_json: Json = False,
) -> None:
    """One driver's shift: every trip, the cash to hand in, and whether the unit's sums agree."""
    with Ledger.open(ledger, create=False) as book:
        where = zone(timezone)
        with book.reading() as connection:
            known = period.shifts(connection, unit)
            newest = period.newest_time(connection, unit)
        found = next((s for s in reversed(known) if shift in (None, s["shift"])), None)
        if found is None:
            numbers = ", ".join(str(s["shift"]) for s in known[-20:]) or "none"
            raise ReportError(f"{unit} has no such shift in the ledger; the last ones: {numbers}")
        begin, over = found["begin"], found["end"]
        # A shift that goes on has all that its unit has noted, be its clock ahead of this one.
        end = over["time"] if over else max(book.now(), newest)
        span = Span(
            local(begin["time"], where).date(),
            local(end, where).date(),
            where,
            (begin["time"], end + 1),
        )
        figures = _collect(book, span, unit)
    figures["shifts"] = [s for s in figures["shifts"] if s["shift"] == found["shift"]]
    number = found["shift"]
    head = {
        "kind": "shift",
        "title": f"Shift {number} of {unit}",
        "subtitle": f"driver {found['driver']}, {_long(span.first)}",
        "company": company,
    }
    _hand_out(head | figures, output or Path(f"shift-{unit}-{number}.html"), as_json)


def _collect(book: Ledger, span: Span, unit: str | None) -> dict[str, Any]:
    from flagfall_host.reports.figures import Figures

    return Figures(book, span, unit).collect()


def _hand_out(figures: dict[str, Any], output: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(figures))
        return
    from flagfall_host.reports.page import write

    write(figures, output)
    totals, matters = figures["totals"], figures["exceptions"]["count"]
    looked = f"{matters} to look into" if matters else "nothing to look into"
    typer.echo(f"{output}: {totals['trips']} trips, {totals['taps_approved']} taps, {looked}")


def _long(date: datetime.date) -> str:
    return f"{date:%A}, {date.day} {date:%B} {date.year}"
