"""`flagfall journal`: looking into a unit's journal, in an image or over the cable."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from flagfall import clock
from flagfall.journal import schema
from flagfall.journal.record import Damage, Record
from flagfall.link import proof
from rich.console import Console
from rich.table import Table

from flagfall_host.cli.pull_progress import PullDisplay
from flagfall_host.depot import journal_chain
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.journal_image import ImageError, JournalImage, read_image
from flagfall_host.depot.link import Link
from flagfall_host.depot.live_journal import read_live
from flagfall_host.depot.serial_wire import BASE_BAUD, SerialWire
from flagfall_host.depot.speed import find_unit, raise_speed

app = typer.Typer(
    help="Look into a unit's journal: a copy of the partition (IMAGE), or the live unit on a "
    "cable (--port), which goes on metering. Nothing is booked and nothing is freed.",
    no_args_is_help=True,
)

Image = Annotated[
    Path | None, typer.Argument(metavar="[IMAGE]", help="A copy of the journal partition.")
]
Port = Annotated[
    str | None, typer.Option(help="Instead of an image: the serial port of a live unit.")
]
Baud = Annotated[int, typer.Option(help="The speed of the unit's cable port.")]
LedgerPlace = Annotated[
    str | None,
    typer.Option(
        "--ledger", help="The ledger: its newest record of the unit shows a journal cut short."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
FleetDir = Annotated[
    Path | None,
    typer.Option("--fleet", help="The fleet folder, to check MACs.", envvar="FLAGFALL_FLEET"),
]
UnitId = Annotated[str | None, typer.Option("--unit", help="Whose image it is, to check MACs.")]

_HIDDEN = ("card_tag", "sealed", "wrapped", "fleet_key_id", "link", "snapshot", "version")


def _found(
    image: Path | None,
    port: str | None,
    fleet: Path | None,
    unit: str | None,
    baud: int,
    newest: int = 0,
    ledger: str | None = None,
) -> tuple[JournalImage, bool]:
    """The journal, and whether its MACs were checked. `newest`: so many records will do."""
    if (image is None) == (port is None):
        raise ImageError("give either the IMAGE of a journal partition or --port of a live unit")
    if image is not None:
        key = _journal_key(fleet, unit)
        return read_image(image, key, _head(ledger, unit)), key is not None
    keys = Fleet.open(fleet or Path("fleet"))
    assert port is not None  # noqa: S101 - one of the two is there
    with Link(SerialWire(port, baud), keys.unit_key) as link, PullDisplay() as display:
        find_unit(link)
        link.open()
        assert link.unit is not None  # noqa: S101 - open() has set it
        raise_speed(link)
        bar = display.bar(port)
        found = read_live(link, newest, bar, _head(ledger, link.unit.unit_id))
    return found, True


def _head(ledger: str | None, unit: str | None) -> journal_chain.Link | None:
    """The newest record of the unit that the ledger has."""
    if ledger is None:
        return None
    if unit is None:
        raise ImageError("--ledger needs to know whose image it is: give --unit ID too")
    from flagfall_host.ledger import Ledger

    with Ledger.open(ledger) as book:
        receipt = book.receipt(unit)
    return None if receipt is None else journal_chain.Link(*receipt)


def _journal_key(fleet: Path | None, unit: str | None) -> bytes | None:
    if unit is None:
        return None
    if fleet is None:
        raise ImageError("--unit needs the fleet's keys: give --fleet DIR too")
    return proof.journal_key(Fleet.open(fleet).unit_key(unit))


def _summary(image: JournalImage, checked: bool) -> dict[str, Any]:
    uses = [image.use_of(s) for s in image.sectors]
    generations = [s.header.generation for s in image.order]
    return {
        "bytes": image.size,
        "sectors": {use: uses.count(use) for use in sorted(set(uses))},
        "records": len(image.records),
        "first_seq": image.records[0].seq if image.records else 0,
        "last_seq": image.last_seq,
        "booked_to_seq": image.acked_seq,
        "epoch": max((r.epoch for r in image.records), default=0),
        "sectors_opened": max(generations, default=0),
        "erases_a_sector": -(-max(generations, default=0) // len(image.sectors)),
        "free_bytes": image.free,
        "macs_checked": checked,
        "damaged": [[d.first_seq, d.last_seq] for d in image.damages],
        "findings": [
            {"kind": f.kind, "first_seq": f.first_seq, "last_seq": f.last_seq, "text": f.text}
            for f in image.findings
        ],
    }


def _fields(record: Record) -> dict[str, Any]:
    try:
        fields = schema.unpack(record.type, record.body)
    except schema.SchemaError as e:
        return {"malformed": str(e)}
    return {name: value for name, value in fields.items() if name not in _HIDDEN}


def _line(item: Record | Damage) -> dict[str, Any]:
    if isinstance(item, Damage):
        return {
            "seq": item.first_seq,
            "last_seq": item.last_seq,
            "type": "DAMAGED",
            "address": item.address,
        }
    return {
        "seq": item.seq,
        "epoch": item.epoch,
        "type": schema.type_name(item.type),
        "time": clock.iso8601(item.time),
        **_fields(item),
    }


@app.command()
def inspect(
    image: Image = None,
    port: Port = None,
    fleet: FleetDir = None,
    unit: UnitId = None,
    baud: Baud = BASE_BAUD,
    as_json: Json = False,
    last: Annotated[int, typer.Option(help="Show so many of the newest; 0 for all.")] = 40,
) -> None:
    """List the records, with chain, damage, wear and free space. Card data stays sealed."""
    found, checked = _found(image, port, fleet, unit, baud, last)
    items = found.items[-last:] if last else found.items
    summary = _summary(found, checked)
    if as_json:
        typer.echo(json.dumps({**summary, "items": [_line(item) for item in items]}))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("seq", "epoch", "type", "time", "what"):
        table.add_column(name, justify="right" if name in ("seq", "epoch") else "left")
    for item in items:
        line = _line(item)
        if isinstance(item, Damage):
            which = (
                f"{item.first_seq}" if item.first_seq == item.last_seq else f"..{item.last_seq}"
            )
            table.add_row(which, "", "DAMAGED", "", f"remains at 0x{item.address:x}", style="red")
            continue
        what = "  ".join(
            f"{name} {value}"
            for name, value in line.items()
            if name not in ("seq", "epoch", "type", "time")
        )
        table.add_row(str(line["seq"]), str(line["epoch"]), line["type"], line["time"], what)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    for name, value in summary.items():
        if name not in ("findings", "damaged"):
            console.print(f"{name.replace('_', ' '):15}  {_said(value)}")
    _print_findings(console, found)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n} {use}" for use, n in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no: give --fleet and --unit"
    return str(value)


def _print_findings(console: Console, image: JournalImage) -> None:
    findings = image.findings
    if sum(f.kind == journal_chain.FORGED for f in findings) == len(image.records) > 1:
        findings = [f for f in findings if f.kind != journal_chain.FORGED]
        text = f"not one of the {len(image.records)} records has this unit's MAC"
        console.print(
            f"{journal_chain.FORGED}: {text}: are --fleet and --unit right?", style="red"
        )
    for finding in findings:
        console.print(f"{finding.kind}: {finding.text}", style="red")


@app.command()
def verify(
    image: Image = None,
    port: Port = None,
    fleet: FleetDir = None,
    unit: UnitId = None,
    ledger: LedgerPlace = None,
    baud: Baud = BASE_BAUD,
    as_json: Json = False,
) -> None:
    """Check every record and the chain; exit 1 and say which, if something is wrong.

    Told apart: damaged, forged, deleted, reordered, replayed, exchanged, and with --ledger
    truncated.
    """
    found, checked = _found(image, port, fleet, unit, baud, ledger=ledger)
    if as_json:
        typer.echo(json.dumps(_summary(found, checked)))
    else:
        console = Console(highlight=False, soft_wrap=True)
        _print_findings(console, found)
        n = len(found.findings)
        sound = not n
        console.print(
            f"{len(found.records)} records, seq {found.records[0].seq if found.records else 0} "
            f"to {found.last_seq}: "
            + ("sound" if sound else f"{n} finding" + ("s" if n > 1 else ""))
        )
        if not sound:
            console.print(
                "Keep what there is; pull the unit: what is good is booked all the same."
            )
        if not checked:
            console.print("MACs were not checked: give --fleet DIR and --unit ID.")
    if found.findings:
        raise typer.Exit(1)


@app.command(name="map")
def draw_map(
    image: Image = None,
    port: Port = None,
    fleet: FleetDir = None,
    baud: Baud = BASE_BAUD,
    out: Annotated[Path, typer.Option("-o", "--out", help="The picture to write.")] = Path(
        "journal.png"
    ),
) -> None:
    """Draw the partition: live, acknowledged, erased, retired, damaged.

    Over the cable the sectors' headers tell, and the records of the newest one.
    """
    from flagfall_host.depot.journal_map import draw  # matplotlib is slow to load

    draw(_found(image, port, fleet, None, baud, newest=1)[0], out)
    typer.echo(f"{out}")
