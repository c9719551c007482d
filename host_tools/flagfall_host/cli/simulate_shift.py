"""`flagfall simulate --record` and `--replay`: one shift, in the simulation and on the bench."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flagfall_host.errors import FlagfallError

if TYPE_CHECKING:
    from flagfall_host.simulation.faults import Faults


class SimulationFailed(FlagfallError):
    """Something happened that must never happen."""

    exit_code = 4


def counting_bar(console: Console, disable: bool) -> Progress:
    """How many of how many, and how long it will take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=disable,
    )


def record_shift(
    path: Path, seed: int, hours: float, faults: "Faults", story: bool, json_output: bool
) -> None:
    """Simulate one taxi and write its shift down in the file `path`."""
    from flagfall_host.simulation.simulation import record

    outcome, shift = record(seed, hours=hours, faults=faults, tell=typer.echo if story else None)
    if shift is None:
        raise SimulationFailed(f"seed {seed}: {outcome.violation}. There is no shift to record")
    shift.save(path)
    if json_output:
        typer.echo(json.dumps(outcome.as_json()))
        return
    typer.echo(
        f"{path}: {outcome.trips} trips, {outcome.taps} taps, {outcome.approved} approved, "
        f"{outcome.cuts} losses of power, {len(shift.books.records)} records. Play it on the "
        f"bench: flagfall simulate --replay {path}"
    )


def play_shift(path: Path, story: bool, json_output: bool) -> None:
    """Play the shift in the file `path` on the bench."""
    from flagfall_host.simulation.recorded_shift import RecordedShift
    from flagfall_host.simulation.replay import replay

    shift = RecordedShift.load(path)
    with counting_bar(Console(stderr=True), story or json_output) as progress:
        task = progress.add_task("events", total=len(shift.events))

        def tell(line: str) -> None:
            progress.advance(task)
            if story:
                typer.echo(line)

        ending = replay(shift, tell)
    if json_output:
        typer.echo(json.dumps(asdict(ending)))
        return
    typer.echo(
        f"seed {ending.seed} on MicroPython: {ending.records} records, {ending.payments} "
        f"payments, {ending.cuts} losses of power: journal, ledger, purses and the acquirer's "
        f"book are those of the simulation ({ending.seconds:.0f} s)"
    )
