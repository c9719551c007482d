"""A gateway and the units that dial it: pulled, receipted, given files, sent off."""

import asyncio
import threading

import pytest
import sqlalchemy as sa
from dialling_unit import SimUnit, client_context, dial, drive, talk
from flagfall_host.depot.link_errors import LinkError
from flagfall_host.gateway.limits import Limits
from flagfall_host.ledger import Ledger, placements
from flagfall_host.ledger.errors import StorageFailed
from flagfall_host.ledger.placements import content_of
from gateway_on_host import GatewayProcess, gateway_here, gateways, get

HOST = "127.0.0.1"


def a_unit(office, unit_id="CAB-1", records=50):
    unit = SimUnit(unit_id, office.fleet.unit_key(unit_id))
    unit.append(records)
    return unit, client_context(office.authority, office.certificate(unit_id))


def booked(ledger, unit):
    """Whether the ledger has the unit's records, byte for byte, each once."""
    import hashlib

    from flagfall_host.ledger.tables import RECORDS

    r = RECORDS.c
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.select(r.seq, r.raw).where(r.unit_id == unit.unit_id).order_by(r.seq)
        ).all()
    last = rows[-1][0] if rows else 0
    digest = hashlib.sha256(b"".join(bytes(raw) for _, raw in rows)).hexdigest()
    return [seq for seq, _ in rows] == list(range(1, last + 1)) and digest == unit.digest(1, last)


def test_units_are_pulled_and_receipted_each_record_once(office, ledger):
    async def run():
        async with gateway_here(office, ledger) as gateway:
            crowd = [a_unit(office, f"CAB-{n}") for n in range(8)]
            await asyncio.gather(
                *(drive(unit, HOST, gateway.port, tls, 30) for unit, tls in crowd)
            )
            for unit, _ in crowd:
                assert unit.receipts == [(1, 50)] and unit.asked_again == []
                assert booked(ledger, unit)
            _, text = await asyncio.to_thread(get, gateway.watch_port, "/metrics")
            assert "flagfall_records_total 400.0" in text
            assert 'flagfall_visits_total{end="done"} 8.0' in text
            assert "flagfall_receipt_seconds_count 8.0" in text
            return gateway

    gateway = asyncio.run(run())
    assert gateway.said[-1] == "ended" and len(gateway.said) == 3


def test_a_unit_that_stays_is_pulled_again_when_its_ping_names_more(office, ledger):
    async def run():
        async with gateway_here(office, ledger) as gateway:
            unit, tls = a_unit(office)
            leave = asyncio.Event()
            wire = await dial(HOST, gateway.port, tls)
            task = asyncio.create_task(talk(unit, wire, leave))
            for _ in range(3):
                while not unit.done:
                    await asyncio.sleep(0.02)
                unit.append(5)
            while not unit.done:
                await asyncio.sleep(0.02)
            leave.set()
            await task
            wire.close()
            assert len(unit.receipts) == 4 and booked(ledger, unit)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_placed_file_is_brought_down_once_and_a_refused_one_is_noted(office, ledger):
    async def run():
        placements.place(ledger, ["CAB-1", "CAB-2"], "tariff", b"a tariff " * 500)
        placements.place(ledger, ["CAB-1"], "capk", b"keys")
        limits = Limits(look_s=0.1)
        async with gateway_here(office, ledger, limits) as gateway:
            unit, tls = a_unit(office)
            unit.refuses = "capk"
            leave = asyncio.Event()
            wire = await dial(HOST, gateway.port, tls)
            task = asyncio.create_task(talk(unit, wire, leave))
            while not unit.done:
                await asyncio.sleep(0.02)
            while not unit.pushed:
                await asyncio.sleep(0.02)
            # A file that is placed while the unit is connected comes at once.
            placements.place(ledger, ["CAB-1"], "config", b"{}")
            while len(unit.pushed) < 2:
                await asyncio.sleep(0.02)
            leave.set()
            await task
            wire.close()
            await drive_again(unit, gateway.port, tls)
            assert unit.pushed == [("tariff", b"a tariff " * 500), ("config", b"{}")]
        assert placements.admission(ledger, "CAB-1").waiting == ()
        assert len(placements.admission(ledger, "CAB-2").waiting) == 1

    async def drive_again(unit, port, tls):
        unit.append(1)
        await drive(unit, HOST, port, tls, 30)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_sealed_file_goes_with_the_permit_that_fits(office, ledger):
    import json

    async def run():
        permits = [json.dumps({"counter": n, "action": "tariff"}).encode() for n in range(5, 9)]
        file = placements.with_permits(b"a tariff", permits)
        placements.place(ledger, ["CAB-1", "CAB-2", "CAB-3"], "tariff", file)
        async with gateway_here(office, ledger) as gateway:
            for unit_id, audit in (("CAB-1", 6), ("CAB-2", 8), ("CAB-3", None)):
                unit, tls = a_unit(office, unit_id, 1)
                unit.audit = audit
                wire = await dial(HOST, gateway.port, tls)
                await talk(unit, wire)
                wire.close()
                if audit == 6:
                    assert unit.pushed == [("permit", permits[2]), ("tariff", b"a tariff")]
                elif audit is None:
                    assert unit.pushed == [("tariff", b"a tariff")]  # not sealed yet
                else:
                    assert unit.pushed == []  # too many changes since: the office places anew
        with ledger.reading() as connection:
            states = dict(connection.execute(sa.select(p.unit_id, p.state)).all())
        assert states == {"CAB-1": "taken", "CAB-2": "refused", "CAB-3": "taken"}

    p = placements.PLACEMENTS.c
    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_newer_file_takes_the_place_of_an_older_one(ledger):
    placements.place(ledger, ["CAB-1"], "tariff", b"old")
    (old,) = placements.admission(ledger, "CAB-1").waiting
    placements.place(ledger, ["CAB-1"], "tariff", b"new")
    (new,) = placements.admission(ledger, "CAB-1").waiting
    assert content_of(ledger, new) == b"new" and content_of(ledger, old) is None
    # The old one's word comes late: the new one goes on waiting.
    placements.settle_placement(ledger, "CAB-1", old, placements.TAKEN)
    assert placements.admission(ledger, "CAB-1").waiting == (new,)
    placements.settle_placement(ledger, "CAB-1", new, placements.TAKEN)
    placements.place(ledger, ["CAB-1"], "tariff", b"new")  # it has this one
    assert placements.admission(ledger, "CAB-1").waiting == ()


