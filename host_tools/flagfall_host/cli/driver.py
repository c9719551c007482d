"""`flagfall driver`: who may sign in on the fleet's units, and by what."""

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from flagfall_host.cli.options import FLEET, FleetDir, Json
from flagfall_host.depot.office_folder import OFFICE
from flagfall_host.depot.roster_file import FILE, DriverError, DriversFile, SignIn

app = typer.Typer(
    help="Who may sign in on the fleet's units: by number, PIN, card.", no_args_is_help=True
)
_PUSH = "`flagfall unit push drivers` gives it to a unit."
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The driver's number, digits.")]


def _open(fleet: Path) -> DriversFile:
    return DriversFile(fleet / OFFICE / FILE)


@app.command()
def put(
    number: Number,
    card: Annotated[
        str | None, typer.Option(help="The UID of his card, hex; an empty one takes it away.")
    ] = None,
    pin: Annotated[bool, typer.Option(help="Ask for a new PIN.")] = True,
    pin_stdin: Annotated[
        bool, typer.Option("--pin-stdin", help="Read the PIN from a line of stdin.")
    ] = False,
    unit: Annotated[
        list[str] | None, typer.Option(help="A unit he may drive; again for more. None: any.")
    ] = None,
    fleet: FleetDir = FLEET,
) -> None:
    """Add a driver, or change his PIN, card or units.

    The PIN is asked for twice and kept as a hash only. A card's UID is what any reader or phone
    shows of it; it can be copied, so that PIN and card together are safer than a card alone.

    Examples: `put 340023`, `put 340023 --no-pin --card 04A1B2C3D4E580`, `put 7 --unit CAB-17`.
    """
    drivers = _open(fleet)
    typed = None
    if pin_stdin:
        typed = sys.stdin.readline().strip()
    elif pin:
        typed = _asked(number)
    made = drivers.put(number, typed, card, unit)
    drivers.save()
    has = " and ".join(n for n, there in (("a PIN", made.pin), ("a card", made.card)) if there)
    typer.echo(f"driver {number} has {has or 'neither PIN nor card'}. {_PUSH}")


def _asked(number: str) -> str:
    if not sys.stdin.isatty():
        raise DriverError(
            "nobody is there to type a PIN: --pin-stdin reads one, --no-pin needs none"
        )
    first = getpass.getpass(f"New PIN of driver {number}: ")
    if getpass.getpass("The same again: ") != first:
        raise DriverError("the two PINs differ; nothing was changed, try again")
    return first


@app.command(name="import")
def import_csv(
    file: Annotated[Path, typer.Argument(help="CSV with number, pin, card, units.")],
    fleet: FleetDir = FLEET,
) -> None:
    """Add or change the drivers of a CSV file.

    Its first line names the columns: `number`, and those that there are of `pin`, `card` (UID in
    hex) and `units` (several with spaces between). One wrong line, and nothing is changed.
    """
    drivers = _open(fleet)
    count = drivers.take_csv(file)
    drivers.save()
    typer.echo(f"{count} drivers, {len(drivers.drivers)} in all. {_PUSH}")
    typer.echo(f"{file} still holds what you wrote into it, PINs too: delete it.", err=True)


@app.command()
def remove(number: Number, fleet: FleetDir = FLEET) -> None:
    """Take a driver off the list. Who is signed in stays so until he signs out."""
    drivers = _open(fleet)
    drivers.remove(number)
    drivers.save()
    typer.echo(f"driver {number} is off the list. {_PUSH}")


@app.command(name="sign-in")
def sign_in(
    by: Annotated[SignIn, typer.Argument(help="What a driver signs in by.")],
    fleet: FleetDir = FLEET,
) -> None:
    """Say what drivers sign in by; `number` asks for no more than that, as without a list."""
    drivers = _open(fleet)
    drivers.sign_in = by
    drivers.save()
    typer.echo(f"drivers sign in by {by.value}. {_PUSH}")


@app.command(name="list")
def list_drivers(fleet: FleetDir = FLEET, as_json: Json = False) -> None:
    """Show who may sign in where, and by what."""
    drivers = _open(fleet)
    rows = [
        {"number": d.number, "pin": bool(d.pin), "card": bool(d.card), "units": d.units}
        for d in drivers.drivers.values()
    ]
    if as_json:
        typer.echo(json.dumps({"sign_in": drivers.sign_in, "drivers": rows}))
        return
    if not rows:
        typer.echo(f"{drivers.path}: no drivers: any number signs in")
        return
    table = Table("driver", "PIN", "card", "units", box=None)
    for row in rows:
        marks = ["yes" if row[name] else "-" for name in ("pin", "card")]
        table.add_row(str(row["number"]), *marks, " ".join(row["units"]) or "all")  # type: ignore[arg-type]
    typer.echo(f"sign-in by {drivers.sign_in}")
    Console(highlight=False, soft_wrap=True).print(table)
