"""The meter's face drawn as a picture: seven-segment fare, lamps, and what stands around it."""

from pathlib import Path
from typing import Any

from flagfall import NOTICE
from flagfall.receipt import clock_time, currency_code, kilometres, money
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from flagfall_host.bench.seven_segments import SEGMENTS

_SIZE = (860, 430)
_BACK, _EDGE, _DIM, _LIGHT = "#14161a", "#3a3f47", "#7d858f", "#e8ebef"
_LIT, _UNLIT = "#ff3b30", "#2a1614"
_POSITION = {"FOR HIRE": "#34c759", "HIRED": "#ff453a", "STOPPED": "#ffd60a"}
_WIDE, _HIGH, _THICK, _GAP = 74, 132, 14, 26


def font(size: int) -> ImageFont.FreeTypeFont:
    """The pictures' own, in pixels."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


def _segments(
    x: int, y: int, w: int = _WIDE, h: int = _HIGH, t: int = _THICK
) -> dict[str, tuple[int, int, int, int]]:
    half = h // 2
    return {
        "a": (x + t, y, x + w - t, y + t),
        "b": (x + w - t, y + t, x + w, y + half),
        "c": (x + w - t, y + half + 2, x + w, y + h - t),
        "d": (x + t, y + h - t, x + w - t, y + h),
        "e": (x, y + half + 2, x + t, y + h - t),
        "f": (x, y + t, x + t, y + half),
        "g": (x + t, y + half - t // 2, x + w - t, y + half + t // 2),
    }


def draw_cell(pen: ImageDraw.ImageDraw, x: int, y: int, cell: int) -> None:
    """A digit of 46 by 84 dots from its eight lines, a to g and the point from bit 0 on."""
    for bit, box in enumerate(_segments(x, y, 46, 84, 9).values()):
        pen.rounded_rectangle(box, 4, fill=_LIT if cell >> bit & 1 else _UNLIT)
    pen.ellipse((x + 50, y + 74, x + 60, y + 84), fill=_LIT if cell & 0x80 else _UNLIT)


def draw_face(face: dict[str, Any], path: Path) -> None:
    """Draw a face (as the unit sends it to its displays) into the PNG `path`."""
    image = Image.new("RGB", _SIZE, _BACK)
    pen = ImageDraw.Draw(image)
    width, height = _SIZE
    pen.rounded_rectangle((6, 6, width - 7, height - 7), 22, outline=_EDGE, width=3)
    digits = face["minor_digits"]
    pen.text((40, 30), face["position"], font=font(34), fill=_POSITION[face["position"]])
    pen.text((width - 40, 34), face["clock"], font=font(30), fill=_LIGHT, anchor="ra")
    text = f"{money(face['fare'], digits):>7}"
    places = len(text.replace(".", ""))
    x = (width - places * (_WIDE + _GAP)) // 2 - 30
    for c in text:
        if c == ".":
            pen.ellipse((x - _GAP + 4, 100 + _HIGH - 16, x - _GAP + 20, 100 + _HIGH), fill=_LIT)
            continue
        for name, box in _segments(x, 100).items():
            pen.rounded_rectangle(box, 5, fill=_LIT if name in SEGMENTS[c] else _UNLIT)
        x += _WIDE + _GAP
    pen.text((x + 6, 196), currency_code(face["currency"]), font=font(26), fill=_DIM)
    columns = (
        ("km", kilometres(face["distance_mm"])),
        ("waiting", clock_time(face["waiting_s"] * 1000)),
        ("price / km", money(face["unit_price"], digits)),
        ("extras", money(face["supplements"], digits)),
    )
    for number, (name, value) in enumerate(columns):
        centre = width * (2 * number + 1) // (2 * len(columns))
        pen.text((centre, 268), name, font=font(20), fill=_DIM, anchor="ma")
        pen.text((centre, 296), value, font=font(30), fill=_LIGHT, anchor="ma")
    lamps = [("LOW SPEED", face["slow"]), ("NIGHT", face["night"]), ("TAXI", face["roof_light"])]
    for number, (name, lit) in enumerate(lamps):
        left = 40 + number * 150
        box = (left, 362, left + 136, 394)
        pen.rounded_rectangle(box, 8, fill="#ffd60a" if lit else "#22252b")
        colour = "#14161a" if lit else "#4a505a"
        pen.text((left + 68, 378), name, font=font(17), fill=colour, anchor="mm")
    pen.text((width - 40, 378), NOTICE, font=font(17), fill=_DIM, anchor="rm")
    image.save(path, optimize=True)
