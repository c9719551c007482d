"""`flagfall flash`: the firmware on a unit, in one step that may be repeated at any time."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from flagfall_host.flashing.board_folder import REFERENCE, read_board
from flagfall_host.flashing.errors import InputError
from flagfall_host.flashing.esptool_program import BAUD
from flagfall_host.flashing.flash_unit import Flashed, Region, plan, write

_NO_MICROPYTHON = (
    "MicroPython itself was not written: a unit that is new needs --firmware firmware.bin once."
)


def flash(
    port: Annotated[
        str, typer.Option(help="The serial port, such as /dev/ttyACM0.", envvar="FLAGFALL_PORT")
    ],
    firmware: Annotated[
        Path | None, typer.Option(help="A MicroPython build for this board (firmware.bin).")
    ] = None,
    board: Annotated[str, typer.Option(help="The board, a folder of boards/.")] = REFERENCE,
    baud: Annotated[int, typer.Option(help="The speed of the port while writing.")] = BAUD,
    blank_config: Annotated[
        bool, typer.Option("--blank-config", help="Forget identity, settings and tariff.")
    ] = False,
    erase: Annotated[
        bool,
        typer.Option(
            "--erase", help="Erase all first. Records that were not pulled are lost. Pull first."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object on stdout.")
    ] = False,
) -> None:
    """Write the taximeter to a unit and verify it. The journal is left alone, but by --erase.

    Raises FlashError's family and BuildError; a broken-off run is made good by repeating it.
    """
    began = time.monotonic()
    described = read_board(board)
    if erase and firmware is None:
        raise InputError("--erase takes MicroPython away too: name it with --firmware")
    regions = plan(described, firmware, blank_config=blank_config)
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    with _Display(console) as display:
        flashed = write(described, port, regions, baud=baud, erase=erase, progress=display.show)
    fields = _fields(port, board, described.chip, flashed, time.monotonic() - began)
    if as_json:
        typer.echo(json.dumps(fields))
        return
    for region in flashed.regions:
        console.print(f"verified: {region.name} at {region.offset:#x}, {len(region.data)} bytes")
    if firmware is None:
        console.print(_NO_MICROPYTHON)
    console.print(f"flashed: {board} on {port}, {flashed.mac}, {fields['seconds']} s")


def _fields(port: str, board: str, chip: str, flashed: Flashed, seconds: float) -> dict[str, Any]:
    return {
        "port": port,
        "board": board,
        "chip": chip,
        "mac": flashed.mac,
        "regions": [
            {"name": r.name, "offset": r.offset, "bytes": len(r.data), "sha256": r.sha256}
            for r in flashed.regions
        ],
        "seconds": round(seconds, 1),
    }


class _Display:
    """A bar a region on a terminal; elsewhere one line when a region is through."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:16}"), BarColumn(), TaskProgressColumn(), console=console
        )
        self._tasks: dict[str, Any] = {}
        self._done: set[str] = set()

    def __enter__(self) -> "_Display":
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, region: Region, percent: float) -> None:
        if not self._console.is_terminal:
            if percent >= 100 and region.name not in self._done:
                self._done.add(region.name)
                self._console.print(f"written: {region.name}")
            return
        if region.name not in self._tasks:
            self._tasks[region.name] = self._progress.add_task(region.name, total=100)
        self._progress.update(self._tasks[region.name], completed=percent)
