"""The real firmware dials a gateway over TLS through the bench's modem."""

import datetime
import sys
from pathlib import Path

import pytest
from flagfall.clock import seconds_from_civil
from flagfall.journal import schema
from flagfall.link import messages
from flagfall_host.bench import install
from flagfall_host.bench.modem import ModemSettings
from flagfall_host.depot.authority import Authority
from flagfall_host.depot.link import Link
from flagfall_host.depot.permit import K, make_permit
from flagfall_host.depot.pull import pull
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.ledger import Ledger

sys.path.insert(0, str(Path(__file__).parent))

from dialling_taxi import (  # noqa: E402
    NAME,
    PORT,
    DiallingGarage,
    check,
    info,
    rows,
    short_trip,
    stand_until,
    uplink_events,
)
from plain_gateway import PlainGateway  # noqa: E402


@pytest.fixture(scope="module")
def garage(tmp_path_factory):
    return DiallingGarage(tmp_path_factory.mktemp("dialling"))


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def gateway(garage, tmp_path, ledger):
    with PlainGateway(tmp_path / "gateway", garage.fleet, ledger) as gateway:
        yield gateway


@pytest.fixture
def taxi(garage, gateway, tmp_path):
    with garage.dialling(tmp_path / "taxi") as taxi:
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        yield taxi


def first_call(taxi, gateway):
    """The unit has said that it is there, and has hung up."""
    stand_until(taxi, lambda: gateway.faults == ["uplink: closed by the unit"], "the first call")
    assert gateway.done == 1


def test_a_trip_goes_up_by_itself_and_is_receipted(taxi, gateway, garage, ledger):
    first_call(taxi, gateway)
    short_trip(taxi)
    stand_until(taxi, lambda: gateway.done == 2, "the trip's call")
    check(ledger, garage.fleet)
    assert len(rows(ledger, "trips")) == 1
    assert gateway.repeated == 0
    # The gateway is done a moment before the unit has hung up.
    idle = lambda: info(taxi, garage.fleet)["uplink"]["state"] == "idle"  # noqa: E731
    stand_until(taxi, idle, "the unit to hang up")
    said = info(taxi, garage.fleet)
    uplink = said["uplink"]
    assert (uplink["state"], uplink["why"], uplink["signal_dbm"]) == ("idle", "", -73)
    # All but the receipt's own record is with the office, and nothing more is said.
    assert said["journal"]["acked_seq"] == said["journal"]["last_seq"] - 1
    calls = gateway.sessions
    taxi.stand(600)
    assert gateway.sessions == calls == uplink["calls_today"] == 2
    # The unit's own count of bytes is that of the network, give or take what TLS adds.
    assert abs(uplink["up_today"] - taxi.network.up) < taxi.network.up // 10
    assert abs(uplink["down_today"] - taxi.network.down) < taxi.network.down // 10


def test_a_gateway_that_does_not_answer_pings_is_left(taxi, gateway, garage, ledger):
    gateway.mute = True
    stand_until(taxi, lambda: "closed by the unit" in "".join(gateway.faults), "the end")
    assert gateway.pings == 0
    gateway.mute = False
    stand_until(taxi, lambda: gateway.done == 1, "the next call")
    check(ledger, garage.fleet)


def test_a_network_that_falls_silent_is_noticed(tmp_path):
    garage = DiallingGarage(tmp_path / "staying", stay=True, ping_s=5)
    with (
        PlainGateway(tmp_path / "gateway", garage.fleet, tmp_path / "ledger.sqlite") as gateway,
        garage.dialling(tmp_path / "taxi") as taxi,
    ):
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        stand_until(taxi, lambda: gateway.done >= 1, "the call that stays")
        taxi.network.stalled = True  # nothing is closed, nothing comes
        before = taxi.network.connections
        stand_until(taxi, lambda: taxi.network.connections > before, "the unit to dial again")
        done, taxi.network.stalled = gateway.done, False
        stand_until(taxi, lambda: gateway.done > done, "the next call")


