"""What the board's displays show while a unit starts, as their simulated chips saw it."""

from pathlib import Path

import pytest
from flagfall_host.bench import start_picture
from flagfall_host.bench.world import BenchError
from PIL import Image

FACE = {
    "position": "FOR HIRE",
    "fare": 1_230,
    "distance_mm": 0,
    "waiting_s": 0,
    "supplements": 0,
    "unit_price": 200,
    "currency": 156,
    "minor_digits": 2,
    "clock": "10:00",
    "message": "Sign in",
    "paid": 0,
}


def test_everything_is_lit_until_there_is_a_face(tmp_path: Path) -> None:
    first, then = start_picture.panels(FACE)
    assert first["fare"] == [0xFF] * 6
    for name in ("driver", "passenger"):
        assert first[name] == ["1" * 128] * 64
        assert 0 < "".join(then[name]).count("1") < 128 * 64 / 2
    assert then["fare"] == [0, 0, 0x06, 0x5B | 0x80, 0x4F, 0x3F]  # 12.30
    start_picture.draw_start(FACE, tmp_path / "start.png")
    assert Image.open(tmp_path / "start.png").size == (1_060, 620)


def test_a_face_that_is_none_is_one_line() -> None:
    with pytest.raises(BenchError, match="cannot be drawn"):
        start_picture.panels({"fare": "much"})
