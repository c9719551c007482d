# The `uplink` field of a unit's settings: checked when it is pushed, read by the uplink.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.modem import models

_MODELS = {"": models.ANY}
for _model in models.ALL:
    _MODELS[_model.name] = _model

# name: (type, default, least, most); lengths for text. docs/formats.md section 7.
_FIELDS = {
    "gateway": (str, None, 3, 80),  # name:port
    "apn": (str, "", 0, 63),
    "user": (str, "", 0, 63),
    "password": (str, "", 0, 63),
    "auth": (str, "", 0, 4),
    "pin": (str, "", 0, 8),
    "modem": (str, "", 0, 16),
    "every_s": (int, 3600, 60, 86400),
    "ping_s": (int, 120, 5, 600),
    "pong_s": (int, 20, 1, 60),
    "stay": (bool, False, 0, 1),
    "at": (list, (), 0, 8),
}
_AUTHS = ("none", "pap", "chap")


class UplinkSettingsError(ValueError):
    """The field makes no sense; str() names what."""


class UplinkSettings:
    """host, port, apn, user, password, auth, pin, model, every_s, ping_s, pong_s, stay and at
    (commands before the call). `fields` is the JSON object. Raises UplinkSettingsError."""

    def __init__(self, fields):
        if not isinstance(fields, dict):
            raise UplinkSettingsError("uplink must be an object")
        for name in fields:
            if name not in _FIELDS:
                raise UplinkSettingsError("uplink: unknown field %s" % name)
        values = {}
        for name, (kind, default, least, most) in _FIELDS.items():
            value = fields.get(name, default)
            if value is None:
                raise UplinkSettingsError("uplink: %s is missing" % name)
            if name in fields:
                self._check(name, value, kind, least, most)
            values[name] = value
        self.host, _, port = values["gateway"].partition(":")
        if not self.host or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise UplinkSettingsError("uplink: gateway must be NAME:PORT")
        self.port = int(port)
        self.apn = values["apn"]
        self.user = values["user"]
        self.password = values["password"]
        self.auth = values["auth"] or ("chap" if self.user else "none")
        if self.auth not in _AUTHS:
            raise UplinkSettingsError("uplink: auth may be none, pap or chap")
        self.pin = values["pin"]
        if values["modem"] not in _MODELS:
            raise UplinkSettingsError("uplink: modem may be SIM7600, A7670 or EC2x")
        self.model = _MODELS[values["modem"]]
        self.every_s = values["every_s"]
        self.ping_s = values["ping_s"]
        self.pong_s = values["pong_s"]
        self.stay = values["stay"]
        self.at = values["at"]

    def _check(self, name, value, kind, least, most):
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UplinkSettingsError("uplink: %s must be %s" % (name, kind.__name__))
        size = value if kind in (int, bool) else len(value)
        if not least <= size <= most:
            raise UplinkSettingsError("uplink: %s must be %d to %d" % (name, least, most))
        # What goes to the modem in an AT command must not end it or begin another.
        for text in value if kind is list else (value,):
            if kind in (str, list):
                if not isinstance(text, str) or len(text) > 80:
                    raise UplinkSettingsError("uplink: %s must be text" % name)
                for c in text:
                    if not 32 <= ord(c) < 127 or (c == '"' and kind is str):
                        raise UplinkSettingsError("uplink: %s holds a character it may not" % name)
