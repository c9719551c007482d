"""The printer's paper: every slip scrolls up as it comes, the newest at the bottom."""

from rich.text import Text
from textual.widgets import RichLog

from flagfall_host.bench.drive.words import Words

_PAPER = "#1c1c1e on #f2efe6"
COLUMNS = 32
_MARGIN = 2


class PaperRoll(RichLog):
    """A roll of 58 mm paper, 32 columns."""

    def __init__(self, words: Words) -> None:
        super().__init__(id="paper", max_lines=400, min_width=COLUMNS + 2 * _MARGIN)
        self._words = words
        self.border_title = words("paper")
        self.can_focus = False

    def on_mount(self) -> None:
        self.write(Text(self._words("no paper"), style="#7d858f"))

    def put(self, lines: list[str]) -> None:
        """One slip, torn off at both ends."""
        width = COLUMNS + 2 * _MARGIN
        self.write(Text("▁" * width, style="#8a877f"))
        for line in lines:
            slip = Text(" " * _MARGIN + line, style=_PAPER, no_wrap=True)
            slip.pad_right(max(0, width - slip.cell_len))
            self.write(slip)
        self.write(Text("▔" * width, style="#8a877f"))
