"""Several units pulled at once, each from its own port in its own thread."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from flagfall_host.depot.link import Link
from flagfall_host.depot.pull import Progress, pull
from flagfall_host.depot.pulled import Ledger, LostRecords, PullResult
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.depot.speed import find_unit, raise_speed
from flagfall_host.errors import FlagfallError


class Bar(Progress, Protocol):
    """What shows one pull: called as `depot.pull.Progress`, and told the name and the end."""

    def name(self, words: str) -> None: ...

    def end(self, words: str) -> None: ...


@dataclass
class Outcome:
    """How the pull at one port went: a result, an error, or both (LostRecords)."""

    port: str
    result: PullResult | None = None
    error: FlagfallError | None = None


@dataclass(frozen=True)
class Settings:
    """How to pull: speeds in bit/s (`fast` 0 stays at `baud`)."""

    key_of: Callable[[str], bytes | None]
    ledger: Ledger
    baud: int
    fast: int
    accept_damaged: bool = False


def pull_one(port: str, settings: Settings, bar: Bar) -> Outcome:
    """Pull the unit at `port`. Errors are returned, not raised."""
    outcome = Outcome(port)
    try:
        with Link(SerialWire(port, settings.baud), settings.key_of) as link:
            find_unit(link)
            bar.name(link.open().unit_id)
            raise_speed(link, settings.fast)
            outcome.result = pull(
                link, settings.ledger, bar, accept_damaged=settings.accept_damaged
            )
        bar.end("done")
    except LostRecords as e:
        outcome.result, outcome.error = e.result, e
        bar.end("done, with losses")
    except FlagfallError as e:
        outcome.error = e
        bar.end("failed")
    return outcome


def pull_all(ports: list[str], settings: Settings, bar_of: Callable[[str], Bar]) -> list[Outcome]:
    """Pull all ports at once; one that fails does not stop the others."""
    where = list(dict.fromkeys(ports))
    outcomes: dict[str, Outcome] = {}
    faults: list[Exception] = []

    def run(port: str, bar: Bar) -> None:
        try:
            outcomes[port] = pull_one(port, settings, bar)
        except Exception as fault:  # of the program itself: raised below, not lost with a thread
            faults.append(fault)

    threads = [
        threading.Thread(target=run, args=(port, bar_of(port)), name=f"pull {port}", daemon=True)
        for port in where
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return [outcomes[port] for port in where]