def expired(authority: Authority):
    return authority.issue_gateway([NAME], days=-3)


def other_name(authority: Authority):
    return authority.issue_gateway(["other.test"])


def other_authority(authority: Authority, folder: Path):
    return Authority.create(folder, "stranger").issue_gateway([NAME])


@pytest.mark.parametrize("wrong", ["expired", "name", "authority"])
def test_a_bad_gateway_is_refused_and_booked(garage, tmp_path, ledger, gateway, wrong):
    authority = garage.fleet.authority()
    folder = tmp_path / "stranger"
    folder.mkdir()
    issued = {
        "expired": lambda: expired(authority),
        "name": lambda: other_name(authority),
        "authority": lambda: other_authority(authority, folder),
    }[wrong]()
    with (
        garage.dialling(tmp_path / "taxi") as taxi,
        PlainGateway(tmp_path / "bad", garage.fleet, tmp_path / "bad.sqlite", issued) as bad,
    ):
        taxi.network.routes[NAME, PORT] = bad.address
        taxi.unit.power_on()
        stand_until(taxi, lambda: len(bad.faults) >= 3, "three tries")
        assert bad.sessions == 0
        said = info(taxi, garage.fleet)["uplink"]
        assert said["why"].startswith("gateway certificate refused: ")
        # No rung of the ladder can mend that: the modem is left alone.
        assert said["remedies"][1:] == [0, 0, 0, 0]
        assert taxi.face["message"] == "4G: gateway certificate refused. Tell the workshop"
        taxi.network.routes[NAME, PORT] = gateway.address
        stand_until(taxi, lambda: gateway.done == 1, "the right gateway")
    # Booked once, however often it was tried.
    assert len(uplink_events(ledger)) == 1
    words = {"expired": "expired", "name": "does not match", "authority": "not"}[wrong]
    assert words in uplink_events(ledger)[0]


def test_a_missing_sim_is_booked_once_and_a_late_one_is_taken(garage, gateway, tmp_path, ledger):
    with garage.dialling(tmp_path / "taxi", ModemSettings(sim="removed")) as taxi:
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        stand_until(taxi, lambda: taxi.modem.counters.commands > 30, "some tries")
        assert taxi.face["message"] == "4G: no SIM card. Tell the workshop"
        short_trip(taxi)  # metering does not care
        taxi.modem.settings.sim = "ready"
        stand_until(taxi, lambda: gateway.done == 1, "the call")
    assert uplink_events(ledger) == ["no SIM card"]


def test_no_network_is_no_news_for_anybody(garage, gateway, tmp_path, ledger):
    with garage.dialling(tmp_path / "taxi", ModemSettings(register_after=None)) as taxi:
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        stand_until(taxi, lambda: taxi.modem.counters.radio_restarts >= 1, "the radio's restart")
        assert not taxi.face["message"]
        taxi.modem.settings.register_after = 1
        stand_until(taxi, lambda: gateway.done == 1, "the call")
    assert uplink_events(ledger) == []


def test_a_dead_modem_is_power_cycled_and_the_meter_goes_on(garage, gateway, tmp_path, ledger):
    with garage.dialling(tmp_path / "taxi", ModemSettings(silent=True)) as taxi:
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        stand_until(taxi, lambda: taxi.modem.counters.presses >= 2, "its power key", 90)
        short_trip(taxi)
        taxi.modem.settings.silent = False
        stand_until(taxi, lambda: gateway.done == 1, "the call", 90)
    check(ledger, garage.fleet)


def test_nobody_is_called_while_hired(taxi, gateway, ledger):
    first_call(taxi, gateway)
    del taxi.network.routes[NAME, PORT]
    short_trip(taxi)
    stand_until(taxi, lambda: taxi.network.refused > 0, "a call that finds no gateway")
    taxi.press("HIRED", what="the hire", position="HIRED")
    taxi.network.routes[NAME, PORT] = gateway.address
    taxi.stand(600)
    assert (gateway.sessions, len(rows(ledger, "trips"))) == (1, 0)
    taxi.press("STOP", what="the stop", position="STOPPED")
    stand_until(taxi, lambda: len(rows(ledger, "trips")) == 1, "the call")


