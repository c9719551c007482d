"""`flagfall journal`: looking into the image of a unit's journal partition."""

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

from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.journal_image import ImageError, JournalImage, read_image

app = typer.Typer(help="Look into the image of a unit's journal.", no_args_is_help=True)

Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="A copy of the journal partition.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
FleetDir = Annotated[
    Path | None,
    typer.Option("--fleet", help="The fleet folder, to check MACs.", envvar="FLAGFALL_FLEET"),
]
UnitId = Annotated[str | None, typer.Option("--unit", help="Whose image it is, to check MACs.")]

_HIDDEN = ("card_tag", "sealed", "wrapped", "fleet_key_id", "link", "snapshot", "version")


def _read(path: Path, fleet: Path | None, unit: str | None) -> JournalImage:
    return read_image(path, _journal_key(fleet, unit))


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
    image: Image,
    fleet: FleetDir = None,
    unit: UnitId = None,
    as_json: Json = False,
    last: Annotated[int, typer.Option(help="Show so many of the newest; 0 for all.")] = 40,
) -> None:
    """List the records, with damage, wear and free space. Card data stays sealed."""
    found = _read(image, fleet, unit)
    items = found.items[-last:] if last else found.items
    summary = _summary(found, unit is not None)
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
    for finding in image.findings:
        console.print(f"{finding.kind}: {finding.text}", style="red")


@app.command()
def verify(
    image: Image, fleet: FleetDir = None, unit: UnitId = None, as_json: Json = False
) -> None:
    """Check every record and the chain; exit 1 and say which, if something is wrong."""
    found = _read(image, fleet, unit)
    if as_json:
        typer.echo(json.dumps(_summary(found, unit is not None)))
    else:
        console = Console(highlight=False, soft_wrap=True)
        _print_findings(console, found)
        sound = not found.findings
        console.print(
            f"{len(found.records)} records, seq {found.records[0].seq if found.records else 0} "
            f"to {found.last_seq}: " + ("sound" if sound else f"{len(found.findings)} findings")
        )
        if not sound:
            console.print("Keep this image; pull the unit: what is good is booked all the same.")
        if unit is None:
            console.print("MACs were not checked: give --fleet DIR and --unit ID.")
    if found.findings:
        raise typer.Exit(1)


@app.command(name="map")
def draw_map(
    image: Image,
    out: Annotated[Path, typer.Option("-o", "--out", help="The picture to write.")] = Path(
        "journal.png"
    ),
) -> None:
    """Draw the partition: live, acknowledged, erased, retired, damaged."""
    from flagfall_host.depot.journal_map import draw  # matplotlib is slow to load

    draw(read_image(image), out)
    typer.echo(f"{out}")
