"""What can be wrong with a tariff file, each with its line and the rule that it breaks."""

from dataclasses import dataclass

from flagfall_host.errors import FlagfallError


@dataclass(frozen=True)
class Problem:
    """One thing wrong: `line` (0: the file as a whole), `rule` (docs/tariffs.md) and `text`."""

    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.text} [{self.rule}]"


class TariffFileError(FlagfallError):
    """A tariff file that cannot be compiled. `problems` lists all that was found."""

    def __init__(self, name: str, problems: list[Problem]):
        self.problems = problems
        first = str(problems[0])
        more = (
            f" (and {len(problems) - 1} more: flagfall tariff check)" if len(problems) > 1 else ""
        )
        super().__init__(f"tariff {name}: {first}{more}")


class UnknownTariffError(FlagfallError):
    """No tariff of that name and no such file."""
