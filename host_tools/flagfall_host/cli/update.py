"""`flagfall update`: build an update, look into one, permit one; `flagfall unit update`."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from flagfall import bundle, clock, permit
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from flagfall_host.cli.options import FLEET, LEDGER, Baud, Fast, FleetDir, Json, LedgerPlace, Port
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.permit import make_permit
from flagfall_host.depot.provision import check_unit_id
from flagfall_host.depot.serial_wire import BASE_BAUD, SerialWire
from flagfall_host.depot.speed import FAST_BAUD, find_unit, raise_speed
from flagfall_host.flashing.board_folder import REFERENCE
from flagfall_host.flashing.program_files import slot_files
from flagfall_host.updates import bundle_file
from flagfall_host.updates.bundle_file import BundleFile, BundleFileError
from flagfall_host.updates.unit_update import (
    WAIT_S,
    must_fit,
    programs,
    send,
    wait_until_in_force,
)

app = typer.Typer(
    help="Updates in the field: build one, look into it, permit it. docs/update.md shows the way.",
    no_args_is_help=True,
)
File = Annotated[Path, typer.Argument(help="The update, as `flagfall update build` wrote it.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The file to write.")]


@app.command()
def build(
    out: Out,
    board: Annotated[
        str, typer.Option(help="The board, a folder of boards/; `bench` for the bench unit.")
    ] = REFERENCE,
    fleet: FleetDir = FLEET,
    as_json: Json = False,
) -> None:
    """Compile this tree for a board and sign it as an update of the fleet.

    The fleet folder counts the releases: another content gets the next number, the same content
    the number that it had.
    """
    keys = Fleet.open(fleet)
    content = bundle_file.content_of(board, slot_files(board))
    now = clock.from_unix(int(time.time()))
    release, made = bundle_file.release_of(keys.folder, board, content, now)
    data = bundle_file.sign(content, keys.private_key, release, made)
    try:
        out.write_bytes(data)
    except OSError as e:
        raise BundleFileError(f"{out}: cannot be written: {e.strerror}") from e
    _say(bundle_file.check(data, keys.private_key.public_key()), as_json, str(out))


@app.command()
def show(file: File, fleet: FleetDir = FLEET, as_json: Json = False) -> None:
    """Check an update, its signature too, and say what is in it."""
    keys = Fleet.open(fleet)
    found = bundle_file.read(file, keys.private_key.public_key())
    _say(found, as_json, str(file), files=True)


@app.command(name="permit")
def make(
    file: File,
    unit: Annotated[str, typer.Option("--unit", help="The unit that may take it.")],
    change: Annotated[
        int,
        typer.Option(help="The number of the change: one more than `unit info` says were made."),
    ],
    out: Out,
    fleet: FleetDir = FLEET,
    as_json: Json = False,
) -> None:
    """Permit one unit to take the other metrology files of an update.

    Sign only after the inspector has agreed to the hash that this prints. The permit serves once.
    """
    keys = Fleet.open(fleet)
    found = bundle_file.read(file, keys.private_key.public_key())
    content = bytes.fromhex(found.metrology)
    signed = make_permit(keys.private_key, check_unit_id(unit), permit.METROLOGY, change, content)
    try:
        out.write_bytes(signed)
    except OSError as e:
        raise BundleFileError(f"{out}: cannot be written: {e.strerror}") from e
    fields = {"unit": unit, "change": change, "metrology": found.metrology, "file": str(out)}
    _print(fields, as_json)


@app.command()
def place(
    file: File,
    unit: Annotated[
        list[str] | None, typer.Option("--unit", help="For this unit; several: repeat it.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="For every unit that the ledger knows.")
    ] = False,
    permitted: Annotated[
        bool,
        typer.Option("--permit", help="Permit other metrology files: the inspector has agreed."),
    ] = False,
    fleet: FleetDir = FLEET,
    ledger: LedgerPlace = LEDGER,
    as_json: Json = False,
) -> None:
    """Let an update wait for units that dial in: each takes it when it is For Hire."""
    from flagfall_host.depot.placing import permits_for
    from flagfall_host.ledger import Ledger
    from flagfall_host.ledger.placements import known_units, with_permits
    from flagfall_host.ledger.placements import place as place_file

    keys = Fleet.open(fleet)
    found = bundle_file.read(file, keys.private_key.public_key())
    content = bytes.fromhex(found.metrology)
    with Ledger.open(ledger) as book:
        units = sorted({*(unit or ()), *(known_units(book) if every else ())})
        count = 0
        for unit_id in units:
            data = found.data
            if permitted:
                given = permits_for(keys.private_key, book, unit_id, permit.METROLOGY, content)
                data = with_permits(data, given)
            count += place_file(book, [unit_id], bundle.KIND, data)
        if not units:
            place_file(book, [], bundle.KIND, b"")  # says that nobody was named
    _print({"release": found.release, "board": found.board, "waits_for_units": count}, as_json)


def update(
    file: File,
    port: Port,
    permit_file: Annotated[
        Path | None,
        typer.Option("--permit", help="The permit, when the metrology files change."),
    ] = None,
    seal_open: Annotated[
        bool, typer.Option("--seal-open", help="The unit's seal switch is open: no permit.")
    ] = False,
    wait_s: Annotated[
        float, typer.Option(help="How long to wait until the unit runs it; 0: do not wait.")
    ] = WAIT_S,
    fleet: FleetDir = FLEET,
    baud: Baud = BASE_BAUD,
    fast: Fast = FAST_BAUD,
    as_json: Json = False,
) -> None:
    """Give the unit another program. Run it again if it breaks off: it goes on where it was.

    The unit verifies the update in the slot that does not run, starts it For Hire, and keeps it
    once it has run for ten seconds; one that fails three times is given up by itself.

    Exit codes: 0 in force, 2 not an update, 4 not taken, 5 taken but not seen to run, 6 given up.
    """
    keys = Fleet.open(fleet)
    found = bundle_file.read(file, keys.private_key.public_key())
    signed = _permit(permit_file)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Link(SerialWire(port, baud), keys.unit_key) as link:
        find_unit(link)
        link.open()
        there = programs(link)
        if there.release == found.release and not there.on_trial:
            _print(_result(there.unit_id, found, "in force already"), as_json)
            return
        must_fit(there, found, signed is not None or seal_open)
        said = there.release or "the workshop's"
        console.print(
            f"{there.unit_id}: release {said} runs in slot {there.slot}; "
            f"sending release {found.release} ({found.version})"
        )
        if link.wire.baud < fast:
            raise_speed(link, fast)
        with _bar(console) as bars:
            bar = bars.add_task(there.unit_id, total=len(found.data))
            send(link, found, signed, lambda sent, total: bars.update(bar, completed=sent))
        console.print(f"{there.unit_id}: written and verified; it starts anew when For Hire")
    if wait_s <= 0:
        _print(_result(there.unit_id, found, "waits for its restart"), as_json)
        return

    def again() -> Link:
        link = Link(SerialWire(port, baud), keys.unit_key)
        try:
            find_unit(link)
            link.open()
        except BaseException:
            link.close()
            raise
        return link

    now = wait_until_in_force(
        again, found, wait_s, lambda state: console.print(f"{there.unit_id}: {state}")
    )
    _print(_result(now.unit_id, found, "in force", now.slot), as_json)


def _permit(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as e:
        raise BundleFileError(f"{path}: cannot be read: {e.strerror}") from e


def _result(unit_id: str, found: BundleFile, state: str, slot: str = "") -> dict[str, Any]:
    fields = {"unit": unit_id, "release": found.release, "version": found.version}
    if slot:
        fields["slot"] = slot
    return fields | {"metrology": found.metrology, "state": state}


def _say(found: BundleFile, as_json: bool, name: str, files: bool = False) -> None:
    measuring = [path for path, _, part in found.files if part]
    fields: dict[str, Any] = {
        "file": name,
        "release": found.release,
        "version": found.version,
        "board": found.board,
        "made": clock.iso8601(found.made),
        "bytes": len(found.data),
        "files": len(found.files),
        "metrology": found.metrology,
        "metrology_files": len(measuring),
    }
    if files and as_json:
        fields["paths"] = [[path, size, part] for path, size, part in found.files]
    _print(fields, as_json)
    if files and not as_json:
        for path, size, part in found.files:
            typer.echo(f"  {size:7,}  {path}{'  (metrology)' if part else ''}")


def _print(fields: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(fields))
        return
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        typer.echo(f"{name.replace('_', ' '):{width}}  {value}")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
