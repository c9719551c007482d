# The answers of a modem that the uplink lives by: SIM, signal, registration, time.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# 3GPP TS 27.007. Each function takes one line and returns None when it is not what it should be:
# a modem that babbles is a modem that did not answer.

from flagfall.clock import seconds_from_civil

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


# SIM (+CPIN, 8.3)
READY = const(1)
WANTS_PIN = const(2)
BLOCKED = const(3)  # PUK: the PIN was wrong three times
# Registration (+CREG, 7.2; +CEREG, 10.1.22)
SEARCHING = const(0)
REGISTERED = const(1)
DENIED = const(2)

_NO_SIM = (10, 13, 15, 515)  # CME: not inserted, failure, wrong; Quectel's "busy or absent"
_QUARTER_S = const(900)
_FIRST_YEAR = const(2026)  # a clock that says less has not heard from a network
_LAST_YEAR = const(2069)  # "70" and "80" are 1970 and 1980, the two dates of an unset clock


def sim(line):
    """READY, WANTS_PIN, BLOCKED or None from a +CPIN line."""
    state = _after(line, "+CPIN:")
    if state is None:
        return None
    if state == "READY":
        return READY
    if state.endswith("PUK") or state.endswith("PUK2"):
        return BLOCKED
    return WANTS_PIN if state == "SIM PIN" else None


def sim_missing(failure):
    """Whether the failure of +CPIN? says that there is no SIM card."""
    code = _after(failure, "+CME ERROR:")
    if code is None:
        return False
    if "SIM" in code.upper():  # AT+CMEE=2: in words
        return True
    return code.isdigit() and int(code) in _NO_SIM


def signal_dbm(line):
    """dBm from a +CSQ line (8.5); None if the modem hears nothing."""
    fields = _numbers(line, "+CSQ:")
    if not fields or not 0 <= fields[0] <= 31:
        return None
    return -113 + 2 * fields[0]


def registration(line):
    """SEARCHING, REGISTERED, DENIED or None from +CREG, +CGREG or +CEREG.

    An answer has at least two fields; one alone is an unsolicited report and not an answer.
    """
    colon = line.find(":")
    if colon < 0 or not line[:colon].endswith("REG"):
        return None
    fields = line[colon + 1 :].split(",")
    if len(fields) < 2:
        return None
    state = fields[1].strip()
    if not state.isdigit():
        return None
    if int(state) in (1, 5):  # at home, roaming
        return REGISTERED
    return DENIED if int(state) == 3 else SEARCHING


def network_time(line, prefix, local):
    """UTC seconds since 2000 from `+CCLK: "26/03/02,10:00:00+32"` or the same with a year of
    four digits (+QLTS). The zone counts quarters of an hour; `local`: the time shown is that of
    the zone, else it is UTC already. None: the network has not given the time.
    """
    text = _after(line, prefix)
    if text is None:
        return None
    text = text.split('"')[1] if text.count('"') >= 2 else text
    if len(text) >= 10 and text[4:5] == "/":
        century, text = text[:2], text[2:]
        if century != "20":
            return None
    if len(text) < 17 or text[2] + text[5] + text[8] + text[11] + text[14] != "//,::":
        return None
    parts = [text[i : i + 2] for i in (0, 3, 6, 9, 12, 15)]
    if not all([p.isdigit() for p in parts]):
        return None
    year, month, day, hour, minute, second = [int(p) for p in parts]
    if not _FIRST_YEAR <= 2000 + year <= _LAST_YEAR:
        return None
    try:
        seconds = seconds_from_civil(2000 + year, month, day, hour, minute, second)
    except ValueError:
        return None
    if local:
        zone = text[17:].split(",")[0]
        if len(zone) < 2 or zone[0] not in "+-" or not zone[1:].isdigit() or int(zone[1:]) > 96:
            return None
        offset = int(zone[1:]) * _QUARTER_S
        seconds -= offset if zone[0] == "+" else -offset
    return seconds


def _after(line, prefix):
    return line[len(prefix) :].strip() if line.startswith(prefix) else None


def _numbers(line, prefix):
    text = _after(line, prefix)
    if text is None:
        return None
    fields = [f.strip() for f in text.split(",")]
    return [int(f) for f in fields] if all([f.isdigit() for f in fields]) else None
