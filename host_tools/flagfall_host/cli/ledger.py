"""`flagfall ledger`: what the office has, and whether it is true."""

import csv
import getpass
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from flagfall.link.proof import journal_key
from flagfall.receipt import currency_code
from flagfall.receipt import money as shown
from rich.console import Console
from rich.table import Table

from flagfall_host.cli.options import LEDGER, Json, LedgerPlace, TimeZone
from flagfall_host.cli.passphrase import unlock
from flagfall_host.depot.fleet import Fleet
from flagfall_host.ledger import Ledger, LedgerError, money
from flagfall_host.ledger.decisions import WAYS_OUT
from flagfall_host.ledger.listing import LISTS
from flagfall_host.reports.span import Span, zone
from flagfall_host.reports.span import day as a_day

app = typer.Typer(help="Look into the ledger.", no_args_is_help=True)

Unit = Annotated[str | None, typer.Option(help="One unit only.")]
What = Annotated[str, typer.Argument(help=f"One of {', '.join(LISTS)}.")]
# What of a list is shown on a screen, as far as it has so much; JSON and CSV hold every column.
_COLUMNS = {
    "trips": "unit_id seq start_time trip shift distance_mm fare supplements paid "
    "discount campaign",
    "payments": "unit_id seq time trip amount outcome last_digits reason",
    "shifts": "unit_id seq time shift event trips fares card_amount driver",
    "totals": "unit_id seq time hirings fares supplements card_payments card_amount",
    "events": "unit_id seq time code text",
    "money": "unit_id seq amount state batch stan why",
    "moves": "unit_id seq at was state why",
    "damages": "unit_id first_seq last_seq address accepted booked_at",
    "refusals": "unit_id epoch seq reason refused_at",
    "settlements": "terminal_id batch payments amount state changed_at",
    "decisions": "at who decision unit_id first_seq kind about why",
}
_MONEY = {"amount", "fare", "fares", "supplements", "card_amount", "discount"}
_WORDS = {
    "paid": {0: "unpaid", 1: "cash", 2: "card"},
    "outcome": {
        1: "approved",
        2: "declined",
        3: "torn",
        4: "torn, debited",
        5: "torn, not debited",
        6: "torn, given up",
    },
    "event": {1: "sign-in", 2: "sign-out"},
    "accepted": {0: "no", 1: "yes"},
}
_WIDE = 200  # columns where there is no terminal to ask
Seq = Annotated[int, typer.Argument(help="The record's number.")]
UnitId = Annotated[str, typer.Argument(help="The unit's id.")]
Day = Annotated[str | None, typer.Option(help="Only YYYY-MM-DD, today or yesterday.")]
Why = Annotated[str, typer.Option(help="The reason; it is kept.", prompt="Why")]
Who = Annotated[str, typer.Option(help="Who decides; it is kept.", show_default="your login name")]
_LIMIT = 50  # rows shown on a screen unless more are asked for


def _within(book: Ledger, which: str | None, timezone: str) -> tuple[int, int] | None:
    if which is None:
        return None
    where = zone(timezone)
    date = a_day(which, where, book.now())
    return Span(date, date, where).within


def _open(where: str) -> Ledger:
    return Ledger.open(where, create=False)


def _known(what: str) -> str:
    if what not in LISTS:
        raise LedgerError(f"the ledger has no list {what!r}: one of {', '.join(LISTS)}")
    return what


@app.command()
def status(ledger: LedgerPlace = LEDGER, unit: Unit = None, as_json: Json = False) -> None:
    """What it all adds up to: trips, fares, card money by the state it is in."""
    with _open(ledger) as book:
        result = book.summary(unit)
        units = [u for u in book.units() if unit in (None, u["unit"])]
    if as_json:
        typer.echo(json.dumps({**result, "by_unit": units}))
        return
    table = Table(box=None, show_header=False)
    for name in ("units", "records", "trips"):
        table.add_row(name, str(result[name]))
    if result["currency"]:
        table.add_row("currency", currency_code(result["currency"]))
    for name in ("fares", "supplements", "cash", "unpaid"):
        table.add_row(name, shown(result[name]))
    table.add_row("card", f"{shown(result['card_amount'])} in {result['card_payments']} taps")
    if result["campaigns"]:
        table.add_row("campaigns pay", shown(result["campaigns"]))
    for state in money.STATES:
        if state in result["states"]:
            count, amount = result["states"][state]
            table.add_row(f"  {state}", f"{shown(amount)} in {count}")
    for name in ("torn_open", "damaged", "refused"):
        if result[name]:
            table.add_row(name.replace("_", " "), f"{result[name]}: see `flagfall ledger check`")
    _console().print(table)
    for u in units:
        if u["complete_up_to"] < u["newest_record"]:
            typer.echo(
                f"{u['unit']}: complete up to record {u['complete_up_to']} of "
                f"{u['newest_record']}: pull it again"
            )


