"""`flagfall simulate`: the whole system under every fault, from one seed."""

import json
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

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
    shrink: Annotated[
        bool, typer.Option(help="After a failure, look for the shortest run that fails too.")
    ] = True,
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
    _run(range(seed, seed + seeds), _City(units, hours, rates, bug), shrink, story, json_output)


@dataclass(frozen=True)
class _City:
    """What is the same for all seeds."""

    units: int
    hours: float
    faults: Any
    bug: str | None

    def command(self, seed: int) -> str:
        """What shows a run again."""
        words = f"flagfall simulate --seed {seed} --units {self.units} --hours {self.hours:g}"
        return words + (f" --bug {self.bug}" if self.bug else "")


def _run(seeds: range, city: _City, shrink: bool, story: bool, json_output: bool) -> None:
    from flagfall_host.simulation import bugs
    from flagfall_host.simulation.simulation import run

    console = Console(stderr=True)
    started = time.monotonic()
    taps = approved = cuts = kills = 0
    with (
        bugs.switched_on(city.bug),
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=len(seeds) == 1 or story or json_output,
        ) as progress,
    ):
        task = progress.add_task("seeds", total=len(seeds))
        for seed in seeds:
            tell = typer.echo if story else None
            outcome = run(seed, units=city.units, hours=city.hours, faults=city.faults, tell=tell)
            progress.advance(task)
            taps += outcome.taps
            approved += outcome.approved
            cuts += outcome.cuts
            kills += outcome.kills
            if json_output:
                typer.echo(json.dumps(outcome.as_json()))
            if outcome.violation:
                if not story and not json_output:
                    city, outcome = _shortest(seed, city, outcome) if shrink else (city, outcome)
                    sys.stderr.write("\n".join(outcome.story[-40:]) + "\n")
                raise SimulationFailed(
                    f"seed {seed}: {outcome.violation}. See it again: {city.command(seed)} --story"
                )
    if not json_output:
        typer.echo(
            f"seeds: {len(seeds)}; {taps} taps, {approved} approved, {cuts} "
            f"losses of power, {kills} programs killed: units, cards, ledger and acquirer agree "
            f"({time.monotonic() - started:.0f} s)"
        )


def _shortest(seed: int, city: _City, failed: Any) -> tuple[_City, Any]:
    from flagfall_host.simulation.shrink import shortest
    from flagfall_host.simulation.simulation import run

    units, hours, outcome = shortest(
        lambda units, hours: run(seed, units=units, hours=hours, faults=city.faults),
        failed,
        city.units,
        city.hours,
    )
    return replace(city, units=units, hours=hours), outcome
