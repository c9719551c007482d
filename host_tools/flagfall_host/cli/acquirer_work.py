"""`flagfall acquirer work`: upload and settle for many terminals at once."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from flagfall.receipt import money
from rich.progress import Progress

from flagfall_host.acquirer import served
from flagfall_host.acquirer.keys import open_keys
from flagfall_host.acquirer.lines import CONNECTIONS
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.report import upload_fields, upload_words
from flagfall_host.acquirer.talk import UploadResult
from flagfall_host.acquirer.worker import Round, Worker
from flagfall_host.cli.acquirer_options import (
    PROFILE,
    HostPort,
    KeysPlace,
    ProfileName,
    address,
)
from flagfall_host.cli.options import FLEET, LEDGER, FleetDir, Json, LedgerPlace
from flagfall_host.depot.fleet import Fleet
from flagfall_host.errors import FlagfallError
from flagfall_host.ledger import Ledger


def work(
    host: HostPort,
    ledger: LedgerPlace = LEDGER,
    fleet: FleetDir = FLEET,
    terminals: Annotated[
        Path,
        typer.Option(
            help="TOML file: which terminal each unit's taps go by.",
            envvar="FLAGFALL_TERMINALS",
        ),
    ] = Path(served.FILE_NAME),
    settle: Annotated[
        bool, typer.Option("--settle", help="Settle every open batch, not only full ones.")
    ] = False,
    every: Annotated[
        float, typer.Option(help="Go on, and look for work every so many seconds; 0: once.")
    ] = 0,
    connections: Annotated[
        int, typer.Option(min=1, max=64, help="Connections to the host, for all terminals.")
    ] = CONNECTIONS,
    profile: ProfileName = PROFILE,
    keys: KeysPlace = "",
    as_json: Json = False,
) -> None:
    """Upload for all terminals of a file at once; any number of workers may run, any may die.

    A worker claims the terminals that have work, signs them in where needed, uploads, and settles
    batches that are full, or all with --settle. Exit 1 if a terminal failed or a tap was refused.
    """
    name, port = address(host)
    wanted = served.read(terminals)
    private = Fleet.open(fleet).private_key
    with Ledger.open(ledger) as book:
        worker = Worker(
            book,
            private,
            wanted,
            name,
            port,
            profile=Profile.load(profile),
            keys=open_keys(keys),
            connections=connections,
        )

        def say(done: Round) -> None:
            typer.echo(json.dumps(_fields(done)) if as_json else _words(done))

        with contextlib.suppress(KeyboardInterrupt):
            good = asyncio.run(_work(worker, settle, every, as_json, say))
            if not good:
                raise typer.Exit(1)


async def _work(
    worker: Worker, settle: bool, every: float, quiet: bool, say: Callable[[Round], None]
) -> bool:
    try:
        while True:
            with Progress(transient=True, disable=quiet) as bar:
                task = bar.add_task("taps uploaded", total=None)

                def shown(result: UploadResult) -> None:
                    bar.update(task, completed=result.accepted)  # noqa: B023 - used at once

                try:
                    done = await worker.until_done(settle, shown)
                except FlagfallError as e:
                    if not every:
                        raise
                    done = Round(failed={"all": e})  # the ledger was away: look again later
            say(done)
            if not every:
                return not (done.failed or done.uploaded.refused or done.uploaded.unreadable)
            await asyncio.sleep(every)
    finally:
        await worker.close()


def _fields(done: Round) -> dict[str, object]:
    return {
        **upload_fields(done.uploaded),
        "settled": [
            {
                "terminal": terminal,
                "batch": row.batch,
                "payments": row.count,
                "amount_minor": row.amount,
                "balanced": row.balanced,
            }
            for terminal, row in done.settled
        ],
        "failed": {terminal: str(error) for terminal, error in done.failed.items()},
        "unserved": done.unserved,
    }


def _words(done: Round) -> str:
    lines = [upload_words(done.uploaded)]
    if done.settled:
        total = sum(row.amount for _, row in done.settled)
        taps = sum(row.count for _, row in done.settled)
        lines.append(f"settled: {len(done.settled)} batches, {taps} taps, {money(total)}")
    for terminal, row in done.settled:
        if not row.balanced:
            lines.append(
                f"terminal {terminal}, batch {row.batch}: the totals did not balance, so each tap "
                "was told"
            )
    lines += [f"terminal {terminal}: {error}" for terminal, error in done.failed.items()]
    lines += [
        f"unit {unit}: {count} taps wait: no terminal takes them; name it in the terminals file"
        for unit, count in done.unserved.items()
    ]
    return "\n".join(lines)
