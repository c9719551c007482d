"""`flagfall verify`: the meter tested as an inspector would, with errors beside their limits."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flagfall_host.metering.report import write_report
from flagfall_host.metering.verification import verify as run_verification


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write an HTML report with plots.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="micropython or cpython.")] = "micropython",
) -> None:
    """Test distance, time, clock, threshold and fare; exit 1 if an error exceeds its limit."""
    notes = Console(stderr=True)
    outcome = run_verification(lambda text: notes.print(f"testing {text}"), runtime)
    if output:
        write_report(outcome, output)
    if as_json:
        typer.echo(json.dumps(outcome))
    else:
        _show(outcome)
        if output:
            typer.echo(f"{output}: written")
    if not outcome["passed"]:
        raise typer.Exit(1)


def _show(outcome: dict) -> None:
    table = Table("test", "number", "largest error", "limit (MID IX)", "part of it", "goal met")
    for row in outcome["sections"]:
        table.add_row(
            row["section"],
            str(row["tests"]),
            f"{row['largest_error']:.4g} {row['unit']}",
            f"{row['limit']:.4g} {row['unit']}",
            f"{row['share_of_limit']:.3f}",
            "yes" if row["goal_met"] else "no",
        )
    Console().print(table)
    for row in outcome["sections"]:
        if not row["goal_met"]:
            typer.echo(f"{row['section']}: above a tenth of the limit at {row['worst']}")
    same = "the same" if outcome["sampling_independent"] else "NOT the same"
    typer.echo(f"the fare of the WLTC is {same} however advance is called")
