"""Languages that a unit can speak: host_tools/languages, one file each, made into what it reads.

names()                                   # ["en", "zh-CN"]
compile_language("zh-CN", "皖A·12345")    # the content of a `language` file, docs/formats.md 7.4
"""

import re
import struct
import tomllib
from binascii import crc32
from pathlib import Path
from typing import Any

from flagfall.language import CHARACTER, FORMAT, HEAD, MAGIC, ROW
from flagfall.receipt import columns

from flagfall_host.errors import FlagfallError

FOLDER = Path(__file__).parents[2] / "languages"
ENGLISH = "en"  # what a unit speaks by itself
SCREEN_COLUMNS = 48  # three lines of the driver's display; a Chinese character takes two columns
LABEL_COLUMNS = 16  # half a receipt's line
_SECTIONS = {"screen": SCREEN_COLUMNS, "receipt": LABEL_COLUMNS}
_PLACE = re.compile(r"%[-0-9]*[sd]")


class LanguageFileError(FlagfallError):
    """A language file that a unit could not speak by."""


def names() -> list[str]:
    """Those that come with the project, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def translations(name: str) -> dict[str, str]:
    """English text: translation, of a language by name or of a file. Raises LanguageFileError."""
    return _translations(*_read(name))


def _translations(path: Path, fields: dict[str, Any]) -> dict[str, str]:
    out: dict[str, str] = {}
    for section, most in _SECTIONS.items():
        for english, own in _table(path, fields, section).items():
            _check(f"{path}: [{section}] {english!r}", english, own, most)
            if out.setdefault(english, own) != own:
                raise LanguageFileError(f"{path}: {english!r} stands twice, and not the same")
    return out


def compile_language(name: str, also_printed: str = "") -> bytes:
    """The content of a `language` file. `also_printed`: texts of the office that a printer must
    know the characters of (company, plate, lines on receipts). Raises LanguageFileError."""
    path, fields = _read(name)
    texts = _translations(path, fields)
    printed = also_printed + str(fields.get("also_printed", ""))
    printed += "".join(_table(path, fields, "receipt").values())
    rows = {crc32(english.encode()): own.encode() for english, own in texts.items()}
    if len(rows) != len(texts):
        raise LanguageFileError(f"{path}: two English texts have one CRC: word one differently")
    index = said = b""
    for crc, own in sorted(rows.items()):
        index += struct.pack(ROW, crc, len(said), len(own))
        said += own
    characters = _characters(str(path), printed)
    head = struct.pack(HEAD, MAGIC, FORMAT, 0, len(rows), len(characters))
    return head + index + b"".join(characters) + said


def _characters(where: str, printed: str) -> list[bytes]:
    out = []
    for c in sorted({c for c in printed if c > "~"}):
        try:
            code = c.encode("gbk")
        except UnicodeEncodeError as e:
            raise LanguageFileError(
                f"{where}: {c} (U+{ord(c):04X}) is not in GBK: a receipt printer cannot print it"
            ) from e
        out.append(struct.pack(CHARACTER, ord(c), int.from_bytes(code, "big")))
    return out


def _read(name: str) -> tuple[Path, dict[str, Any]]:
    path = FOLDER / f"{name}.toml" if name in names() else Path(name)
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise LanguageFileError(
            f"no language {name!r}: name a file or one of {', '.join(names())}"
        ) from e
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise LanguageFileError(f"{path}: cannot be read: {e}") from e
    unknown = set(fields) - {"also_printed", *_SECTIONS}
    if unknown:
        raise LanguageFileError(
            f"{path}: {min(unknown)}: only also_printed, [screen] and [receipt] belong there"
        )
    return path, fields


def _table(path: Path, fields: dict[str, Any], section: str) -> dict[str, str]:
    table = fields.get(section, {})
    if not isinstance(table, dict) or not all(isinstance(own, str) for own in table.values()):
        raise LanguageFileError(f'{path}: [{section}]: lines of "English" = "translation"')
    return table


def _check(where: str, english: str, own: str, most: int) -> None:
    if _PLACE.findall(english) != _PLACE.findall(own):
        raise LanguageFileError(
            f"{where}: what is filled in must be the same and in the same order: "
            f"{' '.join(_PLACE.findall(english)) or 'nothing'}"
        )
    room = max(most, len(english))
    if columns(own) > room:
        raise LanguageFileError(f"{where}: {columns(own)} columns wide; {room} fit")
    if not own or not own.isprintable():
        raise LanguageFileError(f"{where}: empty, or with control characters")
