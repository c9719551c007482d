"""What a driver sees while a unit starts: every segment and dot, then the first face.

The board's own front panel and drivers draw it, in MicroPython, on simulated chips that see only
their wires (boards/bench/chips); what those chips show is drawn here.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from flagfall_host.bench.face_picture import draw_cell, font
from flagfall_host.bench.firmware_build import ROOT
from flagfall_host.bench.unit_process import MICROPYTHON, environment
from flagfall_host.bench.world import BenchError

_PANELS = ROOT / "boards" / "bench" / "start_panels.py"
_PATH = ("firmware", "firmware/lib", "boards/bench", "boards/esp32")
_TIME_LIMIT_S = 60
_SIZE = (1_060, 620)
_BACK, _DIM, _OFF, _OLED = "#14161a", "#7d858f", "#0b0d10", "#9fd8ff"
_DOT = 3
_MOMENTS = ("from 0.7 s on: nothing is dark", "For Hire: the first face")
_NAMES = (("fare display", 60), ("driver's display", 218), ("passenger's display", 440))


def panels(face: dict[str, Any]) -> list[dict[str, Any]]:
    """What the displays show until there is a face, and with this one: `fare`, six bytes from left
    to right; `driver` and `passenger`, 64 rows of 128 dots, 1 is lit. Raises BenchError."""
    run = subprocess.run(
        [MICROPYTHON, _PANELS],
        input=json.dumps(face),
        env=environment(*(ROOT / place for place in _PATH)),
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=False,
    )
    if run.returncode:
        raise BenchError(f"the displays cannot be drawn: {run.stderr.strip()}")
    return list(json.loads(run.stdout))


def draw_start(face: dict[str, Any], path: Path) -> None:
    """Draw both moments into the PNG `path`. `face`: the unit's first. Raises BenchError."""
    image = Image.new("RGB", _SIZE, _BACK)
    pen = ImageDraw.Draw(image)
    for number, shown in enumerate(panels(face)):
        left = 40 + number * 520
        pen.text((left, 18), _MOMENTS[number], font=font(22), fill=_OLED)
        for name, top in _NAMES:
            pen.text((left, top), name, font=font(15), fill=_DIM)
        for place, cell in enumerate(shown["fare"]):
            draw_cell(pen, left + place * 68, 84, cell)
        _dots(pen, left, 242, shown["driver"])
        _dots(pen, left, 464, shown["passenger"], scale=2)
    image.save(path, optimize=True)


def _dots(
    pen: ImageDraw.ImageDraw, left: int, top: int, rows: list[str], scale: int = _DOT
) -> None:
    pen.rectangle((left, top, left + 128 * scale, top + 64 * scale), fill=_OFF)
    for y, row in enumerate(rows):
        for x, dot in enumerate(row):
            if dot == "1":
                at = (left + x * scale, top + y * scale)
                pen.rectangle((*at, at[0] + scale - 1, at[1] + scale - 1), fill=_OLED)
