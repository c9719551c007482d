"""`flagfall acquirer keys`: the terminals' master keys, as custodians bring them."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from flagfall_host.acquirer.errors import KeysError
from flagfall_host.acquirer.key_file import SECRET_VARIABLE
from flagfall_host.acquirer.keys import EVERY, TerminalKeys, open_keys
from flagfall_host.acquirer.mac import check_value
from flagfall_host.acquirer.token_keys import PIN_VARIABLE, SCHEME
from flagfall_host.cli.acquirer_options import KeysPlace
from flagfall_host.cli.options import Json

app = typer.Typer(help="The terminals' master keys.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """The terminals' master keys, in a sealed file or a PKCS#11 token.

    The passphrase of the file is asked for, or taken from FLAGFALL_KEYS_SECRET; the PIN of the
    token from FLAGFALL_TOKEN_PIN.
    """


def _opened(where: str, confirm: bool = False) -> TerminalKeys:
    import os

    token = where.startswith(SCHEME)
    if not where or where.endswith(".toml"):
        raise KeysError("--keys FILE or --keys pkcs11:... says where the keys are kept")
    if os.environ.get(PIN_VARIABLE if token else SECRET_VARIABLE) or not sys.stdin.isatty():
        return open_keys(where)
    what = "PIN" if token else "Passphrase"
    new = confirm and not token and not Path(where).exists()
    return open_keys(where, typer.prompt(what, hide_input=True, confirmation_prompt=new))


@app.command()
def add(
    keys: KeysPlace = "",
    terminal: Annotated[
        str, typer.Option(help="Terminal id; * for all terminals without a key of their own.")
    ] = EVERY,
    components: Annotated[
        int, typer.Option(min=1, max=9, help="In how many parts the key comes (XOR).")
    ] = 1,
) -> None:
    """Take a master key of 32 hex digits, in one or more components, and print check values.

    The components are asked for and not shown; a program gives one a line on stdin.
    """
    store = _opened(keys, confirm=True)
    key = bytes(16)
    for number in range(1, components + 1):
        text = (
            typer.prompt(f"Component {number}, 32 hex digits", hide_input=True)
            if sys.stdin.isatty()
            else sys.stdin.readline()
        )
        part = _component(number, text)
        if components > 1:
            typer.echo(f"component {number}: check value {check_value(part).hex().upper()}")
        key = bytes(a ^ b for a, b in zip(key, part, strict=True))
    store.add(terminal, key)
    typer.echo(f"key of terminal {terminal}: check value {store.check_values()[terminal]}")
    store.close()


def _component(number: int, text: str) -> bytes:
    try:
        part = bytes.fromhex(text.strip())
    except ValueError:
        part = b""
    if len(part) != 16:
        raise KeysError(f"component {number}: 32 hex digits are needed; nothing was changed")
    return part


@app.command("list")
def list_(keys: KeysPlace = "", as_json: Json = False) -> None:
    """The terminals that have a key, and its check value."""
    store = _opened(keys)
    values = store.check_values()
    store.close()
    if as_json:
        typer.echo(json.dumps(values))
        return
    for terminal, check in sorted(values.items()):
        typer.echo(f"{terminal:>8}  {check}")
    if not values:
        typer.echo("no keys")
