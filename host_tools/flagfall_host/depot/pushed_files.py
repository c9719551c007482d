"""Files that are pushed to a unit, read and checked before they go on the wire."""

import enum
import json
import tomllib
from pathlib import Path

from flagfall_host.errors import FlagfallError
from flagfall_host.tariffs.compiler import compile_tariff


class PushKind(enum.StrEnum):
    """The kinds of docs/formats.md section 6."""

    TARIFF = "tariff"
    CAPK = "capk"
    CONFIG = "config"


class PushedFileError(FlagfallError):
    """A file that cannot be read as what it is pushed for."""


def read_pushed_file(kind: PushKind, name: str) -> bytes:
    """The bytes that go to the unit.

    A tariff is compiled from its name or TOML file, or taken as it is if it is compiled already.
    CA keys are a JSON list of hex TLVs, or text with one hex TLV a line. A configuration is a
    JSON or TOML file. Raises PushedFileError, or the tariff compiler's errors.
    """
    if kind is PushKind.TARIFF:
        path = Path(name)
        if path.is_file() and path.suffix != ".toml":
            return _read(path)  # compiled already; the unit checks it
        return compile_tariff(path if path.is_file() else name)
    path = Path(name)
    text = _text(path)
    return _capks(path, text) if kind is PushKind.CAPK else _config(path, text)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise PushedFileError(f"{path}: cannot be read: {e.strerror}") from e


def _text(path: Path) -> str:
    try:
        return _read(path).decode("utf-8")
    except UnicodeDecodeError as e:
        raise PushedFileError(f"{path}: not UTF-8 text: {e}") from e


def _capks(path: Path, text: str) -> bytes:
    if text.lstrip().startswith("["):
        try:
            keys = json.loads(text)
        except ValueError as e:
            raise PushedFileError(f"{path}: not JSON: {e}") from e
    else:
        keys = [line.strip() for line in text.splitlines() if line.strip()]
    for number, key in enumerate(keys, 1):
        try:
            bytes.fromhex(key)
        except (TypeError, ValueError) as e:
            raise PushedFileError(f"{path}: CA key {number} is not hex") from e
    if not keys:
        raise PushedFileError(f"{path}: no CA keys in it")
    return json.dumps(keys, separators=(",", ":")).encode()


def _config(path: Path, text: str) -> bytes:
    try:
        fields = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise PushedFileError(f"{path}: not TOML: {e}") from e
    except ValueError as e:
        raise PushedFileError(f"{path}: not JSON: {e}") from e
    if not isinstance(fields, dict):
        raise PushedFileError(f"{path}: a configuration is a table of named fields")
    try:
        return json.dumps(fields, separators=(",", ":")).encode()
    except TypeError as e:
        raise PushedFileError(f"{path}: only texts, numbers, lists and tables: {e}") from e
