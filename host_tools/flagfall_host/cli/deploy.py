"""`flagfall deploy`: for developers, the program of this tree onto a unit at its prompt."""

import json
import time
from typing import Annotated

import typer

from flagfall_host.cli.options import Json, Port
from flagfall_host.flashing.board_folder import REFERENCE
from flagfall_host.flashing.deploy import deploy as deploy_program


def deploy(
    port: Port,
    board: Annotated[str, typer.Option(help="The board, a folder of boards/.")] = REFERENCE,
    as_json: Json = False,
) -> None:
    """Copy what has changed of the program to a unit on the workbench, and start it.

    The unit must have been flashed once and be at MicroPython's prompt: press RESET, then hold
    BOOT for two seconds. Nothing is signed: this is for developers, a unit in service is given
    an update.
    """
    began = time.monotonic()
    done = deploy_program(port, board, lambda words: typer.echo(words, err=True))
    if as_json:
        fields = {"slot": done.slot, "copied": done.copied, "removed": done.removed}
        typer.echo(json.dumps(fields | {"files": done.files}))
        return
    typer.echo(
        f"{done.copied} of {done.files} files copied to slot {done.slot}, {done.removed} taken "
        f"away, in {time.monotonic() - began:.1f} s; the unit starts"
    )