def test_the_gateway_says_bye_and_is_called_again(taxi, gateway, garage, ledger):
    gateway.bye = True
    stand_until(taxi, lambda: gateway.done == 1, "the second call")
    assert gateway.sessions == 2
    check(ledger, garage.fleet)


def test_the_cable_goes_first(taxi, gateway, garage, ledger):
    first_call(taxi, gateway)
    with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
        link.open()
        short_trip(taxi)
        before = gateway.sessions
        for _ in range(5):
            taxi.stand(60)
            link.ask(messages.INFO)
        assert gateway.sessions == before
        with Ledger.open(ledger) as books:
            assert pull(link, books).records
        short_trip(taxi)
    stand_until(taxi, lambda: gateway.done == 2, "the call after the cable")
    check(ledger, garage.fleet)
    assert len(rows(ledger, "trips")) == 2
    assert gateway.repeated == 0


def test_files_come_down_and_the_unit_starts_anew_when_it_is_vacant(taxi, gateway, garage, ledger):
    first_call(taxi, gateway)
    with Link(SerialWire(taxi.port), garage.fleet.unit_key) as link:
        link.open()
        audit = link.ask(messages.INFO)["audit"]
    permit = make_permit(garage.fleet.private_key, install.UNIT_ID, K, audit + 1, b"1234")
    gateway.pushes = [("permit", permit), ("k", b"1234")]
    short_trip(taxi)
    stand_until(taxi, lambda: not gateway.pushes, "the files")
    calls = gateway.sessions
    stand_until(taxi, lambda: gateway.sessions > calls, "the call after the unit's fresh start")
    done = gateway.done
    stand_until(taxi, lambda: gateway.done > done, "its end")
    assert info(taxi, garage.fleet)["k"] == 1_234
    assert schema.K_CHANGED in [row["code"] for row in rows(ledger, "events")]


def test_a_clock_that_was_never_set_is_set_by_the_network(garage, gateway, tmp_path, ledger):
    right = datetime.datetime(2026, 3, 2, 2, 30, 0, tzinfo=datetime.UTC)
    modem = ModemSettings(register_after=None, utc=lambda: right, zone=23)
    with garage.dialling(tmp_path / "taxi", modem, utc_s=1_000) as taxi:
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        taxi.stand(5)
        modem.register_after = 1
        stand_until(taxi, lambda: gateway.done == 1, "the call")
        assert 0 <= taxi.world.utc_s - seconds_from_civil(2026, 3, 2, 2, 30, 0) < 3_600
    assert any("clock set by the network" in row["text"] for row in rows(ledger, "events"))


def test_without_a_time_nobody_is_dialled(garage, gateway, tmp_path):
    modem = ModemSettings()
    with garage.dialling(tmp_path / "taxi", modem, utc_s=1_000) as taxi:
        modem.utc = None
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        stand_until(taxi, lambda: taxi.modem.counters.commands > 20, "a try or two")
        taxi.stand(60)
        assert gateway.sessions == 0
        assert "clock is not set" in info(taxi, garage.fleet)["uplink"]["why"]


def test_the_days_bytes_are_booked(garage, gateway, tmp_path, ledger):
    almost = seconds_from_civil(2026, 3, 2, 23, 58, 30)
    with garage.dialling(tmp_path / "taxi", utc_s=almost) as taxi:
        taxi.network.routes[NAME, PORT] = gateway.address
        taxi.unit.power_on()
        first_call(taxi, gateway)
        stand_until(taxi, lambda: taxi.world.utc_s > almost + 100, "midnight")
        short_trip(taxi)
        stand_until(taxi, lambda: gateway.done == 2, "the next call")
    said = uplink_events(ledger)
    assert len(said) == 1
    assert said[0].startswith("2026-03-02: 1 calls, ")
