"""What a stranger may try at the gateway's door. Each is refused, none slows the units down."""

import asyncio
import datetime
import os
import random
import socket
import ssl
import subprocess
import time

import pytest
from dialling_unit import DialWire, SimUnit, client_context, dial, drive, talk
from flagfall.link import messages
from flagfall.link.frame import FrameReader, encode
from flagfall.link.session import Session
from flagfall_host.depot.authority import Authority
from flagfall_host.depot.link_errors import LinkError
from flagfall_host.gateway.limits import Limits
from gateway_on_host import gateway_here, get

HOST = "127.0.0.1"


def a_unit(office, unit_id, records=20):
    unit = SimUnit(unit_id, office.fleet.unit_key(unit_id))
    unit.append(records)
    return unit, client_context(office.authority, office.certificate(unit_id))


def at_gateway(office, ledger, attack, limits=None):
    """Run `attack(gateway)` beside a gateway, then show that units are still served."""

    async def run():
        async with gateway_here(office, ledger, limits) as gateway:
            await attack(gateway)
            unit, tls = a_unit(office, "CAB-1")
            await drive(unit, HOST, gateway.port, tls, 30)
            return unit

    unit = asyncio.run(asyncio.wait_for(run(), 110))
    assert unit.receipts and unit.asked_again == []


async def s_client(port, *words):
    """What `openssl s_client` says of a connection, after the server's first words."""

    def ask():
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{HOST}:{port}", "-quiet", *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
        )
        return done.stdout, done.stderr.decode(errors="replace")

    return await asyncio.to_thread(ask)


def metric(text, line):
    found = [words for words in text.splitlines() if words.startswith(line)]
    return float(found[0].split()[-1]) if found else 0.0


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_without_certificate_with_an_expired_and_with_a_strangers_one(
    office, ledger, tmp_path, version
):
    authority = office.fleet.authority()
    long_ago = authority.issue_unit("CAB-1", days=-30)
    assert long_ago.certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC)
    expired = tmp_path / "expired.pem"
    expired.write_bytes(long_ago.certificate_pem + long_ago.key_pem)
    (tmp_path / "other").mkdir()
    stranger_ca = Authority.create(tmp_path / "other", "fleet")
    stranger = tmp_path / "stranger.pem"
    made = stranger_ca.issue_unit("CAB-1")
    stranger.write_bytes(made.certificate_pem + made.key_pem)
    gateways_own = office.folder / "gateway"

    async def attack(gateway):
        cases = {
            "certificate required|handshake failure": (),
            "expired": ("-cert", expired, "-key", expired),
            "unknown ca|decrypt error|bad certificate": ("-cert", stranger, "-key", stranger),
            "unsupported certificate": (
                *("-cert", gateways_own / "gateway.pem"),
                *("-key", gateways_own / "gateway-private.pem"),
            ),
        }
        for alert, words in cases.items():
            out, said = await s_client(gateway.port, version, *words)
            assert out == b"", "not a byte of the talk"
            assert any(part in said for part in alert.split("|")), said
        _, text = await asyncio.to_thread(get, gateway.watch_port, "/metrics")
        assert metric(text, 'flagfall_turned_away_total{reason="handshake"}') == len(cases)
        assert metric(text, "flagfall_visits_total") == 0

    at_gateway(office, ledger, attack)


def test_old_tls_is_refused(office, ledger):
    async def attack(gateway):
        pem = office.certificate("CAB-1")
        words = ("-cert", pem, "-key", pem, "-cipher", "ALL:@SECLEVEL=0")
        for version in ("-tls1", "-tls1_1"):
            out, _ = await s_client(gateway.port, version, *words)
            assert out == b""

    at_gateway(office, ledger, attack)


def test_a_unit_with_its_own_certificate_that_claims_another_id(office, ledger):
    async def attack(gateway):
        _, tls = a_unit(office, "CAB-9")
        victim, _ = a_unit(office, "CAB-1")
        # CAB-9 knows its own key only, then even that of the other.
        for key in (office.fleet.unit_key("CAB-9"), office.fleet.unit_key("CAB-1")):
            liar = SimUnit("CAB-1", key)
            liar.append(5)
            with pytest.raises(LinkError):
                await talk(liar, await dial(HOST, gateway.port, tls))
            assert liar.receipts == []
        assert ledger.units() == [] and victim.receipts == []

    at_gateway(office, ledger, attack)


def test_another_units_certificate_does_not_help_without_its_key(office, ledger):
    async def attack(gateway):
        _, tls = a_unit(office, "CAB-1")
        thief = SimUnit("CAB-1", os.urandom(32))
        thief.append(5)
        with pytest.raises(LinkError):
            await talk(thief, await dial(HOST, gateway.port, tls))
        assert thief.receipts == [] and ledger.units() == []

    at_gateway(office, ledger, attack)


