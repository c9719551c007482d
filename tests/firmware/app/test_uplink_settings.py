"""The uplink's settings: what is taken, and that nothing in them can be a modem's command."""

import pytest
from app.uplink_settings import UplinkSettings, UplinkSettingsError
from flagfall.modem import models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def test_the_least_is_a_gateway():
    taken = UplinkSettings({"gateway": "gateway.example.com:8443"})
    assert (taken.host, taken.port) == ("gateway.example.com", 8443)
    assert (taken.every_s, taken.ping_s, taken.pong_s) == (3_600, 120, 20)
    assert (taken.auth, taken.stay, taken.model) == ("none", False, models.ANY)


def test_a_user_is_asked_for_by_chap_unless_it_is_said_otherwise():
    fields = {"gateway": "g:1", "user": "taxi", "password": "secret"}
    assert UplinkSettings(fields).auth == "chap"
    assert UplinkSettings(fields | {"auth": "pap"}).auth == "pap"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([], "an object"),
        ({}, "gateway is missing"),
        ({"gateway": "host"}, "NAME:PORT"),
        ({"gateway": "host:0"}, "NAME:PORT"),
        ({"gateway": "host:x"}, "NAME:PORT"),
        ({"gateway": "host:65536"}, "NAME:PORT"),
        ({"gateway": "g:1", "apns": ""}, "unknown field apns"),
        ({"gateway": "g:1", "apn": 'x"\r'}, "apn holds a character"),
        ({"gateway": "g:1", "pin": "1234\r"}, "pin holds a character"),
        ({"gateway": "g:1", "every_s": 5}, "every_s must be 60 to 86400"),
        ({"gateway": "g:1", "every_s": True}, "every_s must be int"),
        ({"gateway": "g:1", "stay": 1}, "stay must be bool"),
        ({"gateway": "g:1", "auth": "eap"}, "none, pap or chap"),
        ({"gateway": "g:1", "modem": "BG96"}, "modem may be"),
        ({"gateway": "g:1", "at": ["AT\rATD1;"]}, "at holds a character"),
        ({"gateway": "g:1", "at": [1]}, "at must be text"),
        ({"gateway": "g:1", "at": ["AT"] * 9}, "at must be 0 to 8"),
    ],
)
def test_what_makes_no_sense_is_named(fields, words):
    with pytest.raises(UplinkSettingsError, match=words):
        UplinkSettings(fields)


_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=90)
    | st.lists(st.text(), max_size=9)
)
_names = st.sampled_from(
    ["gateway", "apn", "user", "password", "auth", "pin", "modem", "every_s", "stay", "at", "x"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_names, _values))
def test_any_object_is_taken_or_refused(fields):
    try:
        taken = UplinkSettings(fields)
    except UplinkSettingsError:
        return
    for text in (taken.apn, taken.user, taken.password, taken.pin):
        assert '"' not in text and text.isprintable() and text.isascii()
