"""The modem driver as the unit runs it: MicroPython, a serial line, the bench's modem."""

import datetime
import json
import os

import pytest
from flagfall.clock import seconds_from_civil
from flagfall_host.bench.modem import BenchModem, ModemSettings
from flagfall_host.bench.modem_relay import ModemRelay
from flagfall_host.bench.pty_port import PtyPort

NOW = datetime.datetime(2026, 3, 2, 2, 0, 0, tzinfo=datetime.UTC)
SOAK = os.environ.get("FLAGFALL_SOAK") == "1"
NETWORK_TIME = seconds_from_civil(2026, 3, 2, 2, 0, 0)

# Steps are done one after the other; each is noted with what it gave or why it failed.
PROGRAM = """
import asyncio, json, sys
from serial_port import SerialPort
from mobile_network import Ppp, press_key
from drivers.modem import Modem, ModemError
from drivers import modem as driver

async def main(path, relay, steps):
    async def sleep_ms(ms):
        await asyncio.sleep_ms(1)  # the world's clock runs fast here

    async def press(ms):
        await press_key(relay, ms)

    port = SerialPort(path)
    modem = Modem(port, press, sleep_ms, guard_ms=100)
    ppp = Ppp(port, relay)
    out = []
    for name, arguments in steps:
        try:
            if name == "up":
                given = await ppp.up(*arguments)
            elif name == "alive":
                given = await ppp.alive()
            else:
                given = await getattr(modem, name)(*arguments)
            out.append([name, given])
        except ModemError as e:
            out.append([name, "%s on %d: %s" % (type(e).__name__, e.rung, e)])
        except OSError as e:
            out.append([name, "OSError: %s" % e])
    print(json.dumps({"steps": out, "name": modem.name, "presses": modem.presses,
                      "notices": modem.notices, "garbage": modem._reader.garbage}))

asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
"""

CALL = [
    ["wake", []],
    ["open_sim", ["1234"]],
    ["register", []],
    ["signal_dbm", []],
    ["network_time", []],
    ["dial", ["internet"]],
    ["up", ["none", "", "", 3000]],
    ["alive", []],
    ["hang_up", []],
    ["signal_dbm", []],
]
ALL_WELL = [None, None, None, -73, NETWORK_TIME, None, None, True, None, -73]


@pytest.fixture
def run(on_micropython):
    def run(modem: BenchModem, steps):
        with PtyPort(modem) as port, ModemRelay(modem) as relay:
            said = on_micropython(PROGRAM, port.path, relay.path, json.dumps(steps))
        out = json.loads(said)
        assert [name for name, _ in out["steps"]] == [name for name, _ in steps]
        out["given"] = [given for _, given in out["steps"]]
        return out

    return run


@pytest.mark.parametrize("model", ["SIM7600", "A7670", "EC25"])
def test_a_whole_call_on_each_model(run, model):
    modem = BenchModem(ModemSettings(model=model, utc=lambda: NOW, sim="pin"))
    out = run(modem, CALL)
    assert out["given"] == ALL_WELL
    assert not modem.counters.unknown
    assert out["presses"] == 0


@pytest.mark.parametrize("model", ["SIM7600", "A7670", "EC25"] if SOAK else ["A7670"])
def test_a_modem_that_is_off_is_switched_on(run, model):
    modem = BenchModem(ModemSettings(model=model, powered=False, utc=lambda: NOW))
    out = run(modem, CALL)
    assert out["given"] == ALL_WELL
    assert out["presses"] == 1
    assert out["garbage"] >= 1  # what it said while its line came up


def test_a_power_cycle_is_off_and_on(run):
    modem = BenchModem(ModemSettings(model="EC25"))
    out = run(modem, [["wake", []], ["power_cycle", []], ["signal_dbm", []]])
    assert out["given"] == [None, None, -73]
    assert modem.counters.presses == 2


def test_a_call_left_over_from_before_the_restart(run):
    modem = BenchModem(ModemSettings(utc=lambda: NOW))
    run(modem, CALL[:7])
    out = run(modem, CALL)
    assert out["given"] == ALL_WELL
    assert out["presses"] == 0


@pytest.mark.parametrize("piece", [5, 11])
def test_notices_in_the_middle_and_answers_in_pieces(run, piece):
    notices = ("+CREG: 1", "RING", "+CSQ: 31,99"[:5], "^MODE: 5,4", "NO CARRIER", "+CGEV: ME PDN")
    modem = BenchModem(ModemSettings(utc=lambda: NOW, notices=notices, piece=piece))
    assert run(modem, CALL)["given"] == ALL_WELL


@pytest.mark.parametrize(
    ("sim", "pin", "says"),
    [
        ("removed", "", "no SIM card"),
        ("puk", "", "blocked"),
        ("pin", "", "wants a PIN"),
        ("pin", "9999", "does not take the PIN"),
    ],
)
def test_a_sim_that_does_not_let_us_in(run, sim, pin, says):
    modem = BenchModem(ModemSettings(sim=sim))
    wrong = run(modem, [["wake", []], ["open_sim", [pin]]])["given"][1]
    assert wrong.startswith("SimFault on 3") and says in wrong


def test_a_pin_is_tried_once(run):
    modem = BenchModem(ModemSettings(sim="pin"))
    run(modem, [["wake", []], ["open_sim", ["9999"]]])
    assert modem.counters.commands < 20


def test_a_slow_network_is_waited_for_and_a_missing_one_is_not_for_ever(run):
    modem = BenchModem(ModemSettings(register_after=60))
    assert run(modem, CALL[:3])["given"][2] is None
    modem = BenchModem(ModemSettings(register_after=None))
    assert run(modem, CALL[:3])["given"][2] == "NoNetwork on 2: no network found"
    modem = BenchModem(ModemSettings(refused=True))
    assert "refuses this SIM" in run(modem, CALL[:3])["given"][2]


def test_a_network_that_does_not_tell_the_time(run):
    for model in ("SIM7600", "A7670", "EC25"):
        modem = BenchModem(ModemSettings(model=model))
        assert run(modem, CALL[:5])["given"][4] is None


def test_calls_that_are_not_taken(run):
    modem = BenchModem(ModemSettings(apn="right.apn"))
    assert run(modem, CALL[:6])["given"][5].startswith("DialFailed on 1")
    modem = BenchModem(ModemSettings(user="taxi", password="secret"))
    given = run(modem, CALL[:7])["given"]
    assert given[6] == "OSError: the network does not take user and password"
    login = [*CALL[:6], ["up", ["pap", "taxi", "secret", 3000]]]
    assert run(modem, login)["given"][6] is None


def test_silence_is_found_out_and_bounded(run):
    modem = BenchModem(ModemSettings(silent=True))
    out = run(modem, [["wake", []]])
    assert out["given"][0].startswith("Silent on 3")
    assert out["presses"] == 1


def test_a_modem_that_knows_only_the_old_registration(run):
    fails = ("AT+CTZU=1", "AT+CGREG?")
    modem = BenchModem(ModemSettings(fails=fails, utc=lambda: NOW))
    given = run(modem, CALL)["given"]
    assert given == ALL_WELL