def test_frames_of_an_earlier_connection_do_nothing(office, ledger):
    async def attack(gateway):
        unit, tls = a_unit(office, "CAB-1")
        recorded = []
        wire = await dial(HOST, gateway.port, tls)
        write = wire.write

        async def note(data):
            recorded.append(data)
            await write(data)

        wire.write = note
        await talk(unit, wire)
        wire.close()
        before = ledger.summary()
        for start in (0, 1, 2):  # from CHALLENGE, from the OK to PROOF, from what follows
            wire = await dial(HOST, gateway.port, tls)
            with pytest.raises(LinkError):
                for frame in recorded[start:]:
                    await wire.read(0.05)
                    await wire.write(frame)
                while True:
                    await wire.read(15)
        assert ledger.summary() == before and len(unit.receipts) == 1

    at_gateway(office, ledger, attack, Limits(greeting_s=1.0, pull_s=2.0, drain_s=5))


async def _session_that_sends(unit, wire, words):
    """Prove the key as a unit does, then send `words`, tagged frames and all."""
    session = Session(unit, os.urandom)
    while not session.authenticated:
        session.feed(await wire.read(5))
        while (out := session.next_output()) is not None:
            await wire.write(bytes(out))
    for word in words:
        await wire.write(word)
    while True:
        await wire.read(15)


def test_a_unit_gone_mad_is_cut_off(office, ledger):
    """It has certificate and key, and then sends what no unit sends."""
    chance = random.Random(7)
    mad = [
        [b"x" * 3000],
        [chance.randbytes(2000)],
        [encode(messages.DATA, 1, chance.randbytes(100))],  # no tag
        [encode(messages.PING, 1, bytes(12))],  # a wrong one
        [b"\xa5\x5a\x01\x84\x01\x00\xff\xff" + bytes(64)],  # a frame of 65,535 bytes
        [b"\xa5\x5a\x01\x84\x01\x00\x00\x08" + bytes(2000)],  # a frame that never ends
    ]

    async def attack(gateway):
        for words in mad:
            unit, tls = a_unit(office, "CAB-3", 0)
            with pytest.raises(LinkError):
                await _session_that_sends(unit, await dial(HOST, gateway.port, tls), words)

    at_gateway(office, ledger, attack, Limits(pull_s=1.5, drain_s=5))


def test_random_bytes_and_http_and_endless_hellos_before_tls(office, ledger):
    async def attack(gateway):
        chance = random.Random(1)
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        words = [chance.randbytes(chance.randrange(1, 3000)) for _ in range(40)]
        words += [
            b"GET / HTTP/1.1\r\n\r\n",
            b"SSH-2.0-x\r\n",
            hello,
            hello * 3_000,
            b"\x16" * 40_000,
        ]
        for data in words:
            reader, writer = await asyncio.open_connection(HOST, gateway.port)
            try:
                writer.write(data)
                writer.write_eof()
                await asyncio.wait_for(reader.read(), 20)
            except ConnectionError:
                pass
            finally:
                writer.close()
        assert len(gateway._open) <= 1

    at_gateway(office, ledger, attack, Limits(handshake_s=1.0, drain_s=5))


def test_a_slow_handshake_is_cut_off_after_its_time(office, ledger):
    async def attack(gateway):
        raw = socket.create_connection((HOST, gateway.port))
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context(office.authority, None).wrap_bio(
            incoming, outgoing, server_hostname="localhost"
        )
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            for byte in outgoing.read():  # one byte every now and then
                await loop.sock_sendall(raw, bytes([byte]))
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 10
        raw.close()

    at_gateway(office, ledger, attack, Limits(handshake_s=0.5, drain_s=5))


def test_a_flood_of_half_open_handshakes_does_not_keep_units_out(office, ledger):
    """Far more connections than places, for as long as the units need."""

    async def attack(gateway):
        stop = asyncio.Event()
        opened = 0

        async def flood():
            nonlocal opened
            held = []
            while not stop.is_set():
                try:
                    held.append((await asyncio.open_connection(HOST, gateway.port))[1])
                    opened += 1
                except OSError:
                    await asyncio.sleep(0.01)
                if len(held) > 300:
                    held.pop(0).close()
            for writer in held:
                writer.close()

        flooding = [asyncio.create_task(flood()) for _ in range(2)]
        crowd = [a_unit(office, f"CAB-{n}") for n in range(20, 30)]
        took = await asyncio.gather(
            *(drive(unit, HOST, gateway.port, tls, 60) for unit, tls in crowd)
        )
        stop.set()
        await asyncio.gather(*flooding)
        assert opened > 100, "there was no flood"
        assert all(unit.done for unit, _ in crowd) and len(took) == 10
        assert len(gateway._shaking) <= 100

    at_gateway(office, ledger, attack, Limits(handshakes=100, connections=200, drain_s=5))


