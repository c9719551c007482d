"""The register of versions: what the office gave its units, and under which number.

`built/register.json` in the office folder. A version is given once, to one content, and only
grows; whole deny lists are kept beside it, since a delta starts from one of them.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flagfall_host.errors import FlagfallError

_KEPT_LISTS = 16
_SALT = 16  # bytes


class RegisterError(FlagfallError):
    """The register cannot be read or written."""


@dataclass(frozen=True)
class Issue:
    """One version of one kind. `made`: UTC seconds since 2000; `sha256`: of the content, in hex
    (of a deny list: of its body)."""

    version: int
    sha256: str
    made: int


class Register:
    """Issues by kind, and for what differs from unit to unit by unit id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "register.json"
        self._issues: dict[str, list[dict[str, Any]]] = {}
        self.salt = b""
        self._load()

    def _load(self) -> None:
        try:
            fields = json.loads(self._path.read_text(encoding="utf-8"))
            self._issues = fields["issues"]
            self.salt = bytes.fromhex(fields["salt"])
        except FileNotFoundError:
            self.salt = secrets.token_bytes(_SALT)
        except OSError as e:
            raise RegisterError(f"{self._path}: cannot be read: {e.strerror}") from e
        except (ValueError, KeyError, TypeError) as e:
            raise RegisterError(
                f"{self._path}: damaged: restore it from the backup, or move it away: versions "
                "then go on from what each unit has"
            ) from e

    def newest(self, kind: str, unit_id: str = "") -> Issue | None:
        """The last version given."""
        rows = self._issues.get(_name(kind, unit_id))
        return Issue(**rows[-1]) if rows else None

    def issue(self, kind: str, unit_id: str, sha256: str, made: int, above: int = 0) -> Issue:
        """The version of this content: the last one if it is the same and higher than `above`,
        else a new one, which is written down before it is used."""
        last = self.newest(kind, unit_id)
        if last is not None and last.sha256 == sha256 and last.version > above:
            return last
        version = max(above, last.version if last else 0) + 1
        issue = Issue(version, sha256, made)
        self._issues.setdefault(_name(kind, unit_id), []).append(asdict(issue))
        self._save()
        return issue

    def keep_list(self, version: int, data: bytes) -> None:
        """Keep a whole deny list, for deltas; the oldest go."""
        _replace(self._list(version), data)
        kept = sorted(self._folder.glob("deny-*.list"), key=lambda p: int(p.stem[5:]))
        for path in kept[:-_KEPT_LISTS]:
            path.unlink(missing_ok=True)

    def kept_list(self, version: int) -> bytes | None:
        """The whole deny list of this version, if it is still there."""
        try:
            return self._list(version).read_bytes()
        except OSError:
            return None

    def _list(self, version: int) -> Path:
        return self._folder / f"deny-{version}.list"

    def _save(self) -> None:
        text = json.dumps({"salt": self.salt.hex(), "issues": self._issues}, indent=1)
        _replace(self._path, text.encode())


def _name(kind: str, unit_id: str) -> str:
    return f"{kind} {unit_id}" if unit_id else kind


def _replace(path: Path, data: bytes) -> None:
    """Write beside and rename over: whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(path.name + ".new")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        beside.replace(path)
    except OSError as e:
        raise RegisterError(f"{path}: cannot be written: {e.strerror}") from e
