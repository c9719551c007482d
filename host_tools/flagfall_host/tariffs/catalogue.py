"""The tariffs that come with the project: host_tools/tariffs, by name.

from flagfall_host.tariffs import catalogue
catalogue.names()                   # ["hefei", "hong-kong-urban-2022", ...]
catalogue.tariff_text("hefei")      # ("hefei", text of the file)
"""

from pathlib import Path

from flagfall_host.tariffs.errors import UnknownTariffError

FOLDER = Path(__file__).parents[2] / "tariffs"


def names() -> list[str]:
    """Names of all tariffs, templates too, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def tariff_text(path_or_name: str | Path) -> tuple[str, str]:
    """(name, text) of a tariff from the catalogue, or of a file."""
    path = Path(path_or_name)
    if isinstance(path_or_name, str) and path_or_name in names():
        path = FOLDER / f"{path_or_name}.toml"
    if not path.is_file():
        raise UnknownTariffError(
            f"no tariff {str(path_or_name)!r}: name a file or one of `flagfall tariff list`"
        )
    try:
        return path.stem, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise UnknownTariffError(f"cannot read {path}: {e}") from e
