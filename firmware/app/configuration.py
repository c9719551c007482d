# The small files a unit is given: identity, settings, tariff, CA keys. Each whole or not at all.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A file is written beside its old self, flushed, and renamed over it: littlefs and POSIX both
# leave the old or the new one after a power cut, never a mixture. A CRC32 at the end shows a
# file that was damaged later; a damaged file counts as absent.

import json
import os
from binascii import crc32, hexlify, unhexlify

from micropython import const

_IDENTITY = "identity.json"
_SETTINGS = "settings.json"
_TARIFF = "tariff.bin"
_NEXT_TARIFF = "tariff-next.bin"
_CAPK = "capk.json"
_CLOCK = "clock.bin"
_CERTIFICATE = "certificate.json"
_ISU = "isu.bin"
_MAX_FILE = const(16384)  # bytes; the largest file that anyone may push

# name: (type, required). Everything the office may set; docs/formats.md section 7.
_FIELDS = {
    "k": (int, True),
    "currency": (int, True),
    "country": (int, True),
    "terminal_id": (str, True),
    "merchant_id": (str, True),
    "plate": (str, True),
    "company": (str, False),
    "certificate": (str, False),
    "phone": (str, False),
    "aids": (list, True),
    "profiles": (list, False),
    "repeat_ms": (int, False),
    "stored_count": (int, False),
    "stored_amount": (int, False),
    "stored_age_s": (int, False),
    "dip_ms": (int, False),
    "tap_wait_ms": (int, False),
    "uplink": (dict, False),
    "isu_vendor": (int, False),
}


class ConfigurationError(ValueError):
    """A pushed file makes no sense; the old one stays in force."""


