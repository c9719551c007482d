"""`flagfall tariff`: list, check, compile and chart city tariffs."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flagfall_host.tariffs import catalogue
from flagfall_host.tariffs.chart import draw_chart
from flagfall_host.tariffs.compiler import compile_text
from flagfall_host.tariffs.errors import TariffFileError
from flagfall_host.tariffs.schema import read_tariff
from flagfall_host.tariffs.tariff_file import TariffFile

app = typer.Typer(help="City tariffs as data.", no_args_is_help=True)

MODE_NAMES = ("S", "D", "partial-D", "waiting")
TariffArgument = Annotated[str, typer.Argument(help="A name from the list, or a file.")]


@app.command("list")
def list_tariffs(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List the tariffs that come with the project."""
    rows = [_summary(name) for name in catalogue.names()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        begins, currency, mode, marks = row["from"], row["currency"], row["mode"], row["certainty"]
        typer.echo(f"{row['name']:<31}{currency:<4}{mode:<10}{begins:<11}{marks:<4}{row['title']}")
    typer.echo("V verified, S read in a secondary source, U unverified: see each file")


def _summary(name: str) -> dict[str, str | int]:
    _, text = catalogue.tariff_text(name)
    try:
        file = read_tariff(text, name)
    except TariffFileError:
        blank: dict[str, str | int] = dict.fromkeys(("from", "currency", "mode", "certainty"), "")
        blank["bytes"] = 0
        return {"name": name, "title": "template, to be filled in by its operator", **blank}
    return {
        "name": name,
        "title": file.title,
        "from": f"{file.valid_from:%Y-%m-%d}" if file.valid_from else "",
        "currency": file.currency,
        "mode": MODE_NAMES[file.mode],
        "certainty": "".join(c for c in "VSU" if c in file.certainties),
        "bytes": len(compile_text(text, name)),
    }


@app.command()
def check(tariff: TariffArgument) -> None:
    """Check a tariff file: each error with its line and the rule it breaks."""
    name, text = catalogue.tariff_text(tariff)
    try:
        file = read_tariff(text, name)
        blob = compile_text(text, name)
    except TariffFileError as e:
        for problem in e.problems:
            typer.echo(f"{tariff}:{problem.line}: {problem.text} [{problem.rule}]", err=True)
        count = len(e.problems)
        typer.echo(f"{count} problem{'s' if count > 1 else ''}; see docs/tariffs.md", err=True)
        raise typer.Exit(1) from e
    typer.echo(f"{tariff}: good; {len(blob)} bytes compiled")
    _say_certainty(file)


def _say_certainty(file: TariffFile) -> None:
    if "U" in file.certainties:
        typer.echo("some figures are marked U (unverified): check them before relying on it")


@app.command("compile")
def compile_(
    tariff: TariffArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write the form.")],
) -> None:
    """Write the compiled form that a unit loads."""
    name, text = catalogue.tariff_text(tariff)
    blob = compile_text(text, name)
    output.write_bytes(blob)
    typer.echo(f"{output}: {len(blob)} bytes")


@app.command()
def chart(
    tariff: TariffArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="The PNG to write.")],
) -> None:
    """Draw the fare over distance by day and night, and over waiting time."""
    name, text = catalogue.tariff_text(tariff)
    draw_chart(read_tariff(text, name), compile_text(text, name), output)
    typer.echo(f"{output}: written")