def test_a_client_that_pours_bytes_gets_no_more_than_its_share(office, ledger):
    async def attack(gateway):
        unit, tls = a_unit(office, "CAB-4", 0)
        wire = await dial(HOST, gateway.port, tls)
        session = Session(unit, os.urandom)
        while not session.authenticated:
            session.feed(await wire.read(5))
            while (out := session.next_output()) is not None:
                await wire.write(bytes(out))

        async def pour():
            while True:
                session.ping()
                while (out := session.next_output()) is not None:
                    await wire.write(bytes(out))
                await asyncio.sleep(0.0002)  # the units run in this loop too

        began = time.monotonic()
        pouring = asyncio.create_task(pour())
        crowd = [a_unit(office, f"CAB-{n}") for n in range(40, 45)]
        await asyncio.gather(*(drive(u, HOST, gateway.port, t, 60) for u, t in crowd))
        await asyncio.sleep(0.5)
        pouring.cancel()
        took = time.monotonic() - began
        (theirs,) = [w for w in gateway._open if "CAB-4" in w.name]
        limits = gateway.limits
        # TLS records and one read beyond the mark are what the kernel had taken already.
        assert theirs.received <= limits.burst + took * limits.rate + 512 * 1024

    limits = Limits(rate=16 * 1024, burst=32 * 1024, drain_s=5)
    at_gateway(office, ledger, attack, limits)


def test_a_client_that_takes_nothing_is_dropped(office, ledger):
    """It asks and asks, and never reads the answers."""

    async def attack(gateway):
        unit, tls = a_unit(office, "CAB-5", 0)
        wire: DialWire = await dial(HOST, gateway.port, tls)
        session = Session(unit, os.urandom)
        while not session.authenticated:
            session.feed(await wire.read(5))
            while (out := session.next_output()) is not None:
                await wire.write(bytes(out))
        wire._transport.pause_reading()
        for end in (wire, *gateway._open):  # else the kernel takes megabytes
            connection = end._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        with pytest.raises(LinkError):
            while True:
                session.ping()
                while (out := session.next_output()) is not None:
                    await wire.write(bytes(out))

    limits = Limits(rate=1 << 30, burst=1 << 30, write_s=1.0, pull_s=5.0, drain_s=5)
    at_gateway(office, ledger, attack, limits)


@pytest.mark.parametrize("seed", range(400 if os.environ.get("FLAGFALL_SOAK") else 3))
def test_damaged_and_cut_tls_bytes_end_the_connection_and_nothing_else(office, ledger, seed):
    """The bytes of a real talk, some of them changed on their way."""
    chance = random.Random(seed)

    async def attack(gateway):
        async def relay(reader, writer):
            up_reader, up_writer = await asyncio.open_connection(HOST, gateway.port)

            async def pump(source, sink, harm):
                try:
                    while data := await source.read(2_000):
                        if harm and chance.random() < 0.15:
                            at = chance.randrange(len(data))
                            data = data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))])
                        sink.write(data)
                        await sink.drain()
                except ConnectionError:
                    pass
                finally:
                    sink.close()

            await asyncio.gather(pump(reader, up_writer, True), pump(up_reader, writer, False))

        between = await asyncio.start_server(relay, HOST, 0)
        port = between.sockets[0].getsockname()[1]
        unit, tls = a_unit(office, "CAB-6")
        for _ in range(3):
            try:
                wire = await dial(HOST, port, tls, 1.5)
                async with asyncio.timeout(1.5):
                    await talk(unit, wire)
            except (LinkError, OSError, TimeoutError):
                continue
        between.close()
        assert unit.asked_again == []
        await drive(unit, HOST, gateway.port, tls, 30)

    at_gateway(
        office, ledger, attack, Limits(handshake_s=1.0, greeting_s=1.0, pull_s=1.0, drain_s=5)
    )


def test_a_frame_reader_of_the_gateway_never_drops():
    """What is read at once, with what is left of a frame, always finds room."""
    reader = FrameReader(8 * 1024)
    frames = [encode(messages.OK, n, bytes(n * 97 % 2_040)) for n in range(200)]
    stream = b"".join(frames)
    got = 0
    for i in range(0, len(stream), 8 * 1024 - 2_060):
        reader.feed(stream[i : i + 8 * 1024 - 2_060])
        while reader.next():
            got += 1
    assert got == 200 and not reader.dropped
