"""`flagfall simulate`: the whole system under every fault, from one seed."""

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flagfall_host.errors import FlagfallError


class SimulationFailed(FlagfallError):
    """Something happened that must never happen."""

    exit_code = 4


def simulate(
    seed: Annotated[int, typer.Option(help="The first seed.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, one after the other.")] = 1,
    units: Annotated[int, typer.Option(min=1, max=50, help="Taxis in the city.")] = 3,
    hours: Annotated[
        float, typer.Option(min=0.1, max=48, help="Simulated hours before all is healed.")
    ] = 4.0,
    faults: Annotated[
        Path | None,
        typer.Option(help="A TOML file of fault rates that differ (docs/simulation.md)."),
    ] = None,
    bug: Annotated[
        str | None, typer.Option(help="Put a bug on purpose into the system; `list` names them.")
    ] = None,
    story: Annotated[bool, typer.Option(help="Tell what happens, a line each.")] = False,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per seed.")
    ] = False,
) -> None:
    """Simulate a city's taxis, cards, office and acquirer with everything going wrong.

    It runs the project's own code: firmware, journal, link, depot, ledger, acquirer. Only time,
    chance, wires and flash are simulated. The same seed tells the same story, byte for byte.
    A failure prints the seed, how to see it again, and the story up to it. Exit code 4.
    """
    from flagfall_host.simulation import bugs
    from flagfall_host.simulation.faults import Faults, read

    if bug == "list":
        for name, what in bugs.described():
            typer.echo(f"{name:32} {what}")
        return
    warnings.filterwarnings("ignore", module="pyemv")
    rates = read(faults) if faults else Faults()
    _run(seed, seeds, units, hours, rates, bug, story, json_output)


def _run(first, seeds, units, hours, rates, bug, story, json_output) -> None:  # type: ignore[no-untyped-def]
    from flagfall_host.simulation import bugs
    from flagfall_host.simulation.simulation import run

    console = Console(stderr=True)
    started = time.monotonic()
    taps = approved = cuts = kills = 0
    with (
        bugs.switched_on(bug),
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=seeds == 1 or story or json_output,
        ) as progress,
    ):
        task = progress.add_task("seeds", total=seeds)
        for seed in range(first, first + seeds):
            outcome = run(
                seed,
                units=units,
                hours=hours,
                faults=rates,
                tell=typer.echo if story else None,
            )
            progress.advance(task)
            taps += outcome.taps
            approved += outcome.approved
            cuts += outcome.cuts
            kills += outcome.kills
            if json_output:
                typer.echo(json.dumps(outcome.as_json()))
            if outcome.violation:
                if not story and not json_output:
                    sys.stderr.write("\n".join(outcome.story[-40:]) + "\n")
                again = f"flagfall simulate --seed {seed} --units {units} --hours {hours:g}"
                again += f" --bug {bug}" if bug else ""
                raise SimulationFailed(
                    f"seed {seed}: {outcome.violation}. See it again: {again} --story"
                )
    if not json_output:
        typer.echo(
            f"{seeds} seed{'s' if seeds > 1 else ''}, {taps} taps, {approved} approved, {cuts} "
            f"losses of power, {kills} programs killed: units, cards, ledger and acquirer agree "
            f"({time.monotonic() - started:.0f} s)"
        )
