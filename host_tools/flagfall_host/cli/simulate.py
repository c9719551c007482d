"""`flagfall simulate`: the whole system under every fault, from one seed or from many."""

import contextlib
import json
import secrets
import signal
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from flagfall_host.cli.simulate_shift import (
    SimulationFailed,
    counting_bar,
    play_shift,
    record_shift,
)

if TYPE_CHECKING:
    from flagfall_host.simulation.many import City, Sums
    from flagfall_host.simulation.outcome import Outcome

_FRESH_BITS = 48  # of a first seed that nobody has tried
_SAY_S = 60.0  # where no terminal shows the progress


def simulate(
    seed: Annotated[
        int | None,
        typer.Option(help="The first seed; 1 if not given, with --taps one nobody has tried."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, one after the other.")] = 1,
    taps: Annotated[
        int | None, typer.Option(min=1, help="Run seeds until so many taps were made.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the work.")] = 1,
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
    record: Annotated[
        Path | None,
        typer.Option(help="Record the shift of one taxi in this file, to be played again."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(help="Play a recorded shift on the bench, with the firmware in MicroPython."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="With --taps: the file of the sums. The same command goes on from it."),
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per seed.")
    ] = False,
) -> None:
    """Simulate a city's taxis, cards, office and acquirer with everything going wrong.

    It runs the project's own code: firmware, journal, link, depot, ledger, acquirer. Only time,
    chance, wires and flash are simulated. The same seed tells the same story, byte for byte.
    A failure prints the seed, how to see it again, and the story up to it. Exit code 4.

    --record FILE writes down what the world did to one taxi; --replay FILE does the same to the
    real firmware in MicroPython, which must end in the same books. Exit code 4 if it does not.
    """
    from flagfall_host.simulation import bugs, many
    from flagfall_host.simulation.faults import Faults, read

    if bug == "list":
        for name, what in bugs.described():
            typer.echo(f"{name:32} {what}")
        return
    warnings.filterwarnings("ignore", module="pyemv")
    if replay is not None:
        play_shift(replay, story, json_output)
        return
    rates = read(faults) if faults else Faults()
    if record is not None:
        record_shift(record, seed or 1, hours, rates, story, json_output)
        return
    city = many.City(units, hours, rates, bug)
    with bugs.switched_on(bug):  # such a bug there is
        pass
    sums = many.kept(keep, city) if keep and seed is None else None
    if sums is None or sums.taps >= (taps or 0):
        fresh = 1 if taps is None else secrets.randbits(_FRESH_BITS)
        sums = many.Sums(fresh if seed is None else seed)
    if keep:
        many.keep(keep, city, sums)
    # Ended politely it ends its processes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    tell = typer.echo if story else None
    results = many.outcomes(city, sums.next_seed, 1 if story else jobs, tell)
    with contextlib.closing(results), _Progress(sums, taps, seeds, story or json_output) as show:
        while not show.finished:
            outcome, cpu_s = next(results)
            if json_output:
                typer.echo(json.dumps(outcome.as_json()))
            if outcome.violation:
                break
            show.add(outcome, cpu_s)
            if keep:
                many.keep(keep, city, sums)
    if outcome.violation:
        if not story and not json_output:
            city, outcome = _shortest(city, outcome) if shrink else (city, outcome)
            sys.stderr.write("\n".join(outcome.story[-40:]) + "\n")
        raise SimulationFailed(
            f"seed {outcome.seed}: {outcome.violation}. See it again: "
            f"{city.command(outcome.seed)} --story"
        )
    if not json_output:
        typer.echo(f"{sums.words()}: no violation, units, cards, ledger and acquirer agree")


class _Progress(contextlib.AbstractContextManager["_Progress"]):
    """Adds to `sums` until there are so many taps, or seeds, and shows how far it is."""

    def __init__(self, sums: "Sums", taps: int | None, seeds: int, silent: bool) -> None:
        self._sums = sums
        self._of_taps = taps is not None
        self._total = taps or seeds
        self._began = time.monotonic() - sums.wall_s
        self._said = time.monotonic()
        console = Console(stderr=True)
        self._says = self._of_taps and not console.is_terminal and not silent
        self._bar = counting_bar(console, silent or self._total == 1 or not console.is_terminal)
        unit = "taps" if self._of_taps else "seeds"
        self._task = self._bar.add_task(unit, total=self._total, completed=self._done)
        if self._of_taps and not silent:
            console.print(f"from seed {sums.next_seed} on", highlight=False)

    def __enter__(self) -> "_Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def _done(self) -> int:
        return self._sums.taps if self._of_taps else self._sums.seeds

    @property
    def finished(self) -> bool:
        return self._done >= self._total

    def add(self, outcome: "Outcome", cpu_s: float) -> None:
        self._sums.add(outcome, cpu_s)
        self._sums.wall_s = time.monotonic() - self._began
        self._bar.update(self._task, completed=self._done)
        if self._says and time.monotonic() - self._said > _SAY_S:
            self._said = time.monotonic()
            sys.stderr.write(f"{self._sums.words()}: no violation\n")


def _shortest(city: "City", failed: "Outcome") -> "tuple[City, Outcome]":
    from flagfall_host.simulation.shrink import shortest

    units, hours, outcome = shortest(
        lambda units, hours: replace(city, units=units, hours=hours).run(failed.seed),
        failed,
        city.units,
        city.hours,
    )
    return replace(city, units=units, hours=hours), outcome