@app.command("list")
def list_rows(
    what: What = "payments",
    ledger: LedgerPlace = LEDGER,
    unit: Unit = None,
    day: Day = None,
    timezone: TimeZone = "UTC",
    limit: Annotated[int, typer.Option(help="At most so many rows; 0: all.", min=0)] = _LIMIT,
    as_json: Json = False,
) -> None:
    """The rows of one kind, oldest first; of a card only the last four digits."""
    with _open(ledger) as book:
        rows = list(
            islice(
                book.rows(_known(what), unit, _within(book, day, timezone)),
                limit + 1 if limit else None,
            )
        )
    more = bool(limit) and len(rows) > limit
    rows = rows[:limit] if limit else rows
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo(f"no {what}")
        return
    names = _COLUMNS[what].split()
    table = Table(*(name.replace("_", " ") for name in names), box=None)
    for row in rows:
        table.add_row(*(_cell(name, row[name]) for name in names))
    _console().print(table)
    if more:
        typer.echo(
            f"and more: --day DATE shows a day's, --limit 0 all; `flagfall ledger export {what} "
            "FILE` keeps them"
        )


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _MONEY:
        return shown(value)
    return str(_WORDS.get(name, {}).get(value, value))


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


@app.command()
def show(
    unit: UnitId,
    seq: Seq,
    ledger: LedgerPlace = LEDGER,
    as_json: Json = False,
) -> None:
    """One record: what it says, and what became of its money."""
    with _open(ledger) as book:
        found = book.record(unit, seq)
    if not found:
        raise LedgerError(
            f"{unit} record {seq}: not in the ledger; `flagfall ledger check` says why"
        )
    if as_json:
        typer.echo(json.dumps(found))
        return
    for record in found:
        _print(record, "")


def _print(fields: dict[str, Any], indent: str) -> None:
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        if isinstance(value, dict):
            typer.echo(f"{indent}{name}")
            _print(value, indent + "  ")
        elif isinstance(value, list):
            typer.echo(f"{indent}{name}")
            for line in value:
                typer.echo(f"{indent}  {line}")
        else:
            typer.echo(f"{indent}{name:{width}}  {_cell(name, value)}")


@app.command()
def export(
    what: What,
    file: Annotated[Path, typer.Argument(help="A CSV file to make; - for stdout.")],
    ledger: LedgerPlace = LEDGER,
    unit: Unit = None,
    day: Day = None,
    timezone: TimeZone = "UTC",
) -> None:
    """All rows of one kind as CSV (UTF-8, a header line, amounts in minor units)."""
    with _open(ledger) as book:
        rows = book.rows(_known(what), unit, _within(book, day, timezone))
        if str(file) == "-":
            _write(sys.stdout, rows)
            return
        try:
            with file.open("x", encoding="utf-8", newline="") as f:
                written = _write(f, rows)
        except OSError as e:
            raise LedgerError(f"{file}: cannot be made: {e.strerror}") from e
    typer.echo(f"{written} {what} in {file}")


def _write(file: Any, rows: Any) -> int:
    out, written = csv.writer(file), 0
    for row in rows:
        if not written:
            out.writerow(row)
        out.writerow(row.values())
        written += 1
    return written


