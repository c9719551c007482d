"""Reading single values of a tariff file: exact figures, and each problem with its line."""

from decimal import Decimal, InvalidOperation
from typing import Any

from flagfall_host.tariffs.errors import Problem
from flagfall_host.tariffs.lines import Path
from flagfall_host.tariffs.tariff_file import TariffFile

CONDITION = {"when", "with", "without", "source", "certainty", "note"}


class Reader:
    """Reads values of a parsed file exactly, and collects what is wrong with them."""

    def __init__(self, raw: dict[str, Any], lines: dict[Path, int]):
        self.raw = raw
        self.lines = lines
        self.problems: list[Problem] = []
        self.tariff = TariffFile(raw=raw)

    def problem(self, path: Path, rule: str, text: str) -> None:
        line = 0
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                line = self.lines[path[:end]]
                break
        self.problems.append(Problem(line, rule, text))

    def scaled(
        self,
        table: dict[str, Any],
        path: Path,
        key: str,
        scale: int,
        default: int | None,
        unit: str,
    ) -> int:
        """A non-negative decimal times `scale`, exactly."""
        value = table.get(key)
        where = (*path, key)
        if value is None:
            if default is None:
                self.problem(where, "T02", f"{key} is missing")
                return 1
            return default
        if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
            self.problem(where, "T03", f"{key} must be a number")
            return 1
        try:
            exact = Decimal(value) * scale
        except InvalidOperation:
            self.problem(where, "T03", f"{key} must be a number, not {value!r}")
            return 1
        if not exact.is_finite() or exact < 0:
            self.problem(where, "T03", f"{key} must not be negative")
            return 1
        if exact != exact.to_integral_value():
            self.problem(where, "T04", f"{key} = {value} is not a whole number of {unit}")
            return 1
        return int(exact)

    def money(
        self, table: dict[str, Any], path: Path, key: str, default: int | None = None
    ) -> int:
        digits = self.tariff.minor_digits
        return self.scaled(table, path, key, 10**digits, default, "minor units")

    def text(self, key: str, default: str | None = None) -> str:
        value = self.raw.get(key, default)
        if not isinstance(value, str) or not value or len(value.encode()) > 60:
            self.problem((key,), "T02", f"{key} must be a text of 1 to 60 bytes")
            return "?"
        return value

    def flag(self, key: str) -> bool:
        value = self.raw.get(key, False)
        if not isinstance(value, bool):
            self.problem((key,), "T03", f"{key} must be true or false")
            return False
        return value

    def choice(self, value: Any, path: Path, choices: Any) -> Any:
        if not isinstance(value, str) or value not in choices:
            listed = ", ".join(str(c) for c in choices)
            self.problem(path, "T05", f"{path[-1]} must be one of {listed}, not {value!r}")
            return next(iter(choices))
        return value

    def rows(self, key: str, allowed: set[str]) -> list[tuple[Path, dict[str, Any]]]:
        rows = self.raw.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            self.problem((key,), "T03", f"{key} must be [[{key}]] tables")
            return []
        for i, row in enumerate(rows):
            self.unknown(row, (key, i), allowed | CONDITION)
        return [((key, i), row) for i, row in enumerate(rows)]

    def unknown(self, table: dict[str, Any], path: Path, allowed: set[str]) -> None:
        for key in table:
            if key not in allowed:
                self.problem((*path, key), "T06", f"{key} is not known here")
