"""`flagfall unit`: everything one does with a unit on a cable."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from flagfall import clock
from flagfall.link import messages
from flagfall.meter import calibration
from serial.tools import list_ports

from flagfall_host.cli import unit_files
from flagfall_host.cli.options import FLEET, LEDGER, Baud, Fast, FleetDir, Json, LedgerPlace, Port
from flagfall_host.cli.pull_progress import PullDisplay
from flagfall_host.cli.unit_log import log
from flagfall_host.cli.unit_selftest import selftest
from flagfall_host.cli.unit_words import info_words, pull_words
from flagfall_host.cli.update import update
from flagfall_host.depot import permit
from flagfall_host.depot.authority import certificate_file
from flagfall_host.depot.fleet import Fleet, FleetError
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import FactoryState, LinkError, UnknownUnit
from flagfall_host.depot.many_pulls import Outcome, Settings, pull_all
from flagfall_host.depot.permit import push_permit
from flagfall_host.depot.provision import Identity, check_unit_id
from flagfall_host.depot.provision import provision as provision_unit
from flagfall_host.depot.push import push as push_file
from flagfall_host.depot.pushed_files import PushKind, read_pushed_file
from flagfall_host.depot.serial_wire import BASE_BAUD, SerialWire
from flagfall_host.depot.speed import FAST_BAUD, find_unit
from flagfall_host.errors import FlagfallError


class CalibrationFailed(FlagfallError):
    """The drive cannot give a k, or the unit has no meter to calibrate."""


app = typer.Typer(help="Talk to a unit over its cable.", no_args_is_help=True)


class NoPort(LinkError):
    """No port was named and none is there."""


@contextlib.contextmanager
def _link(port: str, keys: Fleet, baud: int) -> Iterator[Link]:
    """An opened link to the unit on `port`."""
    with Link(SerialWire(port, baud), keys.unit_key) as link:
        find_unit(link)
        link.open()
        yield link


def _print(fields: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(fields))
        return
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        typer.echo(f"{name.replace('_', ' '):{width}}  {value}")


@app.command()
def ports(as_json: Json = False) -> None:
    """List the serial ports of this machine."""
    found = {p.device: p.description for p in list_ports.comports()}
    if as_json:
        typer.echo(json.dumps(found))
    elif not found:
        typer.echo("no serial ports: is the cable plugged in?")
    else:
        for device, description in found.items():
            typer.echo(f"{device}  {description}")


@app.command()
def info(
    port: Port, fleet: FleetDir = FLEET, baud: Baud = BASE_BAUD, as_json: Json = False
) -> None:
    """Say what the unit is and how it is. Without its key: model, version and id only."""
    try:
        keys: Fleet | None = Fleet.open(fleet)
    except FleetError:
        if fleet != FLEET:
            raise
        keys = None  # nobody named a folder: say what anyone may know
        typer.echo(
            f"without the keys of the unit's fleet (no use of {fleet}) it says only this much:",
            err=True,
        )
    with Link(SerialWire(port, baud), keys.unit_key if keys else lambda _: None) as link:
        fields: dict[str, Any] = {}
        with contextlib.suppress(FactoryState, UnknownUnit):
            find_unit(link)
            link.open()
            fields = link.ask(messages.INFO)
        unit = link.unit
    assert unit is not None  # noqa: S101 - open() has set it or raised something else
    state = "provisioned" if unit.provisioned else "factory: no key yet"
    named = {"unit": unit.unit_id, "state": state, "model": unit.model, "version": unit.version}
    if not as_json:
        fields = info_words(
            {k: v for k, v in fields.items() if k not in named}, clock.from_unix(time.time())
        )
    _print({"port": port, **named, **fields}, as_json)


@app.command()
def pull(
    port: Annotated[
        list[str] | None,
        typer.Option(help="The serial port; several units: repeat it.", envvar="FLAGFALL_PORT"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Pull at all serial ports.")] = False,
    fleet: FleetDir = FLEET,
    ledger: LedgerPlace = LEDGER,
    baud: Baud = BASE_BAUD,
    fast: Fast = FAST_BAUD,
    accept_damaged: Annotated[
        bool,
        typer.Option(
            "--accept-damaged",
            help="Book records that are damaged, forged or gone as lost; the unit frees them.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Pull all new records into the ledger and hand back the receipt."""
    where = list(port or ())
    if every:
        where += [p.device for p in list_ports.comports()]
    if not where:
        raise NoPort("no port to pull from: name one with --port, or plug in a cable (--all)")
    from flagfall_host.ledger import Ledger

    keys = Fleet.open(fleet)
    with Ledger.open(ledger) as book, PullDisplay() as display:
        settings = Settings(keys.unit_key, book, baud, fast, accept_damaged)
        outcomes = pull_all(where, settings, display.bar)
    results = [_pulled(o) for o in outcomes]
    if as_json:
        typer.echo(json.dumps(results[0] if len(results) == 1 else results))
    else:
        for result in results:
            if "records" in result:
                typer.echo("\n".join(pull_words(result)))
    errors = [o.error for o in outcomes if o.error is not None]
    for error in errors[:-1]:
        typer.echo(f"flagfall: {error}", err=True)
    if errors:
        raise errors[-1]


