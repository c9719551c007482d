"""The command `flagfall`."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from flagfall import NOTICE, VERSION

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
    "ledger": ("ledger", "app"),
    "acquirer": ("acquirer", "app"),
    "journal": ("journal", "app"),
    "tariff": ("tariff", "app"),
    "emv": ("emv", "app"),
}
_COMMANDS = {
    "demo": ("demo", "demo"),
    "fare": ("fare", "fare"),
    "verify": ("verify", "verify"),
    "flash": ("flash", "flash"),
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"flagfall {VERSION} ({NOTICE})")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say what this is.")
    ] = False,
) -> None:
    """Flagfall: an open taximeter and in-vehicle POS (uncertified reference design)."""


def _load(module: str, attribute: str) -> Any:
    if not (Path(__file__).parent / f"{module}.py").exists():
        return None
    return getattr(import_module(f"flagfall_host.cli.{module}"), attribute)


def _assemble() -> None:
    for name, place in _GROUPS.items():
        if _load(*place):
            app.add_typer(_load(*place), name=name)
    for name, place in _COMMANDS.items():
        if _load(*place):
            app.command(name)(_load(*place))
    bench.command("reader")(_load("bench_reader", "reader"))
    app.add_typer(bench, name="bench")


def main() -> None:
    """Run a command; every error that a user may see is one line on stderr."""
    _assemble()
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
