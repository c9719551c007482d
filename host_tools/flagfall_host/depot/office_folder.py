"""The office folder: what the office wants its units to have, as files that people write.

`office/` in the fleet folder. docs/configuration.md has an example of each file. What the
acquirer's downloads brought lies in `downloads/` beside it, and goes in where the office has no
file of its own.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from flagfall.emv.aid import ParameterError, parse_aid

from flagfall_host.depot.languages import compile_language
from flagfall_host.depot.pushed_files import (
    PushedFileError,
    PushKind,
    deny_entries,
    read_pushed_file,
)

OFFICE = "office"
DOWNLOADS = "downloads"
BUILT = "built"
PER_UNIT = (PushKind.TARIFF, PushKind.CONFIG, PushKind.DRIVERS, PushKind.LANGUAGE)
_PRINTED = ("company", "plate", "certificate", "phone")  # settings that stand on a receipt


class OfficeFolder:
    """Reads the folder anew at each question. Raises PushedFileError, with file and key."""

    def __init__(self, fleet_folder: Path) -> None:
        self.path = fleet_folder / OFFICE
        self._downloads = fleet_folder / DOWNLOADS

    def kinds(self, unit_id: str) -> list[PushKind]:
        """What there is for this unit, in the order in which it is pushed: what makes a unit
        start anew comes last."""
        out = [kind for kind in _FILES if self._file(kind) is not None]
        if self._name(PushKind.LANGUAGE, unit_id):
            out.append(PushKind.LANGUAGE)
        if self._deny_files():
            out.append(PushKind.DENY)
        if self._name(PushKind.TARIFF, unit_id):
            out.append(PushKind.TARIFF)
        if self._file(PushKind.CAPK):
            out.append(PushKind.CAPK)
        if self._unit_file(unit_id).is_file():
            out.append(PushKind.CONFIG)
        return out

    def content(self, kind: PushKind, unit_id: str) -> bytes:
        """The content of a kind other than deny for this unit."""
        if kind is PushKind.CONFIG:
            return self._config(unit_id)
        if kind in (PushKind.TARIFF, PushKind.LANGUAGE):
            name = self._name(kind, unit_id)
            if not name:
                raise PushedFileError(f"{self.path}: no unit file names a {kind} for {unit_id}")
            beside = self.path / name
            return self.named(kind, str(beside) if beside.is_file() else name, unit_id)
        path = self._file(kind)
        if path is None:
            raise PushedFileError(f"{self.path / f'{kind}.toml'}: not there: name a file instead")
        return read_pushed_file(kind, str(path), unit_id)

    def named(self, kind: PushKind, name: str, unit_id: str) -> bytes:
        """The content of the file `name` for this unit. A language also gets the characters that
        the office has on this unit's receipts."""
        if kind is not PushKind.LANGUAGE:
            return read_pushed_file(kind, name, unit_id)
        fields = self._fields(unit_id)
        printed = [str(fields.get(key, "")) for key in _PRINTED]
        for other in (PushKind.TEXTS, PushKind.CAMPAIGNS):
            path = self._file(other)
            if path is not None:
                read = json.loads(read_pushed_file(other, str(path), unit_id))
                printed.append(json.dumps(read, ensure_ascii=False))
        return compile_language(name, "".join(printed))

    def deny(self) -> tuple[set[str], list[tuple[str, str]]]:
        """(card numbers, ranges) of all deny files together."""
        pans: set[str] = set()
        ranges: list[tuple[str, str]] = []
        for path in self._deny_files():
            more, spans = deny_entries(path)
            pans.update(more)
            ranges.extend(spans)
        return pans, ranges

    def _deny_files(self) -> list[Path]:
        return [
            path
            for folder in (self.path / "deny", self._downloads / "deny")
            for path in sorted(folder.glob("*"))
            if path.suffix in (".toml", ".txt")
        ]

    def _file(self, kind: PushKind) -> Path | None:
        for folder in (self.path, self._downloads):
            path = folder / f"{kind}.toml"
            if path.is_file():
                return path
        return None

    def _unit_file(self, unit_id: str) -> Path:
        return self.path / "units" / f"{unit_id}.toml"

    def _fields(self, unit_id: str) -> dict[str, Any]:
        """The settings of every unit, then those of this one over them."""
        out = _toml(self._downloads / "parameters.toml")
        out |= _toml(self.path / "units.toml")
        return out | _toml(self._unit_file(unit_id))

    def _name(self, kind: PushKind, unit_id: str) -> str:
        """Which tariff or language the unit's file, or every unit's, names; empty: none."""
        name = self._fields(unit_id).get(kind, "")
        if not isinstance(name, str):
            raise PushedFileError(
                f"{self._unit_file(unit_id)}: {kind}: a name or a file is needed"
            )
        return name

    def _config(self, unit_id: str) -> bytes:
        path = self._unit_file(unit_id)
        if not path.is_file():
            raise PushedFileError(
                f"{path}: not there: this file says plate, terminal_id and merchant_id of "
                f"{unit_id}, and what else is its own"
            )
        fields = self._fields(unit_id)
        for kind in (PushKind.TARIFF, PushKind.LANGUAGE):
            fields.pop(kind, None)
        # A unit is calibrated where it is: no file of the office sets its k back.
        fields.pop("k", None)
        if "aids" not in fields:
            fields["aids"] = self._aids()
        for number, row in enumerate(fields["aids"], 1):
            try:
                parse_aid(bytes.fromhex(row))
            except (TypeError, ValueError, ParameterError) as e:
                raise PushedFileError(f"{self.path}: AID {number} of {unit_id}: {e}") from e
        return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()

    def _aids(self) -> list[str]:
        for folder in (self.path, self._downloads):
            path = folder / "aids.toml"
            if path.is_file():
                aids = _toml(path).get("aids")
                if not isinstance(aids, list):
                    raise PushedFileError(f"{path}: aids: a list of hex TLVs is needed")
                return aids
        raise PushedFileError(
            f"{self.path / 'aids.toml'}: not there, and nothing was downloaded: "
            "`flagfall acquirer download` asks the acquirer for the AIDs"
        )


# Pushed first; none of these makes a unit start anew.
_FILES = (PushKind.REVOKED, PushKind.TEXTS, PushKind.CAMPAIGNS, PushKind.DRIVERS)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as e:
        raise PushedFileError(f"{path}: cannot be read: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise PushedFileError(f"{path}: not TOML: {e}") from e
