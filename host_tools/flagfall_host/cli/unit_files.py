"""`flagfall unit push` and `flagfall unit config`: what the office gives a unit, what it has."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from flagfall import clock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from flagfall_host.cli.options import FLEET, Baud, Fast, FleetDir, Json, Port
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.pushed_files import KINDS, PushedFileError, PushKind
from flagfall_host.depot.serial_wire import BASE_BAUD, SerialWire
from flagfall_host.depot.speed import FAST_BAUD, find_unit, raise_speed
from flagfall_host.depot.unit_files import InForce, Prepared, UnitFiles

_LONG = 16_384  # bytes from which on a higher speed is worth its probing
ALL = "all"


def push(
    what: Annotated[
        list[str],
        typer.Argument(
            help="Kinds (tariff, config, capk, revoked, deny, texts, campaigns, drivers, "
            "language), files, a kind and its file, or all: everything that differs from the "
            "office folder."
        ),
    ],
    port: Port,
    fleet: FleetDir = FLEET,
    baud: Baud = BASE_BAUD,
    fast: Fast = FAST_BAUD,
    as_json: Json = False,
) -> None:
    """Give the unit what the office has for it.

    A kind alone comes from the office folder (office/ in the fleet folder). Each file is signed
    and gets a version; an older one is never put in force again, and one that the unit finds
    wrong leaves the old one. Tariff, settings and CA keys are under the unit's seal: this tool
    signs the permit too, and the unit counts the change in its audit trail.

    Examples: `push all`, `push deny texts`, `push tariff hefei`, `push language zh-CN`,
    `push office/texts.toml`.
    """
    wanted = _wanted(what)
    keys = Fleet.open(fleet)
    with Link(SerialWire(port, baud), keys.unit_key) as link, _bars() as bars:
        find_unit(link)
        link.open()
        files = UnitFiles(link, keys, clock.from_unix(int(time.time())))
        if wanted is None:
            wanted = [(kind, None) for kind in files.office.kinds(files.unit_id)]
        results = []
        for kind, name in wanted:
            made = files.from_office(kind) if name is None else files.from_file(kind, name)
            if made.signed:
                if len(made.signed) > _LONG and link.wire.baud < fast:
                    raise_speed(link, fast)
                bar = bars.add_task(f"{files.unit_id} {kind}", total=len(made.signed))
                files.push(made, lambda sent, total, bar=bar: bars.update(bar, completed=sent))  # type: ignore[misc]
            results.append(_result(files.unit_id, made))
    if as_json:
        typer.echo(json.dumps(results[0] if len(results) == 1 else results))
        return
    if not results:
        typer.echo(f"{files.office.path}: holds nothing for {files.unit_id}")
    for result in results:
        typer.echo(_line(result))


def _wanted(words: list[str]) -> list[tuple[PushKind, str | None]] | None:
    """What the words ask for; None: all. A word behind a kind that is no kind is its file."""
    if words == [ALL]:
        return None
    out: list[tuple[PushKind, str | None]] = []
    for word in words:
        if word in KINDS:
            out.append((PushKind(word), None))
        elif out and out[-1][1] is None:
            out[-1] = (out[-1][0], word)
        else:
            out.append((_kind_of(word), word))
    return out


def _kind_of(name: str) -> PushKind:
    """A file says by its name what it is: texts.toml, deny-390.txt, tariff.bin."""
    stem = Path(name).stem.split("-")[0]
    if stem in KINDS:
        return PushKind(stem)
    raise PushedFileError(
        f"{name}: what is it? Put the kind before it ({', '.join(PushKind)}), or `all` alone"
    )


def _result(unit_id: str, made: Prepared) -> dict[str, Any]:
    return {
        "unit": unit_id,
        "kind": made.kind.value,
        "version": made.version,
        "sha256": made.sha256,
        "bytes": len(made.signed),
        "delta": made.delta,
        "in_force": True,
        "pushed": bool(made.signed),
    }


def _line(result: dict[str, Any]) -> str:
    what = f"{result['unit']}  {result['kind']} version {result['version']}"
    if not result["pushed"]:
        return f"{what}: in force already"
    delta = ", a delta" if result["delta"] else ""
    return f"{what}: in force ({result['bytes']} bytes{delta})"


def _bars() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def config(
    port: Port, fleet: FleetDir = FLEET, baud: Baud = BASE_BAUD, as_json: Json = False
) -> None:
    """Show what is in force on the unit, and how it differs from what the office has.

    One line a kind: version, date, the beginning of the content's SHA-256, and what to do.
    """
    keys = Fleet.open(fleet)
    with Link(SerialWire(port, baud), keys.unit_key) as link:
        find_unit(link)
        link.open()
        files = UnitFiles(link, keys, clock.from_unix(int(time.time())))
        rows = compared(files)
    if as_json:
        typer.echo(json.dumps({"unit": files.unit_id, "kinds": rows}))
        return
    table = Table("kind", "version", "made", "sha256", "against the office", box=None)
    for row in rows:
        table.add_row(
            row["kind"],
            str(row["version"] or "-"),
            row["made"] or "-",
            row["sha256"][:12] or "-",
            row["state"],
        )
    typer.echo(f"unit {files.unit_id}")
    Console(highlight=False, soft_wrap=True).print(table)


def compared(files: UnitFiles) -> list[dict[str, Any]]:
    """A row for each kind that the unit or the office has. Changes nothing anywhere."""
    found = files.in_force()
    offered = files.office.kinds(files.unit_id)
    out = []
    for name in [*PushKind, *(n for n in found if n not in KINDS)]:
        there = found.get(name)
        kind = KINDS.get(name)
        if there is None and kind not in offered:
            continue
        state = _state(files, kind, there, kind in offered) if kind else "waits for its day"
        there = there or InForce(0, 0, "", 0)
        made = clock.iso8601(there.made) if there.made else ""
        out.append(
            {
                "kind": str(name),
                "version": there.version,
                "made": made,
                "sha256": there.sha256,
                "state": state,
            }
        )
    return out


def _state(files: UnitFiles, kind: PushKind, there: InForce | None, offered: bool) -> str:
    if not offered:
        return "the office folder has none"
    try:
        sha256 = files.office_sha256(kind)
    except PushedFileError as e:
        return str(e)
    if there is not None and there.sha256 == sha256:
        return "the same"
    waiting = files.in_force().get(f"{kind}-next")
    if waiting is not None and waiting.sha256 == sha256:
        return "the same, waiting for its day"
    if there is None or (not there.sha256 and there.newest):
        return f"missing on the unit: push {kind}"
    if not there.sha256:
        return f"from the workshop, unsigned: push {kind}"
    return f"differs: push {kind}"
