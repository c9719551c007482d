"""The seat's folder: the unit's flash, the fleet's keys, the wallet's cards, the office's books.

A second start in the same folder goes on where the first one ended. `seat.json` is written when
the unit is installed; a folder whose installation was cut off is begun anew.
"""

import fcntl
import json
import shutil
from pathlib import Path
from typing import Any

from flagfall_host.bench.world import BenchError
from flagfall_host.closing import Closing
from flagfall_host.depot.fleet import Fleet

_STATE = "seat.json"
_BEGUN = "seat.begun"  # there while the folder is being made
_MADE = ("fleet", "taxi", "cards")


class SeatFolderError(BenchError):
    """The folder cannot be the seat's."""

    exit_code = 2


class SeatFolder(Closing):
    """An open seat folder, held against a second seat. Raises SeatFolderError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taxi = path / "taxi"
        self.cards = path / "cards"
        self.ledger = path / "ledger.sqlite"
        known = (path / _STATE).exists() or (path / _BEGUN).exists()
        if path.exists() and not known and (not path.is_dir() or any(path.iterdir())):
            raise SeatFolderError(
                f"{path} holds something else: name another --folder, or remove it"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / ".lock").open("w")
        except OSError as e:
            raise SeatFolderError(f"{path}: {e.strerror}; name another --folder") from e
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._lock.close()
            raise SeatFolderError(
                f"somebody sits in {path} already: leave that seat, or name another --folder"
            ) from e
        self.state: dict[str, Any] = {}
        if (path / _STATE).exists():
            self.state = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / _STATE).read_text(encoding="utf-8")))
        except ValueError as e:
            raise SeatFolderError(
                f"{self.path / _STATE} is damaged: remove {self.path} and begin anew"
            ) from e

    @property
    def installed(self) -> bool:
        """Whether the unit in it is provisioned."""
        return bool(self.state)

    def begin(self) -> Fleet:
        """Make the folder new: what a broken-off beginning left is removed."""
        (self.path / _BEGUN).touch()
        for name in _MADE:
            shutil.rmtree(self.path / name, ignore_errors=True)
        self.cards.mkdir()
        return Fleet.create(self.path / "fleet", "bench")

    def keep(self, **state: Any) -> None:
        """Keep what the next start needs, whole or not at all."""
        self.state = {**self.state, **state}
        fresh = self.path / (_STATE + ".new")
        fresh.write_text(json.dumps(self.state), encoding="utf-8")
        fresh.rename(self.path / _STATE)
        (self.path / _BEGUN).unlink(missing_ok=True)

    def fleet(self) -> Fleet:
        """The keys of the fleet that the unit belongs to."""
        return Fleet.open(self.path / "fleet")

    def close(self) -> None:
        self._lock.close()
