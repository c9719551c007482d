"""`flagfall close`: the office's evening in one command."""

from pathlib import Path
from typing import Annotated

import typer
from flagfall.receipt import money
from rich.console import Console
from rich.progress import Progress

from flagfall_host.acquirer.client import Acquirer
from flagfall_host.acquirer.report import upload_words
from flagfall_host.cli.acquirer_options import asks_acquirer
from flagfall_host.cli.options import TimeZone
from flagfall_host.cli.report import Company, Out, of_day
from flagfall_host.ledger import Ledger
from flagfall_host.reports.span import day, zone


@asks_acquirer
def close(
    acquirer: Acquirer,
    ledger: str,
    date: Annotated[
        str | None, typer.Argument(metavar="DATE", help="The report's day; default today.")
    ] = None,
    output: Out = None,
    timezone: TimeZone = "UTC",
    company: Company = "",
) -> None:
    """Close the day: sign in, upload every tap, settle, look for exceptions, write the report.

    Pull the units first. Safe to repeat: what is done stays done. The report is written even if
    the acquirer cannot be reached. Exit 1 if something waits for a person.
    """
    with Ledger.open(ledger, create=False) as book:
        which = day(date, zone(timezone), book.now())  # before anything is sent
    waits = False
    try:
        typer.echo(f"signed in: batch {acquirer.sign_in()}")
        screen = Console(stderr=True)
        with Progress(transient=True, console=screen, disable=not screen.is_terminal) as bar:
            task = bar.add_task("upload", total=None)
            result = acquirer.upload(
                lambda done, of: bar.update(task, completed=done, total=of), None
            )
        typer.echo(upload_words(result))
        batches = acquirer.settle_all()
        for batch in batches:
            how = "" if batch.balanced else "; the totals did not balance, so each tap was told"
            amount = money(batch.amount)
            typer.echo(f"settled: batch {batch.batch}, {batch.count} taps, {amount}{how}")
        if not batches:
            typer.echo("nothing to settle")
        waits = bool(result.refused or result.unreadable)
        waits = waits or not all(batch.balanced for batch in batches)
    finally:
        page = output or Path(f"day-{which}.html")
        of_day(which.isoformat(), page, ledger, timezone, company)
    with Ledger.open(ledger, create=False) as book:
        matters = book.matters()
    for finding in matters[:20]:
        typer.echo(f"to look into: {finding}")
    if len(matters) > 20:
        typer.echo(f"and {len(matters) - 20} more: `flagfall ledger check`")
    if waits or matters:
        raise typer.Exit(1)