class Configuration:
    """The unit's files. Values are None until the unit was provisioned."""

    def __init__(self, root):
        self._root = root
        self.unit_id = None
        self.unit_key = None
        self.fleet_key = None  # DER SubjectPublicKeyInfo
        self.first_epoch = 1
        self.settings = None
        self.tariff_blob = None
        self.next_tariff_blob = None  # waits for its day, or for the end of a trip
        self.capks = ()  # of bytes, one CAPK TLV each
        self.certificate = None  # (certificate, key, authority), DER, to dial the gateway with
        self.clock_budget = None  # flagfall.meter.clock_budget, packed

    def load(self):
        """Read what there is."""
        identity = self._read_json(_IDENTITY)
        if identity is not None:
            self._take_identity(identity)
        self.settings = self._read_json(_SETTINGS)
        self.tariff_blob = self._read(_TARIFF)
        self.next_tariff_blob = self._read(_NEXT_TARIFF)
        self.clock_budget = self._read(_CLOCK)
        certificate = self._read_json(_CERTIFICATE)
        if certificate is not None:
            self._take_certificate(certificate)
        capks = self._read_json(_CAPK)
        self.capks = tuple(unhexlify(c) for c in capks) if capks else ()

    def provision(self, message):
        """Take a PROVISION message (dict). Raises ConfigurationError; nothing is changed then."""
        try:
            identity = {
                "unit_id": message["unit_id"],
                "unit_key": message["unit_key"],
                "fleet_key": message["fleet_key"],
                "epoch": message["epoch"],
            }
            self._check_identity(identity)
        except (KeyError, TypeError, ValueError) as e:
            raise ConfigurationError("provisioning data: %s" % e) from None
        if message.get("config") is not None:
            self.put_settings(json.dumps(message["config"]).encode())
        self._write(_IDENTITY, json.dumps(identity).encode())
        self._take_identity(identity)

    def put_settings(self, blob):
        """Check and keep the settings (JSON object). Raises ConfigurationError."""
        try:
            settings = json.loads(blob)
        except ValueError:
            raise ConfigurationError("config: not JSON") from None
        if not isinstance(settings, dict):
            raise ConfigurationError("config: not a JSON object")
        for name in settings:
            if name not in _FIELDS:
                raise ConfigurationError("config: unknown field %s" % name)
        for name, (kind, required) in _FIELDS.items():
            if name in settings:
                if not isinstance(settings[name], kind) or isinstance(settings[name], bool):
                    raise ConfigurationError("config: %s must be %s" % (name, kind.__name__))
            elif required:
                raise ConfigurationError("config: %s is missing" % name)
        if not 100 <= settings["k"] <= 65535:
            raise ConfigurationError("config: k must be 100 to 65535 pulses a km")
        if not 0 <= settings.get("isu_vendor", 0) <= 99:
            raise ConfigurationError("config: isu_vendor must be 0 to 99")
        for name in settings.get("profiles", ()):
            if name not in ("ecash", "oda"):
                raise ConfigurationError("config: profiles may hold ecash and oda")
        if "uplink" in settings:
            from app.uplink_settings import UplinkSettings, UplinkSettingsError

            try:
                UplinkSettings(settings["uplink"])
            except UplinkSettingsError as e:
                raise ConfigurationError("config: %s" % e) from None
        for aid in settings["aids"]:
            _hex(aid, "config: aids")
        self._write(_SETTINGS, json.dumps(settings).encode())
        self.settings = settings

    def put_k(self, k):
        """Keep another k, all other settings as they are. Raises ConfigurationError."""
        settings = dict(self.settings)
        settings["k"] = k
        self.put_settings(json.dumps(settings).encode())

    def put_certificate(self, blob):
        """Keep what the unit dials the gateway with (docs/formats.md section 7)."""
        try:
            fields = json.loads(blob)
            self._take_certificate(fields)
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError("certificate, key and authority are needed, hex") from None
        self._write(_CERTIFICATE, blob)

    def _take_certificate(self, fields):
        parts = tuple(unhexlify(fields[n]) for n in ("certificate", "key", "authority"))
        for part in parts:
            if part[:1] != b"\x30":
                raise ValueError("not DER")
        self.certificate = parts

    def put_clock_budget(self, packed):
        """Keep what was corrected of the clock this week."""
        self._write(_CLOCK, packed)
        self.clock_budget = packed

    def isu_told(self, newest):
        """The seq up to which the ISU has everything; `newest`, and kept, when there is none."""
        blob = self._read(_ISU)
        if blob is None or len(blob) != 4:
            self.put_isu_told(newest)
            return newest
        return int.from_bytes(blob, "little")

    def put_isu_told(self, seq):
        """Keep that the ISU has acknowledged everything up to `seq`."""
        self._write(_ISU, seq.to_bytes(4, "little"))

    def put_tariff(self, blob):
        """Keep a compiled tariff that the meter has already accepted."""
        self._write(_TARIFF, blob)
        self.tariff_blob = bytes(blob)

    def put_next_tariff(self, blob):
        """Keep a tariff that is not in force yet. A trip survives a restart under the old one."""
        self._write(_NEXT_TARIFF, blob)
        self.next_tariff_blob = bytes(blob)

    def promote_tariff(self):
        """The waiting tariff is in force from here on."""
        self.put_tariff(self.next_tariff_blob)
        os.remove(self._root + "/" + _NEXT_TARIFF)
        self.next_tariff_blob = None

    def put_capks(self, blob):
        """Keep the CA keys: a JSON list of hex TLVs that the kernel has already accepted."""
        capks = json.loads(blob)
        self._write(_CAPK, blob)
        self.capks = tuple(unhexlify(c) for c in capks)

    def _check_identity(self, identity):
        unit_id = identity["unit_id"]
        if not isinstance(unit_id, str) or not 1 <= len(unit_id) <= 16:
            raise ValueError("unit_id must be 1 to 16 characters")
        for c in unit_id:
            if c not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-":
                raise ValueError("unit_id may hold A-Z, 0-9 and - only")
        if len(_hex(identity["unit_key"], "unit_key")) != 32:
            raise ValueError("unit_key must be 32 bytes")
        _hex(identity["fleet_key"], "fleet_key")
        epoch = identity["epoch"]
        if not isinstance(epoch, int) or not 1 <= epoch < 0x80000000:
            raise ValueError("epoch must be 1 to 2^31 - 1")

    def _take_identity(self, identity):
        self.unit_id = identity["unit_id"]
        self.unit_key = unhexlify(identity["unit_key"])
        self.fleet_key = unhexlify(identity["fleet_key"])
        self.first_epoch = identity["epoch"]

    def _read_json(self, name):
        blob = self._read(name)
        return None if blob is None else json.loads(blob)

    def _read(self, name):
        path = self._root + "/" + name
        try:
            size = os.stat(path)[6]
            if size > _MAX_FILE + 8:
                return None
            with open(path, "rb") as f:
                blob = f.read(size)
        except OSError:
            return None
        if len(blob) < 8 or hexlify(crc32(blob[:-8]).to_bytes(4, "big")) != blob[-8:]:
            return None
        return blob[:-8]

    def _write(self, name, blob):
        if len(blob) > _MAX_FILE:
            raise ConfigurationError("%s: more than %d bytes" % (name, _MAX_FILE))
        path = self._root + "/" + name
        with open(path + ".new", "wb") as f:
            f.write(blob)
            f.write(hexlify(crc32(blob).to_bytes(4, "big")))
            f.flush()
        os.rename(path + ".new", path)


def _hex(text, what):
    try:
        return unhexlify(text)
    except (ValueError, TypeError):
        raise ConfigurationError("%s: not hex" % what) from None
