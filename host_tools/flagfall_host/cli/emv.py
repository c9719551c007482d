"""`flagfall emv`: read, check and replay what payment cards say."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flagfall_host.emv import decode as tlv_tree
from flagfall_host.emv import known_keys, oda_check, transcript
from flagfall_host.emv import replay as kernel_replay
from flagfall_host.emv.errors import BadCardInput, from_hex

app = typer.Typer(help="What payment cards say: decode, verify, replay.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def decode(
    hex_text: Annotated[
        list[str], typer.Argument(metavar="HEX", help="TLV or a whole answer; '-' reads stdin.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show BER-TLV as a tree with names, bits and meanings."""
    text = typer.get_text_stream("stdin").read() if hex_text == ["-"] else " ".join(hex_text)
    data = from_hex(text, "decode")
    if not data:
        raise BadCardInput("decode: nothing to decode, give hex digits")
    nodes, status = tlv_tree.decode(data)
    if as_json:
        status_text = status.hex().upper() if status is not None else None
        objects = [node.as_json() for node in nodes]
        typer.echo(json.dumps({"objects": objects, "status": status_text}))
        return
    for line in tlv_tree.lines(nodes):
        typer.echo(line)
    if status is not None:
        typer.echo(f"status word {status.hex().upper()}")


@app.command()
def oda(
    file: Annotated[Path, typer.Argument(help="JSON: rid, capk_index, tags, static, dynamic.")],
    as_json: JsonOption = False,
) -> None:
    """Verify certificates and signatures; exit 1 if one fails."""
    steps = oda_check.check_file(file)
    good = all(step.ok for step in steps)
    if as_json:
        typer.echo(json.dumps({"ok": good, "steps": [step.as_json() for step in steps]}))
    else:
        for step in steps:
            mark = "pass" if step.ok else "FAIL"
            typer.echo(f"{mark}  {step.name}" + (f": {step.why}" if step.why else ""))
            for name, value in step.fields.items():
                typer.echo(f"        {name}: {value}")
    if not good:
        raise typer.Exit(1)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="TRANSCRIPT", help="Lines > APDU, < answer.")],
    capk: Annotated[
        Path | None, typer.Option(help="CA keys, one download row in hex a line.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the unit's kernel decides on a recorded card, and where it would differ."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise BadCardInput(f"{file}: cannot be read as text: {e}") from e
    store = known_keys.test_store()
    if capk is not None:
        known_keys.add_from_file(store, capk)
    result = kernel_replay.replay(transcript.parse(text, str(file)), store)
    if as_json:
        typer.echo(json.dumps(result.as_json()))
        return
    if result.outcome is None:
        typer.echo("no decision")
    else:
        o = result.outcome
        typer.echo(f"{kernel_replay.CODES[o.code]} ({o.reason}): {o.message}")
    for d in result.differences:
        typer.echo(
            f"line {d.line} byte {d.offset}: {d.what}: recorded {d.recorded}, ours {d.ours}"
        )
    for note in result.notes:
        typer.echo(f"note: {note}")


@app.command()
def cards(as_json: JsonOption = False) -> None:
    """List the bench's cards: what each is for, and how a tap of it should end.

    Each may be tapped on any reader and as either type: flagfall bench tap --card NAME.
    """
    from flagfall_host.bench.cards import catalogue

    rows = [
        {
            "name": name,
            "summary": catalogue.describe(name),
            "ecash": catalogue.expected(name, "ecash"),
            "oda": catalogue.expected(name, "oda"),
        }
        for name in catalogue.names()
    ]
    if as_json:
        typer.echo(json.dumps({"cards": rows}))
        return
    for row in rows:
        typer.echo(f"{row['name']:<20}{row['summary']}")
        typer.echo(f"{'':<20}e-cash: {row['ecash']}; transit ODA: {row['oda']}")
