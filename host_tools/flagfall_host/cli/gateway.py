"""`flagfall gateway`: receive units that dial in over TLS."""

import asyncio
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from flagfall import clock

from flagfall_host.depot.authority import GATEWAY_DAYS
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.pushed_files import PushKind
from flagfall_host.depot.unit_files import signed_unasked
from flagfall_host.errors import FlagfallError
from flagfall_host.gateway.keys_folder import GatewayKeys, make_gateway_folder
from flagfall_host.gateway.limits import Limits

if TYPE_CHECKING:
    from flagfall_host.ledger import Ledger

app = typer.Typer(help="Receive units that dial in over 4G (TLS).", no_args_is_help=True)

KeysDir = Annotated[Path, typer.Option("--keys", help="The gateway's folder of keys.")]
Database = Annotated[
    str,
    typer.Option(
        "--db",
        help="The ledger: a file, or postgresql://user@host1:5432,host2:5432/name.",
        envvar="FLAGFALL_LEDGER",
    ),
]
FleetFolder = Annotated[
    Path, typer.Option("--fleet", help="The fleet folder.", envvar="FLAGFALL_FLEET")
]
_KEYS = Path("gateway")
_FLEET = Path("fleet")
_LEDGER = "ledger.sqlite"
_SOON_DAYS = 30
_DATABASE_S = 60.0  # for a database to come, at start


class BadPlace(FlagfallError):
    """Not HOST:PORT."""


@app.callback()
def _commands() -> None:
    """Receive units that dial in over 4G (TLS)."""


@app.command()
def certificate(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="What the units dial: host names or IPs."),
    ],
    keys: KeysDir = _KEYS,
    fleet: FleetFolder = _FLEET,
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


@app.command()
def run(
    listen: Annotated[str, typer.Option(help="Where the units dial: HOST:PORT.")] = "0.0.0.0:8443",
    db: Database = _LEDGER,
    keys: KeysDir = _KEYS,
    watch: Annotated[
        str, typer.Option(help="HOST:PORT of /metrics and /health; '' for none.")
    ] = "127.0.0.1:9443",
    connections: Annotated[
        int, typer.Option(min=1, help="Connections at once.")
    ] = Limits.connections,
    handshake_s: Annotated[
        float, typer.Option(min=0.1, help="Seconds from connect to the end of TLS.")
    ] = Limits.handshake_s,
    idle_s: Annotated[
        float, typer.Option(min=1, help="Seconds of silence after which a unit is given up.")
    ] = Limits.idle_s,
    drain_s: Annotated[
        float, typer.Option(min=0, help="Seconds for what is under way at SIGTERM.")
    ] = Limits.drain_s,
) -> None:
    """Receive units until SIGTERM: pull, receipt, placed files, clock.

    Keeps nothing itself: any number of gateways may share one database, behind any TCP load
    balancer. SIGHUP takes up a renewed certificate. /health answers 200 while units are taken.
    """
    from flagfall_host.gateway.server import Gateway

    place = _place(listen)
    watched = _place(watch) if watch else None
    folder = GatewayKeys.open(keys)
    left = folder.left().days
    if left < _SOON_DAYS:
        _say(f"the certificate in {keys} ends in {left} days: make a new one, then SIGHUP")
    limits = dataclasses.replace(
        Limits(),
        connections=connections,
        handshake_s=handshake_s,
        idle_s=idle_s,
        drain_s=drain_s,
    )

    async def serve(ledger: "Ledger") -> None:
        await Gateway(ledger, folder, limits, _say).run(place, watched)

    with _opened(db) as ledger:
        asyncio.run(serve(ledger))


def _opened(db: str) -> "Ledger":
    """The ledger, as soon as it can be had: it may be failing over just now."""
    from flagfall_host.ledger import Ledger
    from flagfall_host.ledger.errors import CannotOpen

    until = time.monotonic() + _DATABASE_S
    while True:
        try:
            return Ledger.open(db)
        except CannotOpen as e:
            if "://" not in db or time.monotonic() > until:
                raise
            _say(f"{e}: trying again")
            time.sleep(1)


def _place(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise BadPlace(f"{text!r}: HOST:PORT is needed, such as 0.0.0.0:8443")
    return host.strip("[]"), int(port)


def _say(words: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    typer.echo(f"{stamp} gateway: {words}", err=True)


@app.command()
def place(
    kind: Annotated[PushKind, typer.Argument(help="What the file is.")],
    file: Annotated[str, typer.Argument(help="The file; for a tariff its name will do.")],
    unit: Annotated[
        list[str] | None, typer.Option("--unit", help="For this unit; several: repeat it.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="For every unit that the ledger knows.")
    ] = False,
    fleet: FleetFolder = _FLEET,
    db: Database = _LEDGER,
) -> None:
    """Let a file wait for units: each gets it the next time it is connected.

    It is signed here with the fleet's key and gets its version (docs/configuration.md); tariff,
    configuration and CA keys, which are under a unit's seal, get permits too. So run it in the
    office.
    """
    from flagfall_host.depot.placing import file_for
    from flagfall_host.ledger import Ledger
    from flagfall_host.ledger.placements import known_units
    from flagfall_host.ledger.placements import place as place_file

    keys = Fleet.open(fleet)
    now = clock.from_unix(int(time.time()))
    with Ledger.open(db) as ledger:
        units = sorted({*(unit or ()), *(known_units(ledger) if every else ())})
        count = size = 0
        for unit_id in units:
            signed = signed_unasked(keys, kind, file, now, unit_id)
            size = len(signed)
            made = file_for(keys.private_key, ledger, unit_id, kind, signed)
            count += place_file(ledger, [unit_id], kind.value, made)
        if not units:
            place_file(ledger, [], kind.value, b"")  # says that nobody was named
    typer.echo(f"{kind.value}, {size} bytes: waits for {count} unit{'' if count == 1 else 's'}")


@app.command()
def revoke(
    unit: Annotated[str, typer.Argument(help="The unit's id.")],
    why: Annotated[str, typer.Option(help="Why, for the record.")],
    db: Database = _LEDGER,
) -> None:
    """Shut a unit out: every gateway drops it within ten seconds and takes it no more."""
    from flagfall_host.ledger import Ledger, placements

    with Ledger.open(db, create=False) as ledger:
        placements.revoke(ledger, unit, why)
    typer.echo(f"{unit} is shut out. `flagfall gateway admit {unit}` lets it in again")


@app.command()
def admit(
    unit: Annotated[str, typer.Argument(help="The unit's id.")], db: Database = _LEDGER
) -> None:
    """Let a unit in again that was shut out."""
    from flagfall_host.ledger import Ledger, placements

    with Ledger.open(db, create=False) as ledger:
        was = placements.readmit(ledger, unit)
    typer.echo(f"{unit} is let in again" if was else f"{unit} was not shut out")
