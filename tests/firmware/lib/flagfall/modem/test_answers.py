# What a modem's answers mean, with the traps of each model.
# MIT licence, (c) 2026 The Flagfall contributors.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/../link")

from fake_unit import Stream  # noqa: E402
from flagfall.clock import iso8601  # noqa: E402
from flagfall.modem import answers, models  # noqa: E402


def test_sim():
    assert answers.sim("+CPIN: READY") == answers.READY
    assert answers.sim("+CPIN: SIM PIN") == answers.WANTS_PIN
    assert answers.sim("+CPIN: SIM PUK") == answers.BLOCKED
    assert answers.sim("+CPIN: NOT READY") is None
    assert answers.sim("+CPIN: SIM REMOVED") is None
    assert answers.sim_missing("+CME ERROR: 10")
    assert answers.sim_missing("+CME ERROR: SIM not inserted")
    assert not answers.sim_missing("+CME ERROR: 3")
    assert not answers.sim_missing("ERROR")


def test_signal():
    assert answers.signal_dbm("+CSQ: 20,99") == -73
    assert answers.signal_dbm("+CSQ: 0,0") == -113
    assert answers.signal_dbm("+CSQ: 31,99") == -51
    for line in ("+CSQ: 99,99", "+CSQ: ", "+CSQ: x,9", "+CSQ: -1,0", "OK"):
        assert answers.signal_dbm(line) is None, line


def test_registration():
    for line in ("+CEREG: 0,1", '+CREG: 2,5,"1A2B","0C3D",7', "+CGREG: 0, 1"):
        assert answers.registration(line) == answers.REGISTERED, line
    assert answers.registration("+CEREG: 0,2") == answers.SEARCHING
    assert answers.registration("+CREG: 0,3") == answers.DENIED
    # One field is a report of a change, not an answer.
    for line in ("+CREG: 1", "+CEREG:", "+CEREG: 0,x", "CREG", "+CSQ: 1,1"):
        assert answers.registration(line) is None, line


def at(line, prefix="+CCLK:", local=True):
    seconds = answers.network_time(line, prefix, local)
    return None if seconds is None else iso8601(seconds)


def test_the_time_of_a_zone():
    assert at('+CCLK: "26/03/02,10:00:00+32"') == "2026-03-02T02:00:00Z"
    assert at('+CCLK: "26/03/01,21:00:00-20"') == "2026-03-02T02:00:00Z"
    assert at('+CCLK: "26/03/02,07:45:00+23"') == "2026-03-02T02:00:00Z"  # Nepal: 5 3/4 hours
    assert at('+CCLK: "28/02/29,04:00:00+32"') == "2028-02-28T20:00:00Z"


def test_utc_beside_a_zone():
    line = '+QLTS: "2026/03/02,02:00:00+32,0"'
    assert at(line, "+QLTS:", False) == "2026-03-02T02:00:00Z"
    assert at('+QLTS: ""', "+QLTS:", False) is None


def test_a_clock_that_was_never_set_is_no_time():
    for text in (
        "80/01/06,00:01:17+00",
        "70/01/01,00:00:32+00",
        "00/01/01,00:00:00+00",
        "04/01/01,00:00:00+00",
    ):
        assert at('+CCLK: "%s"' % text) is None, text


def test_a_time_that_is_none():
    for text in (
        "26/13/02,10:00:00+32",
        "26/02/30,10:00:00+32",
        "26/03/02,25:00:00+32",
        "26/03/02,10:00:00",
        "26/03/02,10:00:00+",
        "26/03/02,10:00:00+99",
        "26/03/02 10:00:00+32",
        "2x/03/02,10:00:00+32",
        "1999/03/02,10:00:00+32",
        "",
    ):
        assert at('+CCLK: "%s"' % text) is None, text


def test_any_line_is_understood_or_none():
    rnd = Stream(b"answers")
    parts = (
        "+CCLK: ",
        '"',
        "26/03/02",
        ",",
        "10:00:00",
        "+32",
        "+CSQ: ",
        "+CEREG: ",
        "1",
        "-",
        "+CPIN: ",
        "/",
        ":",
        "READY",
        " ",
    )
    for _ in range(2000):
        line = "".join([parts[rnd.below(len(parts))] for _ in range(rnd.below(10))])
        answers.sim(line)
        answers.sim_missing(line)
        answers.signal_dbm(line)
        answers.registration(line)
        answers.network_time(line, "+CCLK:", rnd.below(2) == 0)


def test_models_by_name():
    assert models.of("SIMCOM_SIM7600CE") is models.SIM7600
    assert models.of("A7670C-LASS") is models.A7670
    assert models.of("EC25") is models.EC2X
    assert models.of("EC20CEFAG") is models.EC2X
    assert models.of("something else") is models.ANY
    for model in models.ALL:
        # The press before the model is known switches each on, and none off.
        assert model.on_ms <= models.ANY.on_ms < model.off_ms, model.name
        assert model.off_ms <= models.ANY.off_ms
        assert model.boot_ms <= models.ANY.boot_ms
        assert model.down_ms <= models.ANY.down_ms
