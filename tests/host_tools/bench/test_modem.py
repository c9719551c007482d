"""The bench's modem, by clients that know nothing of it: ppp's chat, and pyserial."""

import contextlib
import datetime
import shutil
import socket
import subprocess
import threading

import pytest
import serial
from flagfall_host.bench.modem import BenchModem, ModemSettings
from flagfall_host.bench.modem_relay import ModemRelay
from flagfall_host.bench.pty_port import PtyPort

CHAT = shutil.which("chat", path="/usr/sbin:/usr/bin")
NOW = datetime.datetime(2026, 3, 2, 2, 0, 0, tzinfo=datetime.UTC)
DIAL = ["ABORT", "BUSY", "ABORT", "NO CARRIER", "ABORT", "ERROR", "TIMEOUT", "5", "", "ATZ", "OK"]
DIAL += ["AT+CPIN?", "READY-AT+CPIN?-READY", "AT+CEREG?", ",1-AT+CEREG?-,1-AT+CEREG?-,1"]
DIAL += ['AT+CGDCONT=1,"IP","internet"', "OK", "ATD*99#", "CONNECT"]


def chat(path: str, *script: str) -> int:
    """The exit code of Debian's chat on this line: 0, or 4 and more for the n-th ABORT."""
    assert CHAT, "install the Debian package ppp"
    with open(path, "r+b", buffering=0) as line:
        run = subprocess.run([CHAT, "-t", "3", *script], stdin=line, stdout=line, timeout=60)
    return run.returncode


def test_a_dial_up_script_of_pppd_gets_through():
    modem = BenchModem(ModemSettings(model="EC25", register_after=1))
    with PtyPort(modem) as port:
        assert chat(port.path, *DIAL) == 0
    assert modem.counters.dials == 1
    assert not modem.counters.unknown


def test_the_script_sees_what_goes_wrong():
    for settings, code in (
        (ModemSettings(sim="removed"), 6),  # ERROR
        (ModemSettings(register_after=0, apn="other"), 5),  # NO CARRIER
        (ModemSettings(silent=True), 3),  # time-out
    ):
        with PtyPort(BenchModem(settings)) as port:
            assert chat(port.path, *DIAL) == code


def ask(line: serial.Serial, command: str) -> list[str]:
    line.write(command.encode() + b"\r")
    out = line.read_until(b"OK\r\n").decode()
    return [text for text in out.replace("\r", "\n").split("\n") if text]


def test_pyserial_hears_echo_answers_and_the_time():
    modem = BenchModem(ModemSettings(utc=lambda: NOW, zone=23, register_after=0))
    with PtyPort(modem) as port, serial.Serial(port.path, 115_200, timeout=2) as line:
        assert ask(line, "AT+CCLK?") == ["AT+CCLK?", '+CCLK: "80/01/06,00:01:17+00"', "OK"]
        assert ask(line, "AT+CEREG?")[1] == "+CEREG: 0,1"
        assert ask(line, "ATE0")[-1] == "OK"
        assert ask(line, "AT+CCLK?") == ['+CCLK: "26/03/02,07:45:00+23"', "OK"]
        assert ask(line, "AT+CSQ") == ["+CSQ: 20,99", "OK"]


# --- the network behind it --------------------------------------------------------------------


class Echo:
    """A server that sends back what it gets, in upper case."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(ConnectionError):
            while data := connection.recv(4096):
                connection.sendall(data.upper())


@pytest.fixture
def online():
    """(modem, relay, dial) with the data call up; dial(name, port) gives (answer, socket)."""
    echo = Echo()
    modem = BenchModem(ModemSettings(register_after=0))
    routes = {("office", 1): echo.address}
    with PtyPort(modem) as port, ModemRelay(modem, routes) as relay:
        line = serial.Serial(port.path, timeout=2)
        with line:
            ask(line, "AT+CEREG?")
            line.write(b"ATD*99#\r")
            line.read_until(b"CONNECT 115200\r\n")
            line.write(b"LOGIN  \n")
            assert line.read_until(b"\n") == b"IP 10.64.0.2\n"

            def dial(name: str, number: int):
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(5)
                s.connect(relay.path)
                s.sendall(f"TCP {name} {number}\n".encode())
                answer = b""
                while not answer.endswith(b"\n"):
                    answer += s.recv(1)
                return answer.decode().strip(), s

            yield modem, relay, dial, line
    echo.listener.close()


def test_tcp_goes_through_and_is_counted(online):
    _, relay, dial, _ = online
    answer, s = dial("office", 1)
    assert answer == "OK"
    s.sendall(b"a" * 100_000)
    got = b""
    while len(got) < 100_000:
        got += s.recv(65_536)
    assert got == b"A" * 100_000
    assert (relay.up, relay.down) == (100_000, 100_000)
    assert dial("nobody", 1)[0] == "NO NAME"


def test_connections_die_with_the_carrier(online):
    modem, _, dial, line = online
    _, s = dial("office", 1)
    s.sendall(b"x")
    assert s.recv(10) == b"X"
    modem.lose_carrier()
    assert s.recv(10) == b""
    assert line.read_until(b"NO CARRIER\r\n").endswith(b"NO CARRIER\r\n")
    assert dial("office", 1)[0] == "DOWN"


def test_a_stalled_network_says_nothing_and_a_cut_one_cuts(online):
    _, relay, dial, _ = online
    _, s = dial("office", 1)
    relay.stalled = True
    s.sendall(b"y")
    s.settimeout(0.3)
    with pytest.raises(TimeoutError):
        s.recv(10)
    relay.stalled = False
    s.settimeout(5)
    assert s.recv(10) == b"Y"
    relay.cut_after = relay.carried + 2
    s.sendall(b"zz")
    while s.recv(10):
        pass
    assert dial("office", 1)[0] == "DOWN"
