"""`flagfall bench tap`: one tap of a bench card, and where its time goes."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from flagfall_host.bench.rf_time import CARD, LINK, RF, TERMINAL
from flagfall_host.bench.tap import TapResult, run_tap
from flagfall_host.errors import FlagfallError


class ChartFailed(FlagfallError):
    """The picture could not be written."""


def tap(
    card: Annotated[str, typer.Option(help="A card of `flagfall emv cards`.")] = "ecash",
    chip: Annotated[
        Literal["pn532", "mfrc522", "fm175xx"], typer.Option(help="The reader's chip.")
    ] = "pn532",
    profile: Annotated[
        Literal["ecash", "oda"], typer.Option(help="Offline purse, or transit ODA.")
    ] = "ecash",
    kind: Annotated[
        Literal["A", "B"], typer.Option("--type", help="The card's ISO/IEC 14443 type.")
    ] = "A",
    chart: Annotated[Path | None, typer.Option(help="Write a waterfall to this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tap a simulated card with the unit's own driver and kernel, in modelled time.

    Example: flagfall bench tap --card ecash-8-reads --chip fm175xx --type B --chart tap.png
    \f
    Raises NoSuchCard, ChipCannot, ChartFailed.
    """
    result = run_tap(card, chip, profile, kind=kind)
    if chart is not None:
        from flagfall_host.bench.tap_chart import draw

        try:
            draw(result, chart)
        except (OSError, ValueError) as e:
            raise ChartFailed(f"cannot write the chart {chart}: {e}; give another --chart") from e
    if as_json:
        typer.echo(json.dumps(result.as_json()))
        return
    show(result, chart)


def show(result: TapResult, chart: Path | None) -> None:
    """The tap for people."""
    console = Console(highlight=False)
    console.print(f"{result.outcome} ({result.reason}): {result.message}")
    console.print(f"{result.apdus} APDUs, {result.records} records in the card's list")
    table = Table(title=f"{result.card}, {result.chip}, {result.profile}: modelled time")
    table.add_column("what")
    table.add_column("ms", justify="right")
    table.add_row("air, 106 kbit/s", _ms(result.sum_us(RF)))
    table.add_row("card (assumed)", _ms(result.sum_us(CARD)), end_section=True)
    table.add_row("floor: air and card", _ms(result.floor_us))
    share = f" ({100 * result.own_us / result.floor_us:.0f} % of it)" if result.floor_us else ""
    table.add_row("added by the unit" + share, _ms(result.own_us), end_section=True)
    table.add_row('from field to "take your card"', _ms(result.card_us), style="bold")
    table.add_row("to the verdict in flash", _ms(result.total_us))
    table.add_row("unit's work, in part beside the card's", _ms(result.sum_us(TERMINAL)))
    table.add_row("its wire to the reader chip", _ms(result.sum_us(LINK)))
    console.print(table)
    if chart is not None:
        console.print(f"waterfall: {chart}")


def _ms(us: float) -> str:
    return f"{us / 1000:.1f}"
