"""What comes out of the printer: text on paper, kept as .txt and drawn as .png."""

from pathlib import Path

from flagfall.receipt import columns as columns_of
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

_FONT = "DejaVu Sans Mono"  # comes with matplotlib
_CHINESE_FONT = "wqy-zenhei.ttc"  # Debian's fonts-wqy-zenhei; without it boxes are drawn
_FONT_SIZE = 22
_MARGIN = 26
_LINE_GAP = 7


def draw(lines: list[str], path: Path, *, columns: int = 32) -> None:
    """Draw `lines` as a slip of thermal paper, `columns` wide, into the PNG `path`."""
    font = ImageFont.truetype(font_manager.findfont(_FONT), _FONT_SIZE)
    column = font.getlength("0")
    line = _FONT_SIZE + _LINE_GAP
    size = (round(column * columns) + 2 * _MARGIN, line * len(lines) + 2 * _MARGIN)
    image = Image.new("L", size, 250)
    pen = ImageDraw.Draw(image)
    for number, text in enumerate(lines):
        at = (_MARGIN, _MARGIN + number * line)
        if text.isascii():
            pen.text(at, text, font=font, fill=25)
        else:
            _draw_wide(pen, at, text, font, column)
    # A torn edge, so that a picture of it reads as a slip of paper.
    for x in range(0, size[0], 12):
        for y in (0, size[1] - 6):
            pen.polygon([(x, y), (x + 6, y + 6), (x + 12, y)], fill=205 if y else 225)
    image.save(path, optimize=True)


def _draw_wide(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont,
    column: float,
) -> None:
    """A line with Chinese characters, each of which takes two columns, as a printer does it."""
    try:
        wide = ImageFont.truetype(_CHINESE_FONT, _FONT_SIZE)
    except OSError:
        wide = font
    x, y = at
    for c in text:
        room = columns_of(c) * column
        one = font if columns_of(c) == 1 else wide
        pen.text((x + (room - one.getlength(c)) / 2, y), c, font=one, fill=25)
        x += room


def printed(line: str | dict[str, str]) -> str:
    """What a line of a job puts on paper: a text, or bytes that a printer with a Chinese font
    takes between FS & and FS . (GB 18030)."""
    if isinstance(line, str):
        return line
    return bytes.fromhex(line["chinese"]).decode("gb18030", "replace")


class Paper:
    """The roll of one unit: every job in order, written into `folder` as it comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs: list[list[str]] = []
        folder.mkdir(parents=True, exist_ok=True)
        # A roll that was begun before goes on after its last slip.
        numbers = [p.stem.rpartition("-")[2] for p in folder.glob("receipt-*.txt")]
        self._printed = max((int(n) for n in numbers if n.isdigit()), default=0)

    def put(self, lines: list[str]) -> Path:
        """Keep one job as text and PNG; returns the text's path."""
        self.jobs.append(lines)
        self._printed += 1
        path = self.folder / f"receipt-{self._printed:02d}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        draw(lines, path.with_suffix(".png"))
        return path
