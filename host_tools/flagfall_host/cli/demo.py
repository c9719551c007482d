"""`flagfall demo`: one driver's shift on a simulated unit, from hire to settlement."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from flagfall_host.bench.demo import Evening, json_line, play
from flagfall_host.bench.stage import Plain, Screen, Silent, Stage
from flagfall_host.depot.languages import ENGLISH, names

_FACTOR = 20.0  # times faster than life, when somebody watches


def demo(
    seed: Annotated[int, typer.Option(help="Fixes everything left to chance.")] = 1,
    folder: Annotated[
        Path, typer.Option(help="Where receipts, flash, ledger and book are left; emptied first.")
    ] = Path("build/demo"),
    factor: Annotated[
        float | None,
        typer.Option(
            min=0, max=20, help="Times faster than life; 0: as fast as the unit can follow."
        ),
    ] = None,
    uplink: Annotated[
        bool, typer.Option("--uplink", help="Upload by 4G to a gateway instead of the cable.")
    ] = False,
    language: Annotated[
        str, typer.Option(help=f"What the unit speaks and prints: {', '.join(names())}.")
    ] = ENGLISH,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Play a shift: three trips, two taps, a torn card, a loss of power, and the settlement.

    The real firmware runs in the real MicroPython. Exit 0 only if unit, ledger and acquirer agree
    to the fen.
    """

    def shift(stage: Stage, pace: float) -> Evening:
        return play(folder, seed, stage, factor=pace, uplink=uplink, language=language)

    if as_json:
        typer.echo(json_line(shift(Silent(), factor or 0)))
        return
    if sys.stdout.isatty():
        screen = Screen()
        with screen.running():
            pace = _FACTOR if factor is None else factor
            evening = shift(screen, pace)
    else:
        evening = shift(Plain(), factor or 0)
        typer.echo("")
    typer.echo(
        f"left in {folder}: {len(evening.receipts)} receipts in taxi/receipts, "
        "taxi/journal.flash, ledger.sqlite, acquirer.sqlite"
    )
    typer.echo(evening.closing_line())
