"""`flagfall gateway`: receive units that dial in over TLS."""

from pathlib import Path
from typing import Annotated

import typer

from flagfall_host.depot.authority import GATEWAY_DAYS
from flagfall_host.depot.fleet import Fleet
from flagfall_host.gateway.keys_folder import make_gateway_folder

app = typer.Typer(help="Receive units that dial in over 4G (TLS).", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Receive units that dial in over 4G (TLS)."""


@app.command()
def certificate(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="What the units dial: host names or IPs."),
    ],
    keys: Annotated[
        Path, typer.Option("--keys", help="The gateway's folder, to be made or renewed.")
    ] = Path("gateway"),
    fleet: Annotated[
        Path, typer.Option("--fleet", help="The fleet folder.", envvar="FLAGFALL_FLEET")
    ] = Path("fleet"),
    days: Annotated[int, typer.Option(min=1, help="How long the certificate is good.")] = (
        GATEWAY_DAYS
    ),
) -> None:
    """Make a gateway's folder of keys: certificate, key, the fleet's CA and master key.

    Run it in the office, then copy the folder to the gateway. All gateways behind one name may
    share one folder. Run again it renews the certificate; the gateway takes it up on SIGHUP.
    """
    made = make_gateway_folder(Fleet.open(fleet), keys, names, days)
    until = made.not_valid_after_utc.strftime("%Y-%m-%d")
    typer.echo(f"{keys}: certificate for {', '.join(names)}, good until {until}", err=True)
