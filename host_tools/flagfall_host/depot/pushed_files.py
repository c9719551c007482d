"""Files that are pushed to a unit, read and checked before they go on the wire.

Each reader turns a person's file (TOML, JSON or plain lines) into the content of a kind of
docs/formats.md section 7. docs/configuration.md shows the files.
"""

import datetime
import enum
import json
import re
import tomllib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flagfall import campaign, clock
from flagfall.emv.capk import CapkError, CapkStore, parse_capk
from flagfall.receipt import WIDTH

from flagfall_host.depot.languages import compile_language
from flagfall_host.depot.roster_file import DriverError, DriversFile
from flagfall_host.errors import FlagfallError
from flagfall_host.tariffs.compiler import compile_tariff


class PushKind(enum.StrEnum):
    """The kinds of docs/formats.md section 7."""

    TARIFF = "tariff"
    CONFIG = "config"
    CAPK = "capk"
    REVOKED = "revoked"
    DENY = "deny"
    TEXTS = "texts"
    CAMPAIGNS = "campaigns"
    DRIVERS = "drivers"
    LANGUAGE = "language"


KINDS = {kind.value: kind for kind in PushKind}


class PushedFileError(FlagfallError):
    """A file that cannot be read as what it is pushed for."""


def read_pushed_file(kind: PushKind, name: str, unit_id: str = "") -> bytes:
    """The content that goes to the unit, of any kind but `deny` (see `deny_entries`).

    A tariff is compiled from its name or TOML file, or taken as it is if it is compiled already.
    A language is compiled too, with no more characters for the printer than its own. CA keys are
    a JSON list of hex TLVs, text with one hex TLV a line, or TOML; of drivers, those of `unit_id`;
    all else is TOML or JSON. Raises PushedFileError, or the compiler's errors.
    """
    path = Path(name)
    if kind is PushKind.TARIFF:
        if path.is_file() and path.suffix != ".toml":
            return _read(path)  # compiled already; the unit checks it
        return compile_tariff(path if path.is_file() else name)
    if kind is PushKind.LANGUAGE:
        return compile_language(name)
    text = _text(path)
    if kind is PushKind.DRIVERS:
        return _drivers(path, unit_id)
    if kind is PushKind.CAPK:
        return _capks(path, text)
    fields = _fields(path, text)
    if kind is PushKind.REVOKED:
        return _revoked(path, fields)
    if kind is PushKind.TEXTS:
        return _texts(path, fields)
    if kind is PushKind.CAMPAIGNS:
        return _campaigns(path, fields)
    return _dumped(path, fields)


