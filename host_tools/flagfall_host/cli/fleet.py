"""`flagfall fleet`: the folder of keys that everything else follows from."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from flagfall_host.cli.options import FLEET
from flagfall_host.cli.passphrase import new_passphrase, unlock
from flagfall_host.depot.authority import Authority
from flagfall_host.depot.fleet import SECRET_VARIABLE, Fleet, FleetError

app = typer.Typer(help="The fleet's folder of keys.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """The fleet's folder of keys."""


@app.command()
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder for the keys.")
    ] = FLEET,
    name: Annotated[str, typer.Option(help="What the fleet is called.")] = "fleet",
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            envvar=SECRET_VARIABLE,
            help="The passphrase; give it by the environment, not here where others see it.",
            show_default="asked for",
        ),
    ] = None,
    unsealed: Annotated[
        bool, typer.Option("--unsealed", help="No passphrase: only for practice.")
    ] = False,
) -> None:
    """Make new keys for a fleet: master key, RSA pair and certificate authority.

    The private keys are encrypted under a passphrase that you type, or that the variable
    FLAGFALL_FLEET_SECRET holds. Every file is yours alone to read (0600).
    """
    if unsealed and secret:
        raise FleetError(f"--unsealed, and yet there is a secret: unset {SECRET_VARIABLE}")
    Fleet.must_be_free(folder)
    if not unsealed and secret is None:
        secret = new_passphrase()
    fleet = Fleet.create(folder, name, secret)
    say = Console(stderr=True, highlight=False).print
    say(f"Fleet {fleet.name!r} is in {folder}, key id {fleet.key_id.hex()}.", soft_wrap=True)
    if not secret:
        say(
            "Its private keys are not sealed: whoever reads the folder has them. "
            f"{SECRET_VARIABLE} set to a secret seals them.",
            soft_wrap=True,
        )
    say(
        "[bold]Keep a copy of the whole folder in a safe place now"
        + (", and the passphrase in another" if secret else "")
        + ".[/bold] Lost means lost: without "
        + ("both " if secret else "it ")
        + "no unit can be spoken to and no card data opened. There is no second way.",
        soft_wrap=True,
    )


@app.command()
def authority(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The fleet folder.", callback=unlock)
    ],
) -> None:
    """Make the certificate authority of a fleet folder from before there were uplinks."""
    secret = os.environ.get(SECRET_VARIABLE)
    fleet = Fleet.open(folder, secret)
    Authority.create(folder, fleet.name, secret)
    typer.echo(f"{folder}: authority made. Keep a new copy of the whole folder now.", err=True)
