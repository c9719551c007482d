"""`flagfall ledger`: what the office has."""

import json
from typing import Annotated

import typer
from flagfall.receipt import money as shown
from rich.console import Console
from rich.table import Table

from flagfall_host.ledger import Ledger, money
from flagfall_host.ledger.listing import LISTS

app = typer.Typer(help="Look into the ledger.", no_args_is_help=True)

Where = Annotated[
    str, typer.Option("--ledger", help="The ledger's file or URL.", envvar="FLAGFALL_LEDGER")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Unit = Annotated[str | None, typer.Option(help="One unit only.")]
_DEFAULT = "ledger.sqlite"


@app.command()
def status(ledger: Where = _DEFAULT, unit: Unit = None, as_json: Json = False) -> None:
    """What it all adds up to: trips, fares, card money by the state it is in."""
    with Ledger.open(ledger) as book:
        result = book.summary(unit)
    if as_json:
        typer.echo(json.dumps(result))
        return
    table = Table(box=None, show_header=False)
    for name in ("units", "records", "trips"):
        table.add_row(name, str(result[name]))
    for name in ("fares", "supplements", "cash", "unpaid"):
        table.add_row(name, shown(result[name]))
    table.add_row("card", f"{shown(result['card_amount'])} in {result['card_payments']} taps")
    for state in money.STATES:
        if state in result["states"]:
            count, amount = result["states"][state]
            table.add_row(f"  {state}", f"{shown(amount)} in {count}")
    for name in ("torn_open", "damaged", "refused"):
        if result[name]:
            table.add_row(name.replace("_", " "), f"{result[name]}: see `flagfall ledger check`")
    Console().print(table)


@app.command("list")
def list_rows(
    what: Annotated[str, typer.Argument(help=f"One of {', '.join(LISTS)}.")] = "payments",
    ledger: Where = _DEFAULT,
    unit: Unit = None,
    as_json: Json = False,
) -> None:
    """The rows of one kind, oldest first; of a card only the last four digits."""
    if what not in LISTS:
        raise typer.BadParameter(f"{what}: one of {', '.join(LISTS)}")
    with Ledger.open(ledger) as book:
        rows = list(book.rows(what, unit))
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo(f"no {what}")
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


@app.command()
def check(ledger: Where = _DEFAULT, unit: Unit = None, as_json: Json = False) -> None:
    """Prove the ledger: no gap, no broken chain, sums equal to the units' own totals.

    Exit 1 if something does not fit.
    """
    with Ledger.open(ledger) as book:
        findings = book.check(unit)
    if as_json:
        typer.echo(json.dumps([f.as_dict() for f in findings]))
    else:
        for finding in findings:
            typer.echo(str(finding))
        if not findings:
            typer.echo("nothing is missing and every sum agrees")
    if findings:
        raise typer.Exit(1)