def deny_entries(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """(card numbers, ranges of leading digits) of a deny file.

    TOML with `pans` and `ranges`, or plain lines: a card number, or a range such as
    `620000-620099`. Raises PushedFileError, which never repeats a card number.
    """
    text = _text(path)
    if path.suffix == ".toml":
        fields = _fields(path, text)
        pans, ranges = fields.pop("pans", []), fields.pop("ranges", [])
        if fields:
            raise PushedFileError(f"{path}: only pans and ranges belong there, not {min(fields)}")
        if not isinstance(pans, list) or not isinstance(ranges, list):
            raise PushedFileError(f"{path}: pans and ranges are lists")
    else:
        pans, ranges = [], []
        for line in text.splitlines():
            words = line.partition("#")[0].strip()
            if words:
                first, dash, last = words.partition("-")
                (ranges.append([first.strip(), last.strip()]) if dash else pans.append(words))
    for number, pan in enumerate(pans, 1):
        if not isinstance(pan, str) or not re.fullmatch(r"[0-9]{8,19}", pan):
            raise PushedFileError(f"{path}: card number {number} is not 8 to 19 digits")
    for number, span in enumerate(ranges, 1):
        if (
            not isinstance(span, list)
            or len(span) != 2
            or not all(isinstance(x, str) and re.fullmatch(r"[0-9]{1,10}", x) for x in span)
        ):
            raise PushedFileError(f"{path}: range {number} is not two numbers of 1 to 10 digits")
    return list(pans), [(first, last) for first, last in ranges]


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


def _fields(path: Path, text: str) -> dict[str, Any]:
    try:
        fields = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise PushedFileError(f"{path}: not TOML: {e}") from e
    except ValueError as e:
        raise PushedFileError(f"{path}: not JSON: {e}") from e
    if not isinstance(fields, dict):
        raise PushedFileError(f"{path}: a table of named fields is needed")
    return fields


def _dumped(path: Path, fields: dict[str, Any]) -> bytes:
    try:
        return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
    except TypeError as e:
        raise PushedFileError(f"{path}: only texts, numbers, lists and tables: {e}") from e


def _drivers(path: Path, unit_id: str) -> bytes:
    if path.suffix != ".toml":
        raise PushedFileError(f"{path}: `flagfall driver import {path}` first, then push drivers")
    try:
        return DriversFile(path).content(unit_id)
    except DriverError as e:
        raise PushedFileError(str(e)) from e


def _capks(path: Path, text: str) -> bytes:
    live = False
    if path.suffix == ".toml":
        fields = _fields(path, text)
        live, keys = fields.get("live", False), fields.get("keys", [])
        if not isinstance(live, bool) or not isinstance(keys, list) or set(fields) - _CAPK_KEYS:
            raise PushedFileError(f"{path}: keys (a list of hex TLVs) and live belong there")
    elif text.lstrip().startswith("["):
        try:
            keys = json.loads(text)
        except ValueError as e:
            raise PushedFileError(f"{path}: not JSON: {e}") from e
    else:
        keys = [line.strip() for line in text.splitlines() if line.strip()]
    if not keys:
        raise PushedFileError(f"{path}: no CA keys in it")
    return capk_content(str(path), live, keys)


_CAPK_KEYS = {"live", "keys"}


def capk_content(where: str, live: bool, keys: list[str]) -> bytes:
    """The `capk` content of CA key TLVs in hex. A public test key is never among live ones.

    Raises PushedFileError.
    """
    rows = []
    store = CapkStore(live)
    known = _test_keys() if live else frozenset()
    for number, key in enumerate(keys, 1):
        try:
            row = bytes.fromhex(key)
        except (TypeError, ValueError) as e:
            raise PushedFileError(f"{where}: CA key {number} is not hex") from e
        try:
            store.add(row, live)
        except CapkError as e:
            raise PushedFileError(f"{where}: CA key {number}: {e}") from e
        if parse_capk(row).modulus in known:
            raise PushedFileError(
                f"{where}: CA key {number} is a public test key: it never stands among live keys"
            )
        rows.append(row.hex().upper())
    fields = {"live": live, "keys": rows}
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()


def _test_keys() -> frozenset[bytes]:
    from flagfall_host.emv.known_keys import test_store

    known = test_store().keys()
    return frozenset(key.modulus for key in known)


def _revoked(path: Path, fields: dict[str, Any]) -> bytes:
    rows = fields.get("revoked", [])
    if not isinstance(rows, list) or set(fields) - {"revoked"}:
        raise PushedFileError(f"{path}: [[revoked]] tables belong there")
    out = []
    for number, row in enumerate(rows, 1):
        text = ""
        for name, size in (("rid", 5), ("index", 1), ("serial", 3)):
            value = row.get(name) if isinstance(row, dict) else None
            if not isinstance(value, str) or not re.fullmatch(f"[0-9A-Fa-f]{{{2 * size}}}", value):
                raise PushedFileError(
                    f"{path}: revocation {number}: {name} must be {2 * size} hex digits"
                )
            text += value.upper()
        out.append(text)
    return json.dumps(sorted(set(out)), separators=(",", ":")).encode()


def _campaigns(path: Path, fields: dict[str, Any]) -> bytes:
    zone = fields.pop("timezone", None)
    rows = fields.pop("campaign", [])
    if fields or not isinstance(rows, list):
        raise PushedFileError(f"{path}: timezone and [[campaign]] tables belong there")
    out = []
    for number, row in enumerate(rows, 1):
        where = f"{path}: campaign {number}"
        if not isinstance(row, dict):
            raise PushedFileError(f"{where}: a table is needed")
        made = dict(row)
        for name in ("from", "until"):
            made[name] = _moment(where, name, row.get(name), zone)
        out.append(made)
    try:
        campaign.parse(out)
    except campaign.CampaignError as e:
        raise PushedFileError(f"{path}: {e}") from e
    return json.dumps(out, separators=(",", ":"), sort_keys=True).encode()


def _moment(where: str, name: str, value: object, zone: object) -> int:
    """UTC seconds since 2000 of a date (its beginning) or of a time."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if not isinstance(value, datetime.datetime):
        raise PushedFileError(f"{where}: {name}: a date such as 2026-03-01 is needed")
    if value.tzinfo is None:
        try:
            value = value.replace(tzinfo=ZoneInfo(str(zone)))
        except (KeyError, ValueError, OSError) as e:
            raise PushedFileError(
                f"{where}: {name}: timezone is needed, such as Asia/Shanghai"
            ) from e
    return clock.from_unix(int(value.timestamp()))


def _texts(path: Path, fields: dict[str, Any]) -> bytes:
    for name, lines in fields.items():
        if name not in ("header", "footer"):
            raise PushedFileError(f"{path}: header and footer belong there, not {name}")
        if not isinstance(lines, list) or not all(isinstance(x, str) for x in lines):
            raise PushedFileError(f"{path}: {name} is a list of lines")
        for number, line in enumerate(lines, 1):
            if len(line) > WIDTH:
                raise PushedFileError(
                    f"{path}: {name} line {number} has {len(line)} characters; {WIDTH} fit"
                )
    return _dumped(path, fields)
