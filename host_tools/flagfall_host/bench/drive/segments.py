"""Seven-segment digits made of whole character cells, lit and unlit segments both drawn."""

from rich.text import Text

from flagfall_host.bench.seven_segments import SEGMENTS

_LIT, _UNLIT = "#ff3b30", "#331512"
# The six rows of a digit: (segment, first column, width, cell). Digits are 7 cells wide; bars are
# half a line high, which on a terminal is as thick as an upright two cells wide.
_ROWS = (
    (("a", 1, 5, "▄"),),
    (("f", 0, 2, "█"), ("b", 5, 2, "█")),
    (("f", 0, 2, "█"), ("g", 2, 3, "▄"), ("b", 5, 2, "█")),
    (("e", 0, 2, "█"), ("c", 5, 2, "█")),
    (("e", 0, 2, "█"), ("c", 5, 2, "█")),
    (("d", 1, 5, "▀"),),
)
WIDTH = 7
ROWS = len(_ROWS)


def seven_segments(text: str, *, dark: bool = False) -> Text:
    """`text` of digits, spaces, minus signs and points, six rows high. `dark`: all unlit."""
    out = Text()
    for number, row in enumerate(_ROWS):
        for char in text:
            if char == ".":
                last = number == ROWS - 1
                out.append("▀▀ " if last else "   ", style=_UNLIT if dark else _LIT)
                continue
            lit = "" if dark else SEGMENTS[char]
            column = 0
            for segment, start, width, cell in row:
                out.append(" " * (start - column))
                out.append(cell * width, style=_LIT if segment in lit else _UNLIT)
                column = start + width
            out.append(" " * (WIDTH - column + 1))
        out.append("\n" if number < ROWS - 1 else "")
    return out
