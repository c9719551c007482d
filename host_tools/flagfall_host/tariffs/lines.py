"""Where in a TOML file a key stands: the standard parser gives values without their lines."""

import re

_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*(?:\"([^\"]+)\"|([A-Za-z0-9_-]+))\s*=")

Path = tuple[str | int, ...]


def find_lines(text: str) -> dict[Path, int]:
    """Map ('distance', 1, 'per_m') or ('windows', 'night', 'from') or ('mode',) to a line, from 1.

    Tables themselves are there too: ('distance', 1) is the line of the second `[[distance]]`.
    Keys within inline tables and multi-line values are not searched.
    """
    lines: dict[Path, int] = {}
    counts: dict[str, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = _TABLE.match(line)
        if header:
            name = header.group(2)
            if header.group(1) == "[[":
                index = counts.get(name, 0)
                counts[name] = index + 1
                table = (*_split(name), index)
            else:
                table = _split(name)
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            lines.setdefault((*table, key.group(1) or key.group(2)), number)
    return lines


def _split(name: str) -> Path:
    return tuple(part.strip().strip('"') for part in name.split("."))
