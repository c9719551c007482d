"""The picture of the seat: a real trip, driven by textual's pilot, paid by a tap."""

import asyncio
import html
import re
import time
from collections.abc import Callable
from pathlib import Path

from rich.cells import cell_len
from textual.pilot import Pilot

from flagfall_host.bench.drive.app import Seat
from flagfall_host.bench.drive.folder import SeatFolder
from flagfall_host.bench.drive.words import Language
from flagfall_host.bench.world import BenchError

_SIZE = (112, 40)
_FARE = 1_860  # minor units at which the taxi arrives
_PATIENCE_S = 120
_TEXT = re.compile(r'(<text [^>]*textLength=")([\d.]+)("[^>]*>)([^<]*)</text>')
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # they would come from the network


async def _until(pilot: Pilot[None], condition: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > limit:
            raise BenchError(f"waited in vain for {what}")
        await pilot.pause(0.02)


async def _ride(seat: Seat, pilot: Pilot[None]) -> str:
    await _until(pilot, lambda: seat.rig.powered and "driver" in seat.face, "the unit")
    await pilot.press(*"340023", "s")
    await _until(pilot, lambda: seat.face["driver"], "the sign-in")
    await pilot.press("h", *["up"] * 7)
    await _until(pilot, lambda: seat.face["fare"] >= _FARE, "the fare")
    await pilot.press("space")
    await _until(pilot, lambda: not seat.rig.speed, "the stop of the car")
    await pilot.press("p")
    await _until(pilot, lambda: seat.face["position"] == "STOPPED", "the stop of the meter")
    await pilot.press("k")
    await _until(pilot, lambda: seat.rig.field_on, "the reader")
    await pilot.press("t")
    await _until(pilot, lambda: seat.rig.receipts, "the receipt")
    await pilot.pause(0.3)
    return seat.export_screenshot(title="flagfall bench drive")


def draw_seat(folder: Path, path: Path, language: Language = "en", utc_s: int = 0) -> None:
    """Drive a trip in the new seat folder `folder` and draw its end into the SVG `path`."""

    async def sitting() -> str:
        with SeatFolder(folder) as place:
            seat = Seat(place, language, utc_s=utc_s or None, factor=10)
            try:
                async with seat.run_test(size=_SIZE) as pilot:
                    return await _ride(seat, pilot)
            finally:
                seat.rig.close()
                seat.office.close()

    picture = _FONTS.sub("", asyncio.run(sitting()))
    path.write_text(_TEXT.sub(_widened, picture), encoding="utf-8")


def _widened(match: re.Match[str]) -> str:
    """A text as long as its cells: the export counts a Chinese character as one of them."""
    text = html.unescape(match[4])
    length = float(match[2]) * cell_len(text) / max(1, len(text))
    return f"{match[1]}{length:g}{match[3]}{match[4]}</text>"
