"""The README's pictures, taken from a real shift: `python -m flagfall_host.bench.pictures`."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from flagfall.clock import seconds_from_civil

from flagfall_host.bench.demo import play
from flagfall_host.bench.drive.picture import draw_seat
from flagfall_host.bench.drive.words import Language
from flagfall_host.bench.face_picture import draw_face
from flagfall_host.bench.stage import Silent
from flagfall_host.bench.start_picture import draw_start

_FOLDER = Path(__file__).resolve().parents[3] / "docs" / "pictures"
_SEATS: tuple[tuple[str, Language], ...] = (("seat.svg", "en"), ("seat-zh.svg", "zh"))


class _Photographer(Silent):
    """Keeps the first face, and that with the highest fare while Hired."""

    def __init__(self) -> None:
        self.first: dict[str, Any] = {}
        self.best: dict[str, Any] = {}

    def face(self, face: dict[str, Any], now_ms: int) -> None:
        if not self.first and face.get("position") == "FOR HIRE":
            self.first = face
        if face.get("position") == "HIRED" and face["fare"] >= self.best.get("fare", 0):
            self.best = face


def main(folder: Path = _FOLDER) -> None:
    """Play a shift and leave face.png receipt.png and the seat's screens in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    photographer = _Photographer()
    with tempfile.TemporaryDirectory() as place:
        shift = Path(place) / "demo"
        play(shift, 1, photographer)
        shutil.copy(shift / "taxi" / "receipts" / "receipt-01.png", folder / "receipt.png")
        play(shift, 1, Silent(), language="zh-CN")
        shutil.copy(shift / "taxi" / "receipts" / "receipt-01.png", folder / "receipt-zh.png")
    draw_face(photographer.best, folder / "face.png")
    draw_start(photographer.first, folder / "start.png")
    start = seconds_from_civil(2026, 3, 2, 2, 0, 0)
    for name, language in _SEATS:
        with tempfile.TemporaryDirectory() as place:
            draw_seat(Path(place) / "seat", folder / name, language, start)


if __name__ == "__main__":
    main(*(Path(a) for a in sys.argv[1:2]))