def _pulled(outcome: Outcome) -> dict[str, Any]:
    out: dict[str, Any] = {"port": outcome.port}
    if outcome.error is not None:
        out["error"] = str(outcome.error)
    result = outcome.result
    if result is None:
        return out
    return out | {
        "unit": result.unit_id,
        "records": result.records,
        "bytes": result.record_bytes,
        "repeated": result.repeated,
        "newest": result.last_seq,
        "receipt_up_to": result.receipt_upto,
        "sectors_freed": result.freed,
        "damaged": [[d.first_seq, d.last_seq] for d in result.damaged],
        "missing": [list(m) for m in result.missing],
        "refused": [why for _, why in result.refused],
        "findings": result.findings,
        "seconds": round(result.seconds, 3),
    }


app.command()(log)
app.command()(selftest)
app.command()(unit_files.push)
app.command()(unit_files.config)
app.command()(update)


@app.command(name="time")
def set_time(
    port: Port,
    fleet: FleetDir = FLEET,
    baud: Baud = BASE_BAUD,
    at: Annotated[
        int | None, typer.Option(help="UTC seconds since 1970 instead of this machine's clock.")
    ] = None,
    under_seal: Annotated[
        bool,
        typer.Option(
            "--under-seal", help="Sign a permit: for a clock that is off by more than 2 minutes."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Set the unit's clock to this machine's.

    The unit allows 2 minutes a week, and nothing during a trip; more needs a permit.
    """
    keys = Fleet.open(fleet)
    with _link(port, keys, baud) as link:
        now = clock.from_unix(time.time() if at is None else at)
        if under_seal:
            content = now.to_bytes(4, "little")
            push_permit(link, keys.private_key, permit.TIME, content)
        was = link.ask(messages.TIME, messages.pack_u32(now)).get("was")
        assert link.unit is not None  # noqa: S101 - open() has set it
        fields: dict[str, Any] = {"unit": link.unit.unit_id, "time": clock.iso8601(now)}
    if isinstance(was, int):
        fields |= {"was": clock.iso8601(was), "off_by_s": was - now}
    _print(fields, as_json)


@app.command()
def calibrate(
    port: Port,
    stretch_m: Annotated[int, typer.Option(help="Length of the measured stretch in metres.")],
    aim_percent: Annotated[
        float, typer.Option(help="The reading error to aim at; JJG 517 allows -4 to +1.")
    ] = calibration.DEFAULT_AIM_PPM / 10_000,
    fleet: FleetDir = FLEET,
    baud: Baud = BASE_BAUD,
    yes: Annotated[bool, typer.Option("--yes", help="Put the new k in force unasked.")] = False,
    as_json: Json = False,
) -> None:
    """Find k by driving a measured stretch, and put it in force under a permit.

    The unit must be For Hire. It counts; you say where the stretch begins and ends.
    """
    keys = Fleet.open(fleet)
    with _link(port, keys, baud) as link:
        input("Stop at the start of the stretch, then press Enter. ")
        begin = link.ask(messages.INFO)
        input("Drive the stretch, stop at its end, then press Enter. ")
        end = link.ask(messages.INFO)
        before, after, old = begin.get("pulses"), end.get("pulses"), end.get("k")
        if not (isinstance(before, int) and isinstance(after, int) and isinstance(old, int)):
            raise CalibrationFailed(f"{port}: the unit has no meter yet: provision it first")
        pulses = after - before
        try:
            k = calibration.constant(pulses, stretch_m * 1_000, round(aim_percent * 10_000))
        except calibration.CalibrationError as e:
            raise CalibrationFailed(f"{port}: {pulses} pulses over {stretch_m} m: {e}") from e
        error = calibration.reading_error_ppm(old, pulses, stretch_m * 1_000)
        typer.echo(f"{pulses} pulses; k {old} reads {error / 10_000:+.2f} %; new k {k}", err=True)
        changed = yes or typer.confirm(f"Put k {k} in force?", err=True)
        if changed:
            content = str(k).encode()
            push_permit(link, keys.private_key, permit.K, content)
            push_file(link, "k", content)
    fields = {"pulses": pulses, "stretch_m": stretch_m, "was": old, "k": k, "in_force": changed}
    _print(fields, as_json)


@app.command()
def provision(
    port: Port,
    unit_id: Annotated[str, typer.Option("--unit", help="The unit's new id: A-Z, 0-9 and -.")],
    config: Annotated[
        str | None, typer.Option(help="Its configuration, a JSON or TOML file.")
    ] = None,
    epoch: Annotated[
        int | None,
        typer.Option(help="Its first epoch.", show_default="above all that the ledger has"),
    ] = None,
    fleet: FleetDir = FLEET,
    ledger: LedgerPlace = LEDGER,
    baud: Baud = BASE_BAUD,
    as_json: Json = False,
) -> None:
    """Give a unit in factory state its id and keys, and its certificate for the uplink."""
    check_unit_id(unit_id)
    keys = Fleet.open(fleet)
    settings = json.loads(read_pushed_file(PushKind.CONFIG, config)) if config else None
    first = _next_epoch(ledger, unit_id) if epoch is None else epoch
    identity = Identity(unit_id, keys.unit_key(unit_id), keys.public_der, first)
    authority = keys.authority()
    certificate = certificate_file(authority, authority.issue_unit(unit_id))
    with Link(SerialWire(port, baud), keys.unit_key) as link:
        find_unit(link)
        dials = provision_unit(link, identity, settings, certificate)
    uplink = "certificate given" if dials else "none: this firmware takes no certificate"
    fields = {"unit": unit_id, "state": "provisioned", "epoch": first, "uplink": uplink}
    _print(fields | {"key_id": keys.key_id.hex()}, as_json)


@app.command()
def certificate(
    port: Port, fleet: FleetDir = FLEET, baud: Baud = BASE_BAUD, as_json: Json = False
) -> None:
    """Give a unit a new certificate to dial the gateway with; the one before is not used any more.

    For a unit that was provisioned before it had a modem, or whose key may be in other hands.
    """
    keys = Fleet.open(fleet)
    authority = keys.authority()
    with _link(port, keys, baud) as link:
        assert link.unit is not None  # noqa: S101 - the link is open
        issued = authority.issue_unit(link.unit.unit_id)
        push_file(link, "certificate", certificate_file(authority, issued))
        until = issued.certificate.not_valid_after_utc.strftime("%Y-%m-%d")
        _print({"unit": link.unit.unit_id, "certificate": f"good until {until}"}, as_json)


def _next_epoch(where: str, unit_id: str) -> int:
    """1, or for an id that was in use before, one more than the ledger has of it."""
    if "://" not in where and not Path(where).exists():
        return 1
    from flagfall_host.ledger import Ledger
    from flagfall_host.ledger.tables import UNITS

    question = sa.select(UNITS.c.max_epoch).where(UNITS.c.unit_id == unit_id)
    with Ledger.open(where) as book, book.reading() as connection:
        return (connection.execute(question).scalar() or 0) + 1
