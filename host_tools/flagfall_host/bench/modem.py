"""A simulated 4G modem on a pseudo-terminal: SIM7600, A7670 or EC25, as good or bad as is wished.

    modem = BenchModem(ModemSettings(model="EC25"))
    with PtyPort(modem) as port:
        ...  # open port.path as a serial port; any program may

It answers the AT commands that a dial-up client uses (3GPP TS 27.007, ITU-T V.250). After CONNECT
the line carries the bench's stand-in for PPP, one line each way: `LOGIN user password` is answered
by `IP 10.64.0.2` or `DENIED`. TCP then goes through `flagfall_host.bench.modem_relay`.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field

_GENERIC_OK = ("AT", "ATE0", "ATE1", "ATZ", "AT&F", "ATV1", "ATQ0", "ATH", "ATH0", "AT+CMEE=1")
_ON_MS = 100  # shortest press that switches it on
_OFF_MS = {"SIM7600": 2_500, "A7670": 2_500, "EC25": 650}
_NAMES = {"SIM7600": "SIMCOM_SIM7600CE", "A7670": "A7670C-LASS", "EC25": "EC25"}
_UNSET = {"SIM7600": "80/01/06,00:01:17+00", "A7670": "70/01/01,00:00:32+00", "EC25": ""}
_AT_LIMIT = 512


@dataclass
class ModemSettings:
    """What the modem, its SIM and its network are like. All may be changed while it runs.

    sim             ready, pin, puk, removed
    register_after  questions for the registration after which it is there; None: never
    refused         the network refuses the card
    csq             signal, 0 to 31; 99: none
    apn, user, password   what the network takes; "": anything
    utc             the network's time (NITZ) as a function, or None: it does not tell
    zone            of the network, quarters of an hour
    silent          hears and says nothing, as if its line were cut
    fails           commands (whole) that are answered by ERROR
    notices         unsolicited lines, one before each answer, again and again
    piece           answers come in pieces of so many bytes; 0: whole
    dials           calls that are taken before all others are refused; None: all
    boot_questions  bytes it swallows as it starts: so many questions stay unanswered
    """

    model: str = "SIM7600"
    powered: bool = True
    sim: str = "ready"
    pin: str = "1234"
    register_after: int | None = 2
    refused: bool = False
    csq: int = 20
    apn: str = ""
    user: str = ""
    password: str = ""
    utc: Callable[[], datetime.datetime] | None = None
    zone: int = 32
    silent: bool = False
    fails: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    piece: int = 0
    dials: int | None = None
    boot_questions: int = 2


@dataclass
class ModemCounters:
    """What the modem was asked to do."""

    commands: int = 0
    dials: int = 0
    logins: int = 0
    radio_restarts: int = 0
    presses: int = 0
    unknown: list[str] = field(default_factory=list)


class BenchModem:
    """The chip behind the pseudo-terminal. `carrier` is told when the data call comes and goes."""

    def __init__(self, settings: ModemSettings | None = None) -> None:
        self.settings = settings or ModemSettings()
        self.counters = ModemCounters()
        self.carrier: Callable[[bool], None] = lambda up: None
        self.online = False  # a data call stands and its login was right
        self._on = self.settings.powered
        self._data = False
        self._echo = True
        self._line = b""
        self._asked = 0  # for the registration
        self._swallow = 0
        self._pin_given = False
        self._apn = ""
        self._out: list[bytes] = []
        self._noticed = 0

    # --- the pseudo-terminal's side ----------------------------------------------------------

    def feed(self, data: bytes) -> bytes:
        if not self._on or self.settings.silent:
            return b""
        answer = self._in_call(data) if self._data else self._commands(data)
        return self._pieces(self._pending() + answer)

    def idle(self) -> bytes:
        if not self._on or self.settings.silent:
            return b""
        return self._pieces(self._pending())

    def _pending(self) -> bytes:
        out, self._out = b"".join(self._out), []
        return out

    def _pieces(self, data: bytes) -> bytes:
        n = self.settings.piece
        if n and len(data) > n and not self._data:
            self._out.append(data[n:])
            return data[:n]
        return data

    # --- the bench's side --------------------------------------------------------------------

    def press_key(self, ms: int) -> None:
        """The power key was pressed for `ms`."""
        self.counters.presses += 1
        if not self._on:
            if ms >= _ON_MS:
                self._reset()
                self._on = True
                self._swallow = self.settings.boot_questions
                self._out = [b"\x00\xff\x1c\r\nRDY\r\n", b"\r\n+CPIN: READY\r\n"]
        elif ms >= _OFF_MS[self.settings.model]:
            self.lose_carrier(quiet=True)
            self._out = [b"\r\nNORMAL POWER DOWN\r\n"]
            self._on = False

    def lose_carrier(self, quiet: bool = False) -> None:
        """The call ends. `quiet`: without a word to the unit."""
        was, self.online = self.online, False
        if self._data and not quiet:
            self._data = False
            self._out.append(b"\r\nNO CARRIER\r\n")
        elif quiet and self._data:
            self._data = False
        if was:
            self.carrier(False)

    def _reset(self) -> None:
        self._data = False
        self._echo = True
        self._line = b""
        self._asked = 0
        self._pin_given = False

    @property
    def on(self) -> bool:
        return self._on

    # --- data mode ---------------------------------------------------------------------------

    def _in_call(self, data: bytes) -> bytes:
        if data.strip() == b"+++":
            self._data = False
            self._line = b""
            return b"\r\nOK\r\n"
        self._line += data
        if b"\n" not in self._line:
            return b""
        line, _, self._line = self._line.partition(b"\n")
        words = line.decode("ascii", "replace").split(" ")
        if words[0] != "LOGIN":
            return b""
        self.counters.logins += 1
        s = self.settings
        if s.user and words[1:3] != [s.user, s.password]:
            self._data = False
            return b"DENIED\n\r\nNO CARRIER\r\n"
        self.online = True
        self.carrier(True)
        return b"IP 10.64.0.2\n"

    # --- commands ----------------------------------------------------------------------------

    def _commands(self, data: bytes) -> bytes:
        out = b""
        self._line = (self._line + data)[-_AT_LIMIT:]
        while b"\r" in self._line:
            line, _, self._line = self._line.partition(b"\r")
            text = line.decode("ascii", "replace").strip()
            if self._swallow:
                self._swallow -= 1
                continue
            if not text:
                continue
            if self._echo:
                out += line + b"\r"
            out += self._notice()
            for answer in self._answer(text):
                out += b"\r\n" + answer.encode() + b"\r\n"
        return out

    def _notice(self) -> bytes:
        notices = self.settings.notices
        if not notices:
            return b""
        self._noticed += 1
        return b"\r\n" + notices[self._noticed % len(notices)].encode() + b"\r\n"

    def _answer(self, text: str) -> list[str]:
        self.counters.commands += 1
        s = self.settings
        upper = text.upper()
        if text in s.fails:
            return ["ERROR"]
        if upper in ("ATE0", "ATE1"):
            self._echo = upper == "ATE1"
        if upper in ("ATH", "ATH0", "ATZ"):
            self.lose_carrier(quiet=True)
        if upper in _GENERIC_OK:
            return ["OK"]
        if upper in ("AT+CGMM", "AT+GMM"):
            return [_NAMES[s.model], "OK"]
        if upper in ("AT+CGMI", "AT+GMI"):
            return ["Quectel" if s.model == "EC25" else "SIMCOM INCORPORATED", "OK"]
        if upper in ("ATI", "AT+CGMR"):
            return ["BENCH 1", "OK"]
        if upper.startswith("AT+CTZU="):
            return ["OK"]
        if upper.startswith("AT+CPIN"):
            return self._sim(text)
        if upper == "AT+CSQ":
            return [f"+CSQ: {s.csq},99", "OK"]
        if upper in ("AT+CEREG?", "AT+CREG?", "AT+CGREG?"):
            return [f"{upper[2:-1]}: 0,{self._registration(upper)}", "OK"]
        if upper.startswith("AT+CFUN="):
            return self._radio(upper)
        if upper == "AT+CCLK?":
            return [f'+CCLK: "{self._clock()}"', "OK"]
        if upper == "AT+QLTS=1" and s.model == "EC25":
            return [f'+QLTS: "{self._greenwich()}"', "OK"]
        if upper.startswith("AT+CGDCONT="):
            self._apn = text.split('"')[3] if text.count('"') >= 4 else ""
            return ["OK"]
        if upper.startswith("ATD"):
            return self._dial()
        self.counters.unknown.append(text)
        return ["ERROR"]

    def _sim(self, text: str) -> list[str]:
        s = self.settings
        if s.sim == "removed":
            return ["+CME ERROR: 10"]
        if text.startswith("AT+CPIN="):
            if s.sim == "pin" and text.split('"')[1:2] == [s.pin]:
                self._pin_given = True
                return ["OK"]
            return ["+CME ERROR: 16"]
        if s.sim == "puk":
            return ["+CPIN: SIM PUK", "OK"]
        if s.sim == "pin" and not self._pin_given:
            return ["+CPIN: SIM PIN", "OK"]
        return ["+CPIN: READY", "OK"]

    def _has_network(self) -> bool:
        s = self.settings
        unlocked = s.sim == "ready" or (s.sim == "pin" and self._pin_given)
        there = s.register_after is not None and self._asked > s.register_after
        return unlocked and there and not s.refused

    def _registration(self, command: str) -> int:
        if command == "AT+CEREG?":
            self._asked += 1
        if self.settings.refused:
            return 3
        return 1 if self._has_network() else 2

    def _radio(self, command: str) -> list[str]:
        if command == "AT+CFUN=0":
            self.counters.radio_restarts += 1
            self._asked = 0
            self.lose_carrier(quiet=True)
        return ["OK"]

    def _clock(self) -> str:
        s = self.settings
        if s.utc is None or not self._has_network():
            return _UNSET[s.model] or "80/01/06,00:00:09+00"
        # Quectel's clock is UTC after AT+CTZU=1, beside the zone of the network.
        shift = 0 if s.model == "EC25" else s.zone
        shown = s.utc() + datetime.timedelta(minutes=15 * shift)
        return f"{shown:%y/%m/%d,%H:%M:%S}{s.zone:+03d}"

    def _greenwich(self) -> str:
        s = self.settings
        if s.utc is None or not self._has_network():
            return ""
        return f"{s.utc():%Y/%m/%d,%H:%M:%S}{s.zone:+03d},0"

    def _dial(self) -> list[str]:
        s = self.settings
        self.counters.dials += 1
        if not self._has_network() or (s.apn and self._apn != s.apn):
            return ["NO CARRIER"]
        if s.dials is not None:
            if s.dials == 0:
                return ["NO CARRIER"]
            s.dials -= 1
        self._data = True
        self._line = b""
        return ["CONNECT 115200"]
