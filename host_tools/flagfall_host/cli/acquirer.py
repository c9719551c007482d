"""`flagfall acquirer`: sign in, upload, settle; and a host to practise on."""

import contextlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from flagfall.receipt import money
from rich.progress import Progress

from flagfall_host.acquirer.batches import Settled
from flagfall_host.acquirer.client import Acquirer
from flagfall_host.acquirer.codec import decode as decode_frame
from flagfall_host.acquirer.codec import masked
from flagfall_host.acquirer.errors import AcquirerError, FrameError
from flagfall_host.acquirer.faults import MENU, Faults, read_plan
from flagfall_host.acquirer.offers import Offers
from flagfall_host.acquirer.offers import read as read_offers
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.report import upload_fields, upload_words
from flagfall_host.acquirer.simulator import run as run_simulator
from flagfall_host.acquirer.working_keys import TEST_MASTER_KEY, load_master_key
from flagfall_host.cli.acquirer_keys import app as keys_app
from flagfall_host.cli.acquirer_options import PROFILE, ProfileName, asks_acquirer
from flagfall_host.cli.acquirer_work import work
from flagfall_host.cli.options import Json

app = typer.Typer(help="Settle with the acquirer (ISO 8583).", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


def _say(as_json: bool, fields: dict[str, Any], text: str) -> None:
    typer.echo(json.dumps(fields) if as_json else text)


@app.command("sign-in")
@asks_acquirer
def sign_in(
    acquirer: Acquirer,
    terminal: str,
    as_json: Json = False,
) -> None:
    """Fetch working keys and the batch number (0800)."""
    batch = acquirer.sign_in()
    _say(as_json, {"terminal": terminal, "batch": batch}, f"{terminal}: signed in, batch {batch}")


@app.command()
@asks_acquirer
def upload(
    acquirer: Acquirer,
    unit: Annotated[
        list[str] | None, typer.Option(help="Only this unit's taps; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Upload every tap that was approved offline (0200). Safe to repeat at any time.

    Exit 1 if the acquirer refused one, or one could not be opened.
    """
    with Progress(transient=True, disable=as_json) as bar:
        task = bar.add_task("upload", total=None)
        result = acquirer.upload(
            lambda done, of: bar.update(task, completed=done, total=of), unit or None
        )
    _say(as_json, upload_fields(result), upload_words(result))
    if result.refused or result.unreadable:
        raise typer.Exit(1)


@app.command()
@asks_acquirer
def settle(
    acquirer: Acquirer,
    as_json: Json = False,
) -> None:
    """Close every open batch: compare totals with the acquirer (0500), tell all if they differ."""
    batches = acquirer.settle_all()
    if as_json:
        typer.echo(json.dumps([{**_shown(b), "balanced": b.balanced} for b in batches]))
        return
    for b in batches:
        how = "" if b.balanced else "; the totals did not balance, so each tap was told"
        typer.echo(f"settled: batch {b.batch}, {b.count} taps, {money(b.amount)}{how}")
    if not batches:
        typer.echo("nothing to settle")


app.command("work")(work)


def _shown(batch: Settled) -> dict[str, Any]:
    return {"batch": batch.batch, "payments": batch.count, "amount_minor": batch.amount}


@app.command()
@asks_acquirer
def echo(
    acquirer: Acquirer,
    host: str,
) -> None:
    """Ask whether the host is there (0820)."""
    acquirer.echo()
    typer.echo(f"{host} is there")


@app.command()
@asks_acquirer
def download(
    acquirer: Acquirer,
    fleet: Path,
    what: Annotated[
        list[str] | None,
        typer.Option(
            help="parameters, capk, aid, deny or deny-oda; may be repeated. Default all."
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="It is a test host: mark its CA keys as test keys.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch parameters, CA keys, AIDs and deny lists into FLEET/downloads (0800, 0820).

    What broke off goes on where it stopped. `flagfall unit config` gives the result to units.
    """
    for name in what or list(acquirer.profile.downloads):
        with Progress(transient=True, disable=as_json) as bar:
            task = bar.add_task(name, total=None)
            path, count = acquirer.download(
                name,
                fleet,
                test=test,
                said=lambda _, done: bar.update(task, completed=done),  # noqa: B023 - used at once
            )
        fields = {"download": name, "entries": count, "file": str(path)}
        _say(as_json, fields, f"{name}: {count} in {path}")


@app.command()
def decode(
    frame: Annotated[str, typer.Argument(help="A frame in hex.")],
    profile: ProfileName = PROFILE,
    length: Annotated[bool, typer.Option(help="The frame begins with its length.")] = False,
    as_json: Json = False,
) -> None:
    """Show a frame's fields. Card data are masked."""
    loaded = Profile.load(profile)
    try:
        raw = bytes.fromhex(frame)
    except ValueError as e:
        raise FrameError(f"not hex: {e}") from None
    message = decode_frame(loaded, raw[loaded.length_bytes :] if length else raw)
    fields = masked(message.fields)
    if as_json:
        typer.echo(json.dumps({"mti": message.mti, "fields": fields}))
        return
    typer.echo(f"TPDU {message.tpdu.hex()}  header {message.header.hex()}  MTI {message.mti}")
    for number, value in fields.items():
        typer.echo(f"  {number:>3}  {value}")


@app.command()
def simulate(
    book: Annotated[Path, typer.Option(help="The simulator's book (an SQLite file).")],
    issuer_keys: Annotated[
        Path, typer.Option(help="JSON file with the issuer's test key, test_imk_ac in hex.")
    ],
    port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.")] = 0,
    profile: ProfileName = PROFILE,
    fault: Annotated[
        list[str] | None,
        typer.Option(help=f"NAME[@MTI]=COUNT: the next messages meet it. {', '.join(MENU)}."),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(help='JSON file of faults: {"drop": 2, "late@0500": 1, "chaos": SEED}.'),
    ] = None,
    answer_s: Annotated[
        float | None, typer.Option(help="How long its terminals wait; default: the profile's.")
    ] = None,
    delay_ms: Annotated[int, typer.Option(help="How long it thinks about each message.")] = 0,
    tmk: Annotated[
        Path, typer.Option(help="TOML file with the terminals' master key (tmk, hex).")
    ] = TEST_MASTER_KEY,
    downloads: Annotated[
        Path | None,
        typer.Option(help="TOML file of what it offers: parameters, capk, aid, deny, deny-oda."),
    ] = None,
) -> None:
    """Run an acquirer's host to practise on. Prints its address as one JSON line."""
    plan, chaos = read_plan(faults) if faults else ({}, None)
    for entry in fault or []:
        name, _, count = entry.partition("=")
        if not (count or "1").isdigit():
            raise AcquirerError(f"--fault {entry}: a count is needed, such as drop=2")
        plan[name] = int(count or "1")
    with contextlib.suppress(KeyboardInterrupt):
        run_simulator(
            book,
            port,
            issuer_keys,
            profile,
            Faults(plan, chaos),
            answer_s=answer_s,
            delay_s=delay_ms / 1000,
            master_key=load_master_key(tmk),
            offers=read_offers(downloads) if downloads else bench_offers(),
        )


def bench_offers() -> Offers:
    """The bench's CA keys and AIDs."""
    from flagfall_host.bench import install
    from flagfall_host.bench.cards import catalogue

    rows = [bytes.fromhex(row) for row in install.settings(1000)["aids"]]
    return Offers({"11": "60"}, catalogue.capk_tlvs(), rows)
