"""The real firmware, TLS, a carrier lost at random, HAProxy, and two gateways that die."""

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flagfall_host.bench.gateway_process import NAME, PORT, GatewayProcess
from flagfall_host.bench.modem import ModemSettings

sys.path.insert(0, str(Path(__file__).parent))

from dialling_taxi import (  # noqa: E402
    DiallingGarage,
    check,
    info,
    rows,
    short_trip,
    stand_until,
    uplink_events,
)

ROOT = Path(__file__).parents[3]
SOAK = os.environ.get("FLAGFALL_SOAK") == "1"
LOSSES = 60 if SOAK else 5
HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin")


@pytest.fixture
def garage(tmp_path):
    return DiallingGarage(tmp_path / "garage", gateway=f"{NAME}:{PORT}")


def trips_in(ledger: Path) -> int:
    """How many trips the ledger has; none while there is no ledger."""
    return len(rows(ledger, "trips")) if ledger.exists() else 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@pytest.fixture
def balanced(garage, tmp_path):
    """(address of HAProxy, the two gateways behind it, start(n) that starts one anew)."""
    assert HAPROXY, "install the Debian package haproxy"
    ledger = tmp_path / "ledger.sqlite"

    def start(number: int, port: int = 0) -> GatewayProcess:
        folder = tmp_path / f"gateway-{number}"
        folder.mkdir(exist_ok=True)
        return GatewayProcess(folder, garage.fleet, ledger, port)

    gateways = [start(0), start(1)]
    port = free_port()
    # The configuration that an office deploys, at this machine's addresses.
    text = (ROOT / "deploy" / "haproxy.cfg").read_text()
    text = text.replace("bind :8443", f"bind 127.0.0.1:{port}").replace("40000", "400")
    text = re.sub(r"    option httpchk.*\n", "", text)
    text = re.sub(r"    server .*\n", "", text)
    for number, gateway in enumerate(gateways):
        text += f"    server gw{number} 127.0.0.1:{gateway.address[1]}\n"
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(text)
    with (tmp_path / "haproxy.log").open("wb") as log:
        process = subprocess.Popen([HAPROXY, "-db", "-f", configuration], stdout=log, stderr=log)
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert process.poll() is None, (tmp_path / "haproxy.log").read_text()
            time.sleep(0.05)
    yield ("127.0.0.1", port), gateways, start
    process.terminate()
    process.wait(10)
    for gateway in gateways:
        gateway.close()


def test_every_record_is_booked_once_whatever_is_lost(garage, balanced, tmp_path):
    address, gateways, start = balanced
    ledger = tmp_path / "ledger.sqlite"
    chance = random.Random(os.environ.get("FLAGFALL_SEED", "carrier"))
    left = [LOSSES]
    with garage.dialling(tmp_path / "taxi", ModemSettings(register_after=None)) as taxi:
        network = taxi.network
        network.routes[NAME, PORT] = address

        def lose():
            taxi.modem.lose_carrier(quiet=chance.random() < 0.5)
            left[0] -= 1
            if left[0] > 0:
                network.cut_after = network.carried + chance.randrange(60, 6_000)

        network.on_cut = lose
        network.cut_after = 700
        taxi.unit.power_on()
        trips = 8
        for _ in range(trips):
            short_trip(taxi)  # nobody can be reached, and nobody waits for it
        taxi.modem.settings.register_after = 2
        while left[0] > 0:
            short_trip(taxi)
            trips += 1
            before = left[0]
            stand_until(
                taxi,
                lambda n=before, t=trips: left[0] < n or trips_in(ledger) == t,
                "the next loss, or all of it",
                120,
            )
            if left[0] == before:
                continue
            if left[0] % 3 == 2:
                # A gateway dies, in the middle of whatever it does, and comes back later.
                number = chance.randrange(2)
                gateways[number].kill()
                short_trip(taxi)
                trips += 1
                gateways[number] = start(number, gateways[number].address[1])
        stand_until(taxi, lambda: trips_in(ledger) == trips, "all of it", 120)
        said = info(taxi, garage.fleet)
    check(ledger, garage.fleet)
    assert said["totals"]["hirings"] == trips
    assert network.connections > LOSSES // 2
    # None of this is anything that somebody would have to mend.
    assert uplink_events(ledger) == []
