"""What every command takes its defaults from: one TOML file, each key overridable by environment.

Looked for in this order, the first that is there counts: `--config FILE`, FLAGFALL_CONFIG,
./flagfall.toml, flagfall/flagfall.toml under XDG_CONFIG_HOME (~/.config), /etc/flagfall/. A key
`name` is overridden by FLAGFALL_NAME, and both by an option on the command line. Paths in the
file are relative to the file. Secrets have no key here: a file is copied too easily.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from flagfall_host.errors import FlagfallError
from flagfall_host.tariffs.lines import find_lines

PREFIX = "FLAGFALL_"
FILE_VARIABLE = "FLAGFALL_CONFIG"
FILE_NAME = "flagfall.toml"
_PATHS = ("fleet", "terminals")  # always a path; those below only if they look like one
_SECRETS = ("fleet_secret", "secret", "passphrase", "password")


class SettingsError(FlagfallError):
    """The configuration file, or a variable that stands for a key of it, makes no sense."""


def _ports(value: object) -> object:
    return value.split() if isinstance(value, str) else value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError) as e:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError("no such time zone; an example is Asia/Shanghai") from e
    except KeyError as e:
        raise ValueError("no such time zone; an example is Asia/Shanghai") from e
    return name


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdigit()):
        raise ValueError("HOST:PORT is needed, such as 127.0.0.1:5000")
    return text


class Settings(BaseSettings):
    """Every key, its type, its default and what it is."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid")

    fleet: Path = Field(Path("fleet"), description="the fleet folder, with its keys")
    ledger: str = Field("ledger.sqlite", description="the ledger's file, or a PostgreSQL URL")
    port: Annotated[list[str], NoDecode, BeforeValidator(_ports)] = Field(
        [], description="the serial port of the cable, or a list of several"
    )
    baud: int = Field(115_200, gt=0, description="the speed at which a unit is looked for")
    fast: int = Field(921_600, ge=0, description="the speed to go up to for a pull; 0: do not")
    acquirer: Annotated[str, AfterValidator(_address)] = Field(
        "", description="the acquirer's HOST:PORT"
    )
    terminal: str = Field("", description="terminal id, 8 characters, as the acquirer gave it")
    merchant: str = Field("", description="merchant id, 15 characters, as the acquirer gave it")
    profile: str = Field("unionpay", description="the acquirer's profile: a name or a TOML file")
    keys: str = Field(
        "", description="the terminal master keys: a sealed file, or pkcs11:token=...; test key"
    )
    terminals: Path = Field(
        Path("terminals.toml"), description="which terminal each unit's taps go by"
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="where a day begins and ends, such as Asia/Shanghai"
    )
    company: str = Field("", description="the name at the head of reports")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then the file (which comes as init values)."""
        return env_settings, init_settings


@dataclass(frozen=True)
class Loaded:
    """The settings, the file they came from (None: none was found), and where each stands."""

    settings: Settings
    file: Path | None
    sources: dict[str, str]  # key: "default", "FILE line N" or "environment FLAGFALL_X"

    def given(self) -> dict[str, Any]:
        """The keys that somebody has set, with their values."""
        return {
            key: getattr(self.settings, key)
            for key, source in self.sources.items()
            if source != "default"
        }


def variable(key: str) -> str:
    """The variable of the environment that overrides `key`."""
    return PREFIX + key.upper()


def places(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where a file is looked for when none is named."""
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return [
        Path(FILE_NAME),
        Path(home) / "flagfall" / FILE_NAME,
        Path("/etc/flagfall") / FILE_NAME,
    ]


def load(named: Path | None = None) -> Loaded:
    """Read the file, or the first one found, and the environment. Raises SettingsError."""
    if named is None and os.environ.get(FILE_VARIABLE):
        named = Path(os.environ[FILE_VARIABLE])
        if not named.is_file():
            raise SettingsError(f"{named}: not there: {FILE_VARIABLE} names it; mend or unset it")
    if named is not None:
        file: Path | None = named
    else:
        file = next((p for p in places() if p.is_file()), None)
    values, lines = _read(file) if file else ({}, {})
    try:
        settings = Settings(**_resolved(values, file))
    except ValidationError as e:
        raise SettingsError(_words(e, file, lines)) from None
    sources = {}
    for key in Settings.model_fields:
        if variable(key) in os.environ:
            sources[key] = f"environment {variable(key)}"
        elif key in values:
            sources[key] = f"{file} line {lines.get((key,), '?')}"
        else:
            sources[key] = "default"
    return Loaded(settings, file, sources)


def _read(file: Path) -> tuple[dict[str, Any], dict[Any, int]]:
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text), dict(find_lines(text))
    except FileNotFoundError as e:
        raise SettingsError(
            f"{file}: not there: name an existing file with --config, or make one with "
            f"`flagfall config init {file}`"
        ) from e
    except OSError as e:
        raise SettingsError(f"{file}: cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise SettingsError(f"{file}: not UTF-8 text (byte {e.start}): save it as UTF-8") from e
    except tomllib.TOMLDecodeError as e:
        raise SettingsError(f"{file}: not TOML: {e}; texts stand in quotes: name = 'text'") from e


def _resolved(values: dict[str, Any], file: Path | None) -> dict[str, Any]:
    """`values` with paths made relative to the file that holds them."""
    if file is None:
        return values
    out = dict(values)
    for key, value in values.items():
        if not isinstance(value, str) or not value:
            continue
        is_path = (
            key in _PATHS
            or (key == "ledger" and "://" not in value)
            or (key == "profile" and value.endswith(".toml"))
            or (key == "keys" and not value.startswith("pkcs11:"))
        )
        if is_path:
            out[key] = str(file.parent / Path(value).expanduser())
    return out


def _words(error: ValidationError, file: Path | None, lines: dict[Any, int]) -> str:
    """The first thing that is wrong: where, which key, and what to do."""
    first = error.errors()[0]
    key = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        where = f"{file} line {lines.get((key,), '?')}: {key}"
        if key.lower() in _SECRETS:
            return f"{where}: secrets do not belong in this file: set FLAGFALL_FLEET_SECRET"
        return f"{where}: no such key; there are {', '.join(Settings.model_fields)}"
    if variable(key) in os.environ:
        where = f"{variable(key)}={os.environ[variable(key)]!r} (environment)"
    else:
        where = f"{file} line {lines.get((key,), '?')}: {key} = {first['input']!r}"
    why = first["msg"].removeprefix("Value error, ")
    return f"{where}: {why} ({Settings.model_fields[key].description})"