@app.command()
def check(
    ledger: LedgerPlace = LEDGER,
    unit: Unit = None,
    fleet: Annotated[
        Path | None,
        typer.Option(
            help="The fleet folder: prove every MAC too.", envvar="FLAGFALL_FLEET", callback=unlock
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Those too that somebody has acknowledged.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove the ledger: chains whole or gaps named, sums agree, no money in two places.

    Exit 1 if something does not fit. What has been looked into is taken off the list by
    `flagfall ledger acknowledge`, disputed money by `flagfall ledger resolve`.
    """
    keys = Fleet.open(fleet) if fleet else None
    with _open(ledger) as book:
        findings = book.check(
            unit,
            (lambda unit_id: journal_key(keys.unit_key(unit_id))) if keys else None,
            acknowledged=every,
        )
    if as_json:
        typer.echo(json.dumps([f.as_dict() for f in findings]))
    else:
        for finding in findings:
            typer.echo(str(finding))
        if not findings:
            typer.echo("nothing is missing and every sum agrees")
    if findings:
        raise typer.Exit(1)


@app.command()
def acknowledge(
    unit: Annotated[str, typer.Argument(help="The unit's id, or for a batch the terminal's.")],
    seq: Seq,
    why: Why,
    who: Who = "",
    kind: Annotated[
        str | None, typer.Option(help="Only findings of this kind, such as gap.")
    ] = None,
    ledger: LedgerPlace = LEDGER,
) -> None:
    """Note that an exception was looked into: `check` and the reports stop naming it.

    Who, when and why stay in the ledger: `flagfall ledger list decisions`.
    """
    with _open(ledger) as book:
        names = {u["unit"] for u in book.units()}
        found = [
            f
            for f in book.check(unit if unit in names else None)
            if f.unit_id == unit and f.first_seq <= seq <= f.last_seq and kind in (None, f.kind)
        ]
        if not found:
            raise LedgerError(
                f"{unit} record {seq}: nothing to acknowledge; `flagfall ledger check` names all"
            )
        book.acknowledge(found, who or getpass.getuser(), why)
    for f in found:
        typer.echo(f"acknowledged: {f}")


@app.command()
def dispute(unit: UnitId, seq: Seq, why: Why, who: Who = "", ledger: LedgerPlace = LEDGER) -> None:
    """Put a payment's money under dispute, after a complaint."""
    with _open(ledger) as book:
        row = book.dispute(unit, seq, who or getpass.getuser(), why)
    amount = shown(row["amount"])
    typer.echo(f"{unit} record {seq}: {amount} was {row['state']}, is disputed now")
    typer.echo("`flagfall ledger resolve` says how it ended")


@app.command()
def resolve(
    unit: UnitId,
    seq: Seq,
    to: Annotated[
        str,
        typer.Option(help="; ".join(f"{state}: {what}" for state, what in WAYS_OUT.items()) + "."),
    ],
    why: Why,
    who: Who = "",
    ledger: LedgerPlace = LEDGER,
) -> None:
    """Say how a dispute ended: where its money goes, who says so, and why."""
    with _open(ledger) as book:
        row = book.resolve(unit, seq, to, who or getpass.getuser(), why)
    typer.echo(f"{unit} record {seq}: {shown(row['amount'])} was disputed, is {to} now")
    if to == money.CAPTURED:
        typer.echo("the next `flagfall acquirer upload` takes it along")


@app.command()
def copy(
    target: Annotated[
        str, typer.Argument(metavar="TO", help="An empty database: a file or postgresql://...")
    ],
    ledger: LedgerPlace = LEDGER,
    as_json: Json = False,
) -> None:
    """Copy the whole ledger into another database: from a file into PostgreSQL, or back.

    Stop the pulls and gateways that write to it first: what is booked meanwhile is not copied.
    """
    from flagfall_host.ledger.copying import copy_ledger

    console = Console(stderr=True)
    with (
        Ledger.open(ledger, create=False) as source,
        Ledger.open(target) as empty,
        console.status("copying") as status,
    ):
        counts = copy_ledger(source, empty, lambda name, n: status.update(f"{name}: {n} rows"))
    if as_json:
        typer.echo(json.dumps(counts))
        return
    rows = sum(counts.values())
    typer.echo(
        f"copied {counts['records']} records of {counts['units']} units, {rows} rows in all"
    )