def test_a_clock_that_is_off_is_set(office, ledger):
    async def run():
        async with gateway_here(office, ledger) as gateway:
            unit, tls = a_unit(office)
            unit.clock = ledger.now() - 3_600
            wire = await dial(HOST, gateway.port, tls)
            await talk(unit, wire)
            wire.close()
            assert abs(unit.clock - ledger.now()) < 30

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_revoked_unit_is_not_let_in_and_one_that_stands_is_sent_off(office, ledger):
    async def run():
        async with gateway_here(office, ledger, Limits(look_s=0.05)) as gateway:
            unit, tls = a_unit(office)
            wire = await dial(HOST, gateway.port, tls)
            task = asyncio.create_task(talk(unit, wire, asyncio.Event()))
            while not unit.done:
                await asyncio.sleep(0.02)
            placements.revoke(ledger, "CAB-1", "stolen")
            with pytest.raises(LinkError):
                await task
            unit.append(1)
            with pytest.raises(LinkError):
                await talk(unit, await dial(HOST, gateway.port, tls))
            assert unit.receipts == [(1, 50)]
            assert placements.readmit(ledger, "CAB-1")
            await drive(unit, HOST, gateway.port, tls, 30)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_unit_that_dials_again_takes_the_place_of_its_dead_connection(office, ledger):
    async def run():
        async with gateway_here(office, ledger) as gateway:
            unit, tls = a_unit(office)
            dead = await dial(HOST, gateway.port, tls)  # a NAT has forgotten it: never a word
            await drive(unit, HOST, gateway.port, tls, 30)
            with pytest.raises(LinkError):
                while True:
                    await dead.read(10)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_two_gateways_that_serve_one_unit_at_once_book_each_record_once(office, ledger):
    async def run():
        async with gateway_here(office, ledger) as one, gateway_here(office, ledger) as two:
            # Twins: one journal, copied, so that both connections bring the same records.
            for n in range(6):
                twins = [a_unit(office, f"TWIN-{n}")[0] for _ in range(2)]
                tls = client_context(office.authority, office.certificate(f"TWIN-{n}"))
                await asyncio.gather(
                    drive(twins[0], HOST, one.port, tls, 30),
                    drive(twins[1], HOST, two.port, tls, 30),
                )
                assert twins[0].digest(1, 50) == twins[1].digest(1, 50)
                assert booked(ledger, twins[0])
        assert not [f for f in ledger.check() if f.kind not in ("gap",)]

    asyncio.run(asyncio.wait_for(run(), 60))


