"""Units, HAProxy, three gateways and a synchronous pair, with gateways and the primary killed.

Every record booked once, every receipt true, nothing lost.
"""

import asyncio
import collections
import contextlib
import hashlib
import os
import threading
import time

import pytest
import sqlalchemy as sa
from dialling_unit import SimUnit, client_context, dial, drive, talk
from flagfall_host.depot.link_errors import LinkError
from flagfall_host.ledger import Ledger, LedgerError, placements
from flagfall_host.ledger.tables import RECORDS
from fleet_on_host import Fleet, haproxy
from gateway_on_host import gateway_here, gateways
from postgresql_pair import NETWORK, Pair

SOAK = bool(os.environ.get("FLAGFALL_SOAK"))
RECORDS_EACH = 50


class Killer:
    """Kills and starts gateways in turn, and the database's primary once."""

    def __init__(self, running, pair, fleet, every_s, primary_at):
        self.running, self.pair, self.fleet = running, pair, fleet
        self.every_s, self.primary_at = every_s, primary_at
        self.gateways = 0
        self.failed_over_s = 0.0
        self.errors = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._kill_gateways, self._kill_primary)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert self.errors == []

    def _guarded(self, work):
        try:
            work()
        except Exception as e:
            self.errors.append(repr(e))

    def _kill_gateways(self):
        while not self._stop.wait(self.every_s):
            victim = self.running[self.gateways % len(self.running)]
            self.gateways += 1
            victim.kill()
            victim.start()

    def _kill_primary(self):
        while self.fleet.through < self.primary_at:
            if self._stop.wait(0.05):
                return
        began = time.monotonic()
        self.pair.fail_over()
        self.failed_over_s = time.monotonic() - began
        self.pair.take_back()


def booked(ledger):
    """unit id -> (seqs, SHA-256 of the records in their order)."""
    r = RECORDS.c
    out = collections.defaultdict(lambda: ([], hashlib.sha256()))
    with ledger.reading() as connection:
        rows = connection.execute(sa.select(r.unit_id, r.seq, r.raw).order_by(r.unit_id, r.seq))
        for unit_id, seq, raw in rows:
            seqs, digest = out[unit_id]
            seqs.append(seq)
            if seq <= RECORDS_EACH:
                digest.update(bytes(raw))
    return {unit: (seqs, digest.hexdigest()) for unit, (seqs, digest) in out.items()}


def survive(office, count, processes, ramp_s, every_s, seconds):
    """Run it; returns the figures. What is not as it must be fails here."""
    with Pair() as pair, contextlib.ExitStack() as stack:
        running = stack.enter_context(gateways(office, pair.url, 3))
        for each in running:  # started again at the same place
            each._words[5], each._words[7] = f"127.0.0.1:{each.port}", f"127.0.0.1:{each.watch}"
        port = stack.enter_context(haproxy(office, running))
        fleet = Fleet(
            office,
            port,
            count,
            records=RECORDS_EACH,
            processes=processes,
            ramp_s=ramp_s,
            seconds=seconds,
        )
        stack.callback(fleet.close)
        began = time.monotonic()
        with Killer(running, pair, fleet, every_s, 0.4) as killer:
            fleet.go()
            fleet.wait(seconds + 30)
            took = time.monotonic() - began
        with Ledger.open(pair.url) as ledger:
            found = booked(ledger)
            findings = ledger.check(journal_key=None)
            receipts = {u: ledger.receipt(u) for u in found}
        assert pair.second.script("state", pair.second.data).startswith("primary, guarded by: db1")
    assert len(fleet.units) == count and all(u["done"] for u in fleet.units)
    assert killer.failed_over_s > 0 and killer.gateways > 0
    for unit in fleet.units:
        name = unit["unit"]
        seqs, digest = found[name]
        assert seqs == list(range(1, len(seqs) + 1)), f"{name}: not each record once"
        assert digest == unit["digest"], f"{name}: other bytes than it wrote"
        assert unit["asked_again"] == [], f"{name}: a receipt was not true"
        # Whatever it was told is booked; the database that is left knows it.
        assert max(seq for _, seq in unit["receipts"]) <= receipts[name].seq
    assert [f for f in findings if f.kind != "open"] == []
    seconds_each = sorted(u["seconds"] for u in fleet.units)
    return {
        "units": count,
        "records": sum(len(seqs) for seqs, _ in found.values()),
        "seconds": round(took, 1),
        "gateways killed": killer.gateways,
        "failover seconds": round(killer.failed_over_s, 1),
        "dials": sum(u["dials"] for u in fleet.units),
        "p50": round(seconds_each[len(seconds_each) // 2], 2),
        "p99": round(seconds_each[int(len(seconds_each) * 0.99)], 2),
    }


def a_unit(office, unit_id):
    unit = SimUnit(unit_id, office.fleet.unit_key(unit_id))
    unit.append(RECORDS_EACH)
    return unit, client_context(office.authority, office.certificate(unit_id))


@pytest.fixture(scope="module")
def pair():
    with Pair() as pair:
        yield pair


def test_a_commit_whose_wait_for_the_standby_was_cancelled_is_no_success(pair):
    with Ledger.open(pair.url) as ledger:
        pair.second.freeze()
        booking = threading.Thread(target=lambda: cancelled.append(_book_error(ledger)))
        cancelled: list[str] = []
        booking.start()
        with sa.create_engine(ledger.engine.url, isolation_level="AUTOCOMMIT").connect() as other:
            cancel = sa.text(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
            while not other.execute(cancel).all():
                time.sleep(0.05)
        booking.join(60)
        pair.second.thaw()
        assert "not on its standby" in cancelled[0]


def _book_error(ledger):
    try:
        placements.revoke(ledger, "CAB-9", "a test")
    except LedgerError as e:
        return str(e)
    return "no error"


def test_no_receipt_before_the_standby_has_it(office, pair):
    """A commit that only the primary has is none: when it dies, the unit still holds all."""

    async def run(ledger):
        async with gateway_here(office, ledger) as gateway:
            unit, tls = a_unit(office, "CAB-1")
            pair.second.freeze()
            talking = asyncio.create_task(talk(unit, await dial("127.0.0.1", gateway.port, tls)))
            while gateway._desk.longest_wait() < 1.0 and not talking.done():
                await asyncio.sleep(0.05)
            assert unit.receipts == [] and not talking.done()
            await asyncio.to_thread(pair.first.kill)
            pair.second.thaw()
            await asyncio.to_thread(pair.second.script, "promote", pair.second.data, NETWORK)
            with pytest.raises(LinkError):
                await talking
            assert unit.receipts == []
            await drive(unit, "127.0.0.1", gateway.port, tls, 60)
            assert unit.asked_again == [] and unit.receipts[0] == (1, RECORDS_EACH)
            assert (await asyncio.to_thread(booked, ledger))["CAB-1"][1] == unit.digest(1, 50)

    with Ledger.open(pair.url) as ledger:
        asyncio.run(asyncio.wait_for(run(ledger), 150))


SMALL = {"count": 60, "processes": 1, "ramp_s": 5.0, "every_s": 2.5, "seconds": 100}
WHOLE = {"count": 2_000, "processes": 4, "ramp_s": 60.0, "every_s": 4.0, "seconds": 900}


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("size", [SMALL, WHOLE] if SOAK else [SMALL], ids=lambda s: s["count"])
def test_a_fleet_loses_nothing(office, size):
    print(survive(office, **size))
