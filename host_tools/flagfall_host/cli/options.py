"""Options that several commands share; their defaults come from the configuration file."""

from pathlib import Path
from typing import Annotated

import typer

from flagfall_host.cli.passphrase import unlock

FLEET = Path("fleet")
LEDGER = "ledger.sqlite"

Port = Annotated[
    str, typer.Option(help="The serial port, such as /dev/ttyUSB0.", envvar="FLAGFALL_PORT")
]
Baud = Annotated[
    int, typer.Option(help="The speed of the unit's cable port.", envvar="FLAGFALL_BAUD")
]
Fast = Annotated[
    int, typer.Option(help="The speed to go up to; 0 stays at --baud.", envvar="FLAGFALL_FAST")
]
FleetDir = Annotated[
    Path,
    typer.Option("--fleet", help="The fleet folder.", envvar="FLAGFALL_FLEET", callback=unlock),
]
LedgerPlace = Annotated[
    str, typer.Option("--ledger", help="The ledger's file or URL.", envvar="FLAGFALL_LEDGER")
]
TimeZone = Annotated[
    str,
    typer.Option("--timezone", help="Where a day begins and ends.", envvar="FLAGFALL_TIMEZONE"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
