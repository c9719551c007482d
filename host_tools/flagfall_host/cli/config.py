"""`flagfall config`: what the commands take their defaults from."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from flagfall_host.cli.options import Json
from flagfall_host.settings import (
    FILE_NAME,
    FILE_VARIABLE,
    Settings,
    SettingsError,
    load,
    places,
    variable,
)

app = typer.Typer(help="The configuration file of this tool.", no_args_is_help=True)

_PASSWORD = re.compile(r"(://[^:/@]*:)[^@]*@")


@app.command()
def show(context: typer.Context, as_json: Json = False) -> None:
    """Say what each key is, where its value comes from, and which file was read.

    The first of these files counts: --config FILE (before the command's name), the variable
    FLAGFALL_CONFIG, ./flagfall.toml, ~/.config/flagfall/flagfall.toml,
    /etc/flagfall/flagfall.toml. A variable FLAGFALL_KEY overrides a key, and an option on the
    command line both.
    """
    found = load(context.find_root().params.get("config"))
    keys = {
        key: {"value": _shown(getattr(found.settings, key)), "from": found.sources[key]}
        for key in Settings.model_fields
    }
    if as_json:
        file = str(found.file) if found.file else None
        typer.echo(json.dumps({"file": file, "keys": keys}))
        return
    if found.file:
        typer.echo(f"file: {found.file}")
    else:
        looked = ", ".join(str(p) for p in places())
        typer.echo(f"no configuration file: looked for {FILE_VARIABLE}, {looked}")
        typer.echo("`flagfall config init` makes one")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("key", "value", "from"):
        table.add_column(title, overflow="fold")
    for key, entry in keys.items():
        table.add_row(key, _text(entry["value"]), entry["from"])
    Console(highlight=False).print(table)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="The file to make.")] = Path(FILE_NAME),
) -> None:
    """Make a file with every key and its default, ready to be edited."""
    lines = [
        "# What the command `flagfall` takes its defaults from. Take the # off a line to set it.",
        "# `flagfall config show` says what is in force. Paths are relative to this file.",
    ]
    for key, field in Settings.model_fields.items():
        value = _shown(field.default)
        lines += ["", f"# {field.description} ({variable(key)})", f"# {key} = {_toml(value)}"]
    try:
        with file.open("x", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
    except FileExistsError as e:
        raise SettingsError(f"{file}: is there already and stays as it is: edit it") from e
    except OSError as e:
        raise SettingsError(f"{file}: cannot be made: {e.strerror}") from e
    typer.echo(f"{file}: every key with its default; edit it, then `flagfall config show`")


def _shown(value: Any) -> Any:
    """A value as it may be read aloud: a URL without its password."""
    if isinstance(value, Path):
        return str(value)
    return _PASSWORD.sub(r"\1...@", value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return "" if value is None else str(value)


def _toml(value: Any) -> str:
    return json.dumps("" if value is None else value)
