"""A board's wiring as SVG, drawn from its pins.py, so that the picture cannot go stale.

`python -m flagfall_host.flashing.wiring_diagram` writes docs/pictures/wiring-<board>.svg of every
board; a test compares them with what is in docs.
"""

import importlib.util
from collections.abc import Sequence
from html import escape
from pathlib import Path

from flagfall_host.bench.firmware_build import ROOT
from flagfall_host.flashing.board_folder import BOARDS, known_boards

PICTURES = ROOT / "docs" / "pictures"

# device: (title, signals of pins.table() in front of which it stands, notes)
_DEVICES = (
    ("Wheel sensor", ("pulse",), "optocoupler, RC, Schmitt trigger (section 3)"),
    ("PN532 card reader", ("reader",), "3.3 V"),
    ("4G modem", ("modem",), "own supply, 1000 uF; PWRKEY by a transistor"),
    ("Thermal printer", ("printer",), "5 V, 2 A; its TX by a divider"),
    ("Displays, clock, expander", ("display",), "SSD1306 3C and 3D, DS3231 68, PCF8575 20"),
    ("Fare display", ("fare",), "TM1637, or MAX7219 with a level shifter"),
    ("Buzzer", ("buzzer",), "100 Ohm in series"),
    ("Roof light", ("roof light",), "transistor or relay"),
    ("Seal switch", ("seal",), "to ground; other contact in the clock's battery line"),
    ("Vehicle supply", ("supply",), "33 kOhm over 2.2 kOhm, 100 nF"),
    ("Keypad", ("key",), "5 rows of 4 keys"),
)
_EXPANDER = "PCF8575 (20)"
_ROW = 20
_GAP = 14
_CHIP_X, _CHIP_W = 370, 150
_LEFT_X, _BOX_W = 20, 270
_RIGHT_X = 600


def board_pins(board: str):
    """The board's pins.py as a module."""
    spec = importlib.util.spec_from_file_location(f"{board}_pins", BOARDS / board / "pins.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(BOARDS / board / "pins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _text(x: float, y: float, words: str, *, anchor: str = "start", style: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{escape(words)}</text>'


def _box(x: int, y: int, w: int, h: int, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="6" fill="{colour}"/>'


def _groups(pins) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(title, note, ((signal, where), ...)) of every device that the board has."""
    left = [(name, f"GPIO {gpio}") for name, gpio in pins.table()]
    found = []
    for title, names, note in _DEVICES:
        mine = [row for row in left if row[0].startswith(names)]
        left = [row for row in left if row not in mine]
        if mine:
            found.append((title, note, mine))
    if left:
        raise ValueError(f"no device for {left}")
    return found


def _device(
    x: int, y: int, title: str, note: str, rows: Sequence[tuple[str, str]], side: int
) -> tuple[list[str], int]:
    """A device with its wires to the chip (`side` -1: left of it, 1: right), and its height."""
    high = 36 + _ROW * len(rows)
    out = [_box(x, y, _BOX_W, high, "#eef3f8")]
    out.append(_text(x + 10, y + 16, title, style=' font-weight="bold"'))
    out.append(_text(x + 10, y + 30, note, style=' font-size="9" fill="#555"'))
    for i, (signal, where) in enumerate(rows):
        at = y + 36 + _ROW * i + 8
        here = x + _BOX_W if side < 0 else x
        chip = _CHIP_X if side < 0 else _CHIP_X + _CHIP_W
        inner, anchor = (here - 8, "end") if side < 0 else (here + 8, "start")
        out.append(_text(inner, at + 4, signal, anchor=anchor))
        out.append(f'<line x1="{here}" y1="{at}" x2="{chip}" y2="{at}" stroke="#357"/>')
        label, anchor = (chip + 6, "start") if side < 0 else (chip - 6, "end")
        out.append(_text(label, at + 4, where, anchor=anchor, style=' font-size="10"'))
    return out, high


def draw(board: str) -> str:
    """The wiring of `board` as SVG."""
    pins = board_pins(board)
    columns: dict[int, int] = {-1: 60, 1: 60}
    out: list[str] = []
    for title, note, rows in _groups(pins):
        side = -1 if columns[-1] <= columns[1] else 1
        x = _LEFT_X if side < 0 else _RIGHT_X
        drawn, high = _device(x, columns[side], title, note, rows, side)
        out += drawn
        columns[side] += high + _GAP
    lowest = max(columns.values())
    chip = [_box(_CHIP_X, 50, _CHIP_W, lowest - 60, "#d9e4d2")]
    name = _text(_CHIP_X + _CHIP_W / 2, 42, board, anchor="middle", style=' font-weight="bold"')
    chip.append(name)
    # What hangs on the expander, below, in a chip of its own.
    top = lowest + 24
    lines = [(name, f"P{n // 8}{n % 8}") for name, n in pins.lines()]
    half = (len(lines) + 1) // 2
    high = 0
    for side, rows in ((-1, lines[:half]), (1, lines[half:])):
        x = _LEFT_X if side < 0 else _RIGHT_X
        note = "lamps to 3.3 V by 330 Ohm; the rest to ground"
        drawn, tall = _device(x, top, "On the expander", note, rows, side)
        out += drawn
        high = max(high, tall)
    chip.append(_box(_CHIP_X, top, _CHIP_W, high, "#f3e6cf"))
    middle = _CHIP_X + _CHIP_W / 2
    chip.append(_text(middle, top + 18, _EXPANDER, anchor="middle", style=' font-weight="bold"'))
    height = top + high + 20
    width = _RIGHT_X + _BOX_W + 20
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    )
    white = f'<rect width="{width}" height="{height}" fill="white"/>'
    ground = _text(20, 24, "Every device also takes ground and its own supply.")
    return "\n".join([head, white, ground, *chip, *out, "</svg>", ""])


def picture(board: str) -> Path:
    """Where the diagram of `board` is."""
    return PICTURES / f"wiring-{board}.svg"


def main() -> None:
    for board in known_boards():
        picture(board).write_text(draw(board), encoding="utf-8")


if __name__ == "__main__":
    main()
