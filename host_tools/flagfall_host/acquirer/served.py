"""Which terminal each unit's taps go by: terminals.toml.

    [[terminal]]
    id = "10000001"
    merchant = "880210010210160"
    units = ["TAXI-1", "TAXI-2"]

One terminal may leave `units` out: it takes the taps of all units that no other one names.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flagfall_host.acquirer.errors import AcquirerError
from flagfall_host.acquirer.message import Terminal

FILE_NAME = "terminals.toml"
_KEYS = {"id", "merchant", "units"}


@dataclass(frozen=True)
class Served:
    """A terminal and the units whose taps go by it; `units` None: all but `not_units`."""

    terminal: Terminal
    units: tuple[str, ...] | None = None
    not_units: tuple[str, ...] = ()

    def takes(self, unit_id: str) -> bool:
        if self.units is None:
            return unit_id not in self.not_units
        return unit_id in self.units


def read(path: Path) -> list[Served]:
    """The terminals of a file. Raises AcquirerError that says what is wrong with which entry."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("terminal", [])
    except OSError as e:
        raise AcquirerError(
            f"{path}: cannot be read ({e.strerror}): it says which terminal each unit's taps go "
            "by; docs/acquirer.md shows one"
        ) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise AcquirerError(f"{path}: not TOML: {e}") from e
    if not isinstance(entries, list) or not entries:
        raise AcquirerError(f"{path}: no [[terminal]] in it")
    found = [_one(path, number, entry) for number, entry in enumerate(entries, 1)]
    _all_different(path, [terminal.terminal_id for terminal, _ in found], "terminal")
    named = [unit for _, units in found for unit in units or ()]
    _all_different(path, named, "unit")
    if sum(units is None for _, units in found) > 1:
        raise AcquirerError(f"{path}: only one terminal may leave out its units")
    return [
        Served(terminal, units, () if units is not None else tuple(named))
        for terminal, units in found
    ]


def _one(path: Path, number: int, entry: Any) -> tuple[Terminal, tuple[str, ...] | None]:
    where = f"{path}: terminal {number}"
    if not isinstance(entry, dict) or set(entry) - _KEYS or not {"id", "merchant"} <= set(entry):
        raise AcquirerError(f"{where}: id and merchant are needed, units may be given, no more")
    units = entry.get("units")
    if units is not None and not (
        isinstance(units, list) and units and all(isinstance(unit, str) for unit in units)
    ):
        raise AcquirerError(f'{where}: units is a list of unit ids, such as ["TAXI-1"]')
    try:
        terminal = Terminal(str(entry["id"]), str(entry["merchant"]))
    except ValueError as e:
        raise AcquirerError(f"{where}: {e}") from e
    return terminal, None if units is None else tuple(units)


def _all_different(path: Path, names: list[str], what: str) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise AcquirerError(f"{path}: {what} {min(twice)} is there twice")
