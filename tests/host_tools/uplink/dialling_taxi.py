"""Taxis that are set up to dial a gateway, and what tests ask of them."""

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from bench_taxi import START, Garage, K
from flagfall.clock import to_unix
from flagfall.journal import schema
from flagfall.link import messages
from flagfall.link.proof import journal_key
from flagfall_host.bench import install
from flagfall_host.bench.modem import ModemSettings
from flagfall_host.bench.shift import DRIVER
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.ledger import Ledger, tables

NAME, PORT = "gateway.test", 9105
UPLINK = {"gateway": f"{NAME}:{PORT}", "apn": "internet", "every_s": 86_400, "pong_s": 1}
HEAP = "700K"


class DiallingGarage(Garage):
    """Its units know the gateway (`fields`: of their settings for the uplink)."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self._template = folder / "template"
        self.fleet_folder = folder / "fleet"
        self.fleet = Fleet.create(self.fleet_folder, "test")
        with Taxi(self._template, k=K, utc_s=START, heap=HEAP) as taxi:
            taxi.unit.power_on()
            install.install(taxi, self.fleet, K, uplink=UPLINK | fields)
            taxi.press("SIGN", DRIVER, what="the sign-in", driver=DRIVER)
            taxi.stand(2)

    def dialling(self, folder: Path, modem: ModemSettings | None = None, **settings: Any) -> Taxi:
        """A taxi whose network tells the world's time."""
        modem = modem or ModemSettings()
        taxi = self.taxi(folder, modem=modem, heap=HEAP, **settings)
        if modem.utc is None:
            modem.utc = lambda: datetime.datetime.fromtimestamp(
                to_unix(taxi.world.utc_s), datetime.UTC
            )
        return taxi


def stand_until(taxi: Taxi, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Let the world's time pass until it has come."""
    limit = time.monotonic() + seconds
    while not condition():
        log = taxi.unit.log()
        assert not log, log
        assert time.monotonic() < limit, f"waited in vain for {what}"
        taxi.world.run(1_000, step_ms=500)
        time.sleep(0.01)


def short_trip(taxi: Taxi) -> None:
    """Hire, stop, cash, vacant: four records and no distance."""
    taxi.press("HIRED", what="the hire", position="HIRED")
    taxi.stand(2)
    taxi.press("STOP", what="the stop", position="STOPPED")
    taxi.press("CASH", what="the cash", paid=1)
    jobs = len(taxi.world.paper.jobs)
    taxi.world.wait(lambda: len(taxi.world.paper.jobs) >= max(jobs, 1), "the receipt")
    taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
    taxi.stand(1)


def info(taxi: Taxi, fleet: Fleet) -> dict[str, Any]:
    """What `flagfall unit info` shows."""
    with Link(SerialWire(taxi.port), fleet.unit_key) as link:
        link.open()
        return link.ask(messages.INFO)


def seqs(ledger: Path) -> list[int]:
    """The seq of every record that the ledger has of the unit."""
    with Ledger.open(ledger) as books, books.reading() as connection:
        r = tables.RECORDS.c
        rows = connection.execute(sa.select(r.seq).where(r.unit_id == install.UNIT_ID))
        return sorted(seq for (seq,) in rows)


def rows(ledger: Path, what: str) -> list[dict[str, Any]]:
    """The ledger's rows: trips, events, ..."""
    with Ledger.open(ledger) as books:
        return list(books.rows(what))


def uplink_events(ledger: Path) -> list[str]:
    """What the unit has booked about its uplink."""
    return [row["text"] for row in rows(ledger, "events") if row["code"] == schema.UPLINK]


def check(ledger: Path, fleet: Fleet) -> None:
    """Every record once, none missing, all of it good."""
    found = seqs(ledger)
    assert found == list(range(1, len(found) + 1))
    with Ledger.open(ledger) as books:
        key = lambda unit_id: journal_key(fleet.unit_key(unit_id))  # noqa: E731
        assert not list(books.check(journal_key=key))
