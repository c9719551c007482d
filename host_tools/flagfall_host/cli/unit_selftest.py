"""`flagfall unit selftest`: each part of the unit, and what to do about what fails."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from flagfall_host.cli.options import FLEET, Baud, FleetDir, Json, Port
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.selftest import FAIL, NAMES, PARTS, Part, SelfTestRefused, self_test
from flagfall_host.depot.serial_wire import BASE_BAUD, SerialWire
from flagfall_host.depot.speed import find_unit

_ALONE = ("reader", "printer", "display", "flash", "clock", "supply")  # need nobody's hands


def selftest(
    port: Port,
    part: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Only this part; may be repeated: {', '.join(NAMES)}.",
            show_default="all, or without a person all but sensor and keys",
        ),
    ] = None,
    alone: Annotated[
        bool,
        typer.Option(
            "--alone", help="Nobody is at the unit: ask nothing, leave out what must be."
        ),
    ] = False,
    fleet: FleetDir = FLEET,
    baud: Baud = BASE_BAUD,
    as_json: Json = False,
) -> None:
    """Test reader, printer, display, flash, clock, sensor, keys and supply, one by one.

    Only while the unit is For Hire. Exit 1 if a part fails; each failure says what to do.
    """
    person = not (alone or as_json) and sys.stdin.isatty()
    wanted = part or (NAMES if person else _ALONE)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise SelfTestRefused(f"no part {unknown[0]!r}: one of {', '.join(NAMES)}")
    chosen = tuple(p for p in PARTS if p.name in wanted)
    told = {"": ""}

    def tell(which: Part, text: str) -> None:
        if text and not as_json and told.get(which.name) != text:
            told[which.name] = text
            typer.echo(f"{which.name:8}  ... {text}", err=True)

    def ask(question: str) -> bool:
        return typer.confirm(f"          {question}?", default=True, err=True)

    keys = Fleet.open(fleet)
    results = []
    with Link(SerialWire(port, baud), keys.unit_key) as link:
        find_unit(link)
        link.open()
        for result in self_test(link, chosen, ask if person else None, tell):
            results.append(result)
            if not as_json:
                typer.echo(f"{result.part:8}  {result.state.upper():6}  {result.detail}")
                if result.do:
                    typer.echo(f"{'':8}  {'':6}  do: {result.do}")
    failed = [r.part for r in results if r.state == FAIL]
    if as_json:
        typer.echo(json.dumps({"parts": [asdict(r) for r in results], "failed": failed}))
    else:
        left = [name for name in NAMES if name not in wanted]
        if left and not part:
            typer.echo(f"not tested: {', '.join(left)} need somebody at the unit")
        typer.echo(f"{len(failed)} failed: {', '.join(failed)}" if failed else "all is well")
    if failed:
        raise typer.Exit(1)
