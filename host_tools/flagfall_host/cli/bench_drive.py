"""`flagfall bench drive`: sit in the driver's seat."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from flagfall_host.errors import FlagfallError


class NoScreen(FlagfallError):
    """There is no terminal to draw the seat on, or it is too small."""

    exit_code = 2


def drive(
    folder: Annotated[
        Path, typer.Option(help="Where the unit, its keys, cards and books are kept.")
    ] = Path("build/seat"),
    language: Annotated[
        Literal["en", "zh"],
        typer.Option(help="Of the seat, and of a unit that is installed in a new folder."),
    ] = "en",
    factor: Annotated[float, typer.Option(min=0.1, max=20, help="Times faster than life.")] = 1,
) -> None:
    """Sit in the driver's seat: the real firmware, a road, a wallet, a printer, an office.

    The screen says which key does what; `?` explains it all, `q` leaves. The next start in the
    same folder goes on where this one ended.
    \f
    Raises NoScreen, SeatFolderError, and what kept the unit from starting.
    """
    from flagfall_host.bench.drive.app import SMALLEST, Seat
    from flagfall_host.bench.drive.folder import SeatFolder

    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise NoScreen("the seat needs a terminal; `flagfall demo` plays a shift without one")
    size = os.get_terminal_size(sys.stdout.fileno())
    if size.columns < SMALLEST[0] or size.lines < SMALLEST[1]:
        raise NoScreen(
            f"this terminal has {size.columns} columns and {size.lines} lines, the seat needs "
            f"{SMALLEST[0]} and {SMALLEST[1]}: make the window larger or its letters smaller"
        )
    with SeatFolder(folder) as place:
        seat = Seat(place, language, factor=factor)
        try:
            seat.run()
        finally:
            seat.rig.close()
            seat.office.close()
        if seat.failure is not None:
            raise seat.failure