def test_sigterm_drains_what_is_under_way_and_says_bye(office, tmp_path):
    async def run(gateway: GatewayProcess):
        crowd = [a_unit(office, f"CAB-{n}", 200) for n in range(6)]
        stay = asyncio.Event()
        wires = [await dial(HOST, gateway.port, tls) for _, tls in crowd]
        tasks = [
            asyncio.create_task(talk(unit, wire, stay))
            for (unit, _), wire in zip(crowd, wires, strict=True)
        ]
        while not any(unit.done for unit, _ in crowd):
            await asyncio.sleep(0.01)
        code = await asyncio.to_thread(gateway.end)
        await asyncio.gather(*tasks)  # each ended by BYE: a lost line would raise
        assert code == 0 and all(unit.done for unit, _ in crowd)

    with gateways(office, str(tmp_path / "ledger.sqlite"), 1) as (gateway,):
        assert gateway.get("/health") == (200, "ok\n")
        asyncio.run(asyncio.wait_for(run(gateway), 90))
        assert gateway.log.read_text().rstrip().endswith("gateway: ended")


def test_a_database_that_goes_and_comes_back(office, tmp_path):
    """No receipt without a commit; /health says it; the unit gets its receipt later."""
    from postgresql_server import PostgresServer

    async def run(server, ledger):
        async with gateway_here(office, ledger) as gateway:
            server._stop()
            unit, tls = a_unit(office)
            with pytest.raises(LinkError):
                await talk(unit, await dial(HOST, gateway.port, tls))
            assert unit.receipts == []
            while (await asyncio.to_thread(get, gateway.watch_port, "/health"))[0] != 503:
                await asyncio.sleep(0.05)
            server._start()
            while (await asyncio.to_thread(get, gateway.watch_port, "/health"))[0] != 200:
                await asyncio.sleep(0.05)
            await drive(unit, HOST, gateway.port, tls, 30)
            assert booked(ledger, unit)

    with PostgresServer() as server, Ledger.open(server.empty_database()) as ledger:
        asyncio.run(asyncio.wait_for(run(server, ledger), 90))


def test_no_receipt_before_the_commit(office, ledger):
    """However long it takes, and none at all when it fails."""
    may_go = threading.Event()
    book = ledger.book_many

    def slow(deliveries):
        may_go.wait(60)
        raise StorageFailed("the disk is full")

    async def run():
        async with gateway_here(office, ledger) as gateway:
            unit, tls = a_unit(office)
            ledger.book_many = slow
            talking = asyncio.create_task(talk(unit, await dial(HOST, gateway.port, tls)))
            while not gateway._desk.longest_wait():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            assert unit.receipts == []
            may_go.set()
            with pytest.raises(LinkError):
                await talking
            assert unit.receipts == [] and ledger.units() == []
            ledger.book_many = book
            await drive(unit, HOST, gateway.port, tls, 30)
            assert booked(ledger, unit)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_one_unit_that_cannot_be_booked_does_not_keep_the_others_from_it(office, ledger):
    book = ledger.book_many

    def fussy(deliveries):
        if any(unit_id == "CAB-3" for unit_id, _, _ in deliveries):
            raise StorageFailed("a row that the database does not take")
        return book(deliveries)

    async def run():
        ledger.book_many = fussy
        async with gateway_here(office, ledger) as gateway:
            crowd = [a_unit(office, f"CAB-{n}") for n in range(8)]
            await asyncio.gather(
                *(
                    drive(unit, HOST, gateway.port, tls, 30)
                    for unit, tls in crowd
                    if unit.unit_id != "CAB-3"
                ),
                _fails(crowd[3], gateway.port),
            )
            assert crowd[3][0].receipts == []

    async def _fails(one, port):
        with pytest.raises(LinkError):
            await talk(one[0], await dial(HOST, port, one[1]))

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_renewed_certificate_is_taken_up(office, ledger):
    from flagfall_host.gateway.keys_folder import make_gateway_folder

    async def run():
        async with gateway_here(office, ledger) as gateway:
            _, tls = a_unit(office)
            one = await dial(HOST, gateway.port, tls)
            make_gateway_folder(office.fleet, office.folder / "gateway", ["localhost"])
            gateway.renew()
            two = await dial(HOST, gateway.port, tls)
            assert one.certificate() != two.certificate()
            one.close()
            two.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_the_watch_port_answers_what_it_should_and_nothing_else(office, ledger):
    async def ask(port, words):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(words)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer.split(b"\r\n")[0]

    async def run():
        async with gateway_here(office, ledger) as gateway:
            port = gateway.watch_port
            assert await ask(port, b"GET /health HTTP/1.1\r\n\r\n") == b"HTTP/1.1 200 OK"
            assert b"404" in await ask(port, b"GET /etc/passwd HTTP/1.0\r\n\r\n")
            assert b"405" in await ask(port, b"POST /metrics HTTP/1.1\r\n\r\n")
            assert await ask(port, b"\xff" * 20_000) == b""
            assert await ask(port, b"GET /health HTTP/1.1\r\n") == b""

    asyncio.run(asyncio.wait_for(run(), 60))
