"""The options that every question to the acquirer needs, stated once."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from flagfall_host.acquirer.client import Acquirer
from flagfall_host.acquirer.errors import AcquirerError
from flagfall_host.acquirer.keys import open_keys
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.profile import Profile
from flagfall_host.cli.options import FLEET, LEDGER, FleetDir, LedgerPlace
from flagfall_host.depot.fleet import Fleet
from flagfall_host.ledger import Ledger

ProfileName = Annotated[
    str,
    typer.Option("--profile", help="A profile's name or TOML file.", envvar="FLAGFALL_PROFILE"),
]
KeysPlace = Annotated[
    str,
    typer.Option(
        "--keys",
        help="The terminal master keys: a file sealed by `acquirer keys add`, or "
        "pkcs11:token=NAME?module-path=FILE. Without it the public test key.",
        envvar="FLAGFALL_KEYS",
        show_default=False,
    ),
]
HostPort = Annotated[
    str, typer.Option("--host", help="The acquirer's HOST:PORT.", envvar="FLAGFALL_ACQUIRER")
]
PROFILE = "unionpay"


def _options(
    host: HostPort,
    terminal: Annotated[
        str, typer.Option(help="Terminal id, 8 characters.", envvar="FLAGFALL_TERMINAL")
    ],
    merchant: Annotated[
        str, typer.Option(help="Merchant id, 15 characters.", envvar="FLAGFALL_MERCHANT")
    ],
    ledger: LedgerPlace = LEDGER,
    fleet: FleetDir = FLEET,
    profile: ProfileName = PROFILE,
    keys: KeysPlace = "",
) -> tuple[str, Terminal, str, Path, str, str]:
    try:
        who = Terminal(terminal, merchant)
    except ValueError as e:
        raise AcquirerError(f"--terminal {terminal} --merchant {merchant}: {e}") from e
    return host, who, ledger, fleet, profile, keys


def _opened(
    book: Ledger, host: str, terminal: Terminal, fleet: Path, profile: str, keys: str
) -> Acquirer:
    name, port = address(host)
    return Acquirer(
        book,
        Fleet.open(fleet).private_key,
        terminal,
        name,
        port,
        profile=Profile.load(profile),
        keys=open_keys(keys),
    )


def address(host: str) -> tuple[str, int]:
    """HOST:PORT as its parts. Raises AcquirerError."""
    name, _, port = host.rpartition(":")
    if not name or not port.isdigit():
        raise AcquirerError(f"--host {host}: HOST:PORT is needed, such as 127.0.0.1:5000")
    return name, int(port)


def asks_acquirer(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command(acquirer, ...)` an open Acquirer, and its command line what that needs.

    A shared option that the command names as its own parameter too is passed on to it.
    """
    shared = inspect.signature(_options).parameters
    taken = list(inspect.signature(command).parameters.values())[1:]
    own = [p for p in taken if p.name not in shared]
    passed = [p.name for p in taken if p.name in shared]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        values = {name: given.pop(name) for name in shared}
        host, terminal, ledger, fleet, profile, keys = _options(**values)
        with (
            Ledger.open(ledger) as book,
            _opened(book, host, terminal, fleet, profile, keys) as acquirer,
        ):
            command(acquirer, **given, **{name: values[name] for name in passed})

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*shared.values(), *own)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run
