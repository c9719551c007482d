"""`flagfall unit log`: what the unit has noted, in plain words."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from flagfall import clock
from flagfall.link import messages

from flagfall_host.cli.options import FLEET, Baud, FleetDir, Json, Port, TimeZone
from flagfall_host.depot.event_log import LogLine, LogReader
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.serial_wire import BASE_BAUD, SerialWire
from flagfall_host.depot.speed import find_unit

_EVERY_S = 1.0  # between two looks for something new
_LAST = 200  # records looked at by default


def log(
    port: Port,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay, and show what is added; end with Ctrl-C.")
    ] = False,
    last: Annotated[
        int, typer.Option(help="Look at so many of the newest records; 0: all.", min=0)
    ] = _LAST,
    every: Annotated[
        bool, typer.Option("--all", help="Every record: trips and taps too, not only events.")
    ] = False,
    fleet: FleetDir = FLEET,
    timezone: TimeZone = "UTC",
    baud: Baud = BASE_BAUD,
    as_json: Json = False,
) -> None:
    """Print the unit's event log in plain words, while the meter runs.

    Nothing is changed in the unit, and nothing is booked: that is `flagfall unit pull`. With
    --json one object a line.
    """
    from flagfall_host.reports.span import local, zone

    where = zone(timezone)
    keys = Fleet.open(fleet)

    def show(line: LogLine) -> None:
        if as_json:
            at = clock.iso8601(line.time) if line.time else None
            typer.echo(json.dumps({**asdict(line), "time": at}))
            return
        at = f"{local(line.time, where):%Y-%m-%d %H:%M:%S}" if line.time else " " * 19
        typer.echo(f"{line.seq:>7}  {at}  {line.text}")

    with Link(SerialWire(port, baud), keys.unit_key) as link:
        find_unit(link)
        link.open()
        newest = link.ask(messages.INFO).get("last_seq")
        total = newest if isinstance(newest, int) else 0
        reader = LogReader(max(1, total - last + 1) if last else 1, show, every)
        reader.read(link)
        while follow:
            link.pause(_EVERY_S)
            reader.read(link)
