"""The fleet's passphrase, asked of a person who sits at the terminal.

Programs give it by the environment, FLAGFALL_FLEET_SECRET; where nobody can be asked, the fleet
folder's own error says so.
"""

import getpass
import os
import sys
import tomllib
from pathlib import Path

from flagfall_host.depot.fleet import SECRET_VARIABLE, FleetError

SHORTEST = 10  # characters: a stolen folder can be tried at leisure, scrypt only slows it down


def unlock(folder: Path | None) -> Path | None:
    """Ask for the passphrase of a sealed `folder`, once a command; returns `folder`."""
    if folder is None or os.environ.get(SECRET_VARIABLE) or not _somebody_is_there():
        return folder
    try:
        settings = tomllib.loads((folder / "fleet.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return folder  # whoever opens it says what is wrong
    if settings.get("sealed") is True:
        os.environ[SECRET_VARIABLE] = getpass.getpass(f"Passphrase of the fleet in {folder}: ")
    return folder


def new_passphrase() -> str | None:
    """A new passphrase, typed twice; None where nobody is there. Raises FleetError."""
    if not _somebody_is_there():
        return None
    first = getpass.getpass("Passphrase for the new keys: ")
    if len(first) < SHORTEST:
        raise FleetError(
            f"a passphrase has {SHORTEST} characters or more; --unsealed makes keys without one"
        )
    if getpass.getpass("The same again: ") != first:
        raise FleetError("the two passphrases differ; nothing was made, try again")
    return first


def _somebody_is_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
