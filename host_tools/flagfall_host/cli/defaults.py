"""Options take their defaults from the configuration file.

An option that declares `envvar="FLAGFALL_KEY"` for a key of `flagfall_host.settings` needs
nothing more: the command line comes first, then the environment, then the file.
"""

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

_PREFIX = "FLAGFALL_"


def use_settings(context: typer.Context, named: Path | None) -> None:
    """Give the commands under `context` their defaults from the file. Raises SettingsError.

    The file is not even looked for when no option of these commands has a key in it.
    """
    command = context.command
    if not isinstance(command, TyperGroup):
        return
    wanted = command.commands.get(context.invoked_subcommand or "")
    if wanted is None or (named is None and not _has_keys(wanted)):
        return
    from flagfall_host.settings import load  # takes a tenth of a second

    given = {key: _plain(value) for key, value in load(named).given().items()}
    context.default_map = _defaults(command, given)


def _has_keys(command: Any) -> bool:
    if isinstance(command, TyperGroup):
        return any(_has_keys(c) for c in command.commands.values())
    return any(_key(p) for p in command.params)


def _key(parameter: Any) -> str | None:
    name = getattr(parameter, "envvar", None)
    if isinstance(name, str) and name.startswith(_PREFIX):
        return name[len(_PREFIX) :].lower()
    return None


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _defaults(command: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The default_map for `command`: by sub-command's name, then by parameter's name."""
    if isinstance(command, TyperGroup):
        return {name: _defaults(c, given) for name, c in command.commands.items()}
    out: dict[str, Any] = {}
    for parameter in command.params:
        key = _key(parameter)
        if key is None or key not in given or parameter.name is None:
            continue
        value = given[key]
        if isinstance(value, list) and not getattr(parameter, "multiple", False):
            if len(value) != 1:
                continue  # several ports, and a command that takes one: it must be named
            value = value[0]
        out[parameter.name] = value
    return out
