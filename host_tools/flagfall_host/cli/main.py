"""The command `flagfall`."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from flagfall import NOTICE, VERSION

from flagfall_host.cli.defaults import use_settings
from flagfall_host.errors import FlagfallError

_INTERRUPTED = 130

app = typer.Typer(
    help="Flagfall: an open taximeter and in-vehicle POS (uncertified reference design).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(help="The simulated world: readers, cards, taxis.", no_args_is_help=True)

# name -> (module, attribute); a sub-application, or a single command.
_GROUPS = {
    "unit": ("unit", "app"),
    "fleet": ("fleet", "app"),
    "driver": ("driver", "app"),
    "gateway": ("gateway", "app"),
    "ledger": ("ledger", "app"),
    "acquirer": ("acquirer", "app"),
    "journal": ("journal", "app"),
    "tariff": ("tariff", "app"),
    "emv": ("emv", "app"),
    "report": ("report", "app"),
    "config": ("config", "app"),
    "update": ("update", "app"),
}
_COMMANDS = {
    "demo": ("demo", "demo"),
    "close": ("close", "close"),
    "fare": ("fare", "fare"),
    "verify": ("verify", "verify"),
    "flash": ("flash", "flash"),
    "deploy": ("deploy", "deploy"),
    "simulate": ("simulate", "simulate"),
}
# Under which heading --help lists a command.
_PANELS = {
    **dict.fromkeys(("unit", "flash"), "At the unit's cable"),
    **dict.fromkeys(
        (
            "config",
            "fleet",
            "driver",
            "close",
            "report",
            "ledger",
            "acquirer",
            "gateway",
            "update",
        ),
        "In the office",
    ),
    **dict.fromkeys(("fare", "verify", "tariff"), "Metrology"),
    **dict.fromkeys(("demo", "bench", "emv", "journal", "deploy"), "On the workbench"),
}
_BENCH = {
    "drive": ("bench_drive", "drive"),
    "reader": ("bench_reader", "reader"),
    "tap": ("bench_tap", "tap"),
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"flagfall {VERSION} ({NOTICE})")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="The configuration file; see `flagfall config show --help`."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say what this is.")
    ] = False,
) -> None:
    """Flagfall: an open taximeter and in-vehicle POS (uncertified reference design)."""
    use_settings(context, config)


def _load(module: str, attribute: str) -> Any:
    return getattr(import_module(f"flagfall_host.cli.{module}"), attribute)


def _wanted(words: list[str]) -> str | None:
    """The command among `words`: the first that is neither an option nor --config's file."""
    if words[:1] == ["--config"]:
        words = words[2:]
    elif words and words[0].startswith("--config="):
        words = words[1:]
    return words[0] if words else None


def _assemble(wanted: str | None) -> None:
    """Mount the command that was asked for, or all of them if it is none of ours (--help).

    Loading all takes a second; nobody who types one command should wait for the others.
    """
    known = {*_GROUPS, *_COMMANDS, "bench"}
    every = wanted not in known
    for name, place in _GROUPS.items():
        if every or name == wanted:
            app.add_typer(_load(*place), name=name, rich_help_panel=_PANELS.get(name))
    for name, place in _COMMANDS.items():
        if every or name == wanted:
            app.command(name, rich_help_panel=_PANELS.get(name))(_load(*place))
    if every or wanted == "bench":
        for name, place in _BENCH.items():
            bench.command(name)(_load(*place))
        app.add_typer(bench, name="bench", rich_help_panel=_PANELS["bench"])


def main() -> None:
    """Run a command; every error that a user may see is one line on stderr."""
    _assemble(_wanted(sys.argv[1:]))
    try:
        app()
    except FlagfallError as e:
        sys.stderr.write(f"flagfall: {e}\n")
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
