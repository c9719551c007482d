# The small files a unit is given: identity, settings, tariff, CA keys, texts, language, campaigns,
# drivers. Each whole or not at all.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A file is written beside its old self, flushed, and renamed over it: littlefs and POSIX both
# leave the old or the new one after a power cut, never a mixture. A CRC32 at the end shows a
# file that was damaged later; a damaged file counts as absent. What the office signed is kept
# with its header, which says the version and the date (flagfall.signed_file).

import json
import os
from binascii import crc32, hexlify, unhexlify

from app import words
from flagfall import campaign, receipt, signed_file
from micropython import const

_IDENTITY = "identity.json"
_SETTINGS = "settings.json"
_TARIFF = "tariff.bin"
_NEXT_TARIFF = "tariff-next.bin"
_CAPK = "capk.json"
_REVOKED = "revoked.json"
_TEXTS = "texts.json"
_LANGUAGE = "language.bin"
_CAMPAIGNS = "campaigns.json"
_NEXT_CAMPAIGNS = "campaigns-next.json"
_DRIVERS = "drivers.bin"
_CLOCK = "clock.bin"
_CERTIFICATE = "certificate.json"
_ISU = "isu.bin"
_VERSIONS = "versions.json"
_MAX_LINES = const(6)  # of a receipt's header or footer
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
    "live": (bool, False),  # which CA keys: the live ones, or the public test keys
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
        self.capks_live = False
        self.revoked = ()  # of (RID, index, serial)
        self.campaigns = ()
        self.next_campaigns = None  # wait for the end of the trip
        self.texts = {}  # "header" and "footer": lines of a receipt
        self.words = words.Words(root + "/" + _LANGUAGE)
        self.signed = {}  # kind: its signed_file.Header; "tariff-next" is a kind here too
        self._versions = {}  # kind: the highest version there ever was
        self.writes = 0  # files written since the start
        self.clock_budget = None  # flagfall.meter.clock_budget, packed

    def load(self):
        """Read what there is."""
        identity = self._read_json(_IDENTITY)
        if identity is not None:
            self._take_identity(identity)
        self._versions = self._read_json(_VERSIONS) or {}
        settings = self._read_signed("config", _SETTINGS)
        self.settings = None if settings is None else json.loads(settings)
        self.tariff_blob = self._read_signed("tariff", _TARIFF)
        self.next_tariff_blob = self._read_signed("tariff-next", _NEXT_TARIFF)
        self.clock_budget = self._read(_CLOCK)
        certificate = self._read_json(_CERTIFICATE)
        if certificate is not None:
            self._take_certificate(certificate)
        capks = self._read_signed("capk", _CAPK)
        if capks is not None:
            self.capks_live, self.capks = parse_capks(capks)
        revoked = self._read_signed("revoked", _REVOKED)
        self.revoked = () if revoked is None else parse_revoked(revoked)
        texts = self._read_signed("texts", _TEXTS)
        self.texts = {} if texts is None else parse_texts(texts)
        language = self._read_signed("language", _LANGUAGE)
        self.words.use(self._language_start() if words.whole(language) else None)
        rows = self._read_signed("campaigns", _CAMPAIGNS)
        self.campaigns = () if rows is None else parse_campaigns(rows)
        rows = self._read_signed("campaigns-next", _NEXT_CAMPAIGNS)
        self.next_campaigns = None if rows is None else bytes(rows)
        self._read_signed("drivers", _DRIVERS)  # only its header is kept

    def newest(self, kind):
        """The highest version of this kind that the unit ever had; 0: none."""
        newest = self._versions.get(kind, 0)
        for name in (kind, kind + "-next"):
            if name in self.signed:
                newest = max(newest, self.signed[name].version)
        return newest

    def versions(self):
        """The sum of `newest` over the kinds of file: it grows with each file that is put in force
        and never falls, but where somebody puts old files back."""
        return sum([self.newest(kind) for kind in signed_file.KINDS])

    def note_version(self, kind, version):
        """Remember that there was this version, whatever becomes of its file."""
        if version > self._versions.get(kind, 0):
            self._versions[kind] = version
            self._write(_VERSIONS, json.dumps(self._versions).encode())

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

    def put_settings(self, blob, header=None):
        """Check and keep the settings (JSON object). Raises ConfigurationError.

        Without `k` the unit keeps the one it was calibrated to.
        """
        settings = parse_settings(blob)
        if "k" not in settings and self.settings is not None:
            settings["k"] = self.settings["k"]
        for name in settings:
            if name not in _FIELDS:
                raise ConfigurationError("config: unknown field %s" % name)
        for name, (kind, required) in _FIELDS.items():
            if name in settings:
                # A bool is an int to isinstance; here it is not.
                if not isinstance(settings[name], kind) or (
                    isinstance(settings[name], bool) and kind is not bool
                ):
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
            unhex(aid, "config: aids")
        self._write(_SETTINGS, json.dumps(settings).encode(), header, "config")
        self.settings = settings

    def put_k(self, k):
        """Keep another k, all other settings as they are. Raises ConfigurationError."""
        settings = dict(self.settings)
        settings["k"] = k
        self.put_settings(json.dumps(settings).encode(), self.signed.get("config"))

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

    def put_tariff(self, blob, header=None):
        """Keep a compiled tariff that the meter has already accepted."""
        self._write(_TARIFF, blob, header, "tariff")
        self.tariff_blob = bytes(blob)

    def put_next_tariff(self, blob, header=None):
        """Keep a tariff that is not in force yet. A trip survives a restart under the old one."""
        self._write(_NEXT_TARIFF, blob, header, "tariff-next")
        self.next_tariff_blob = bytes(blob)

    def promote_tariff(self):
        """The waiting tariff is in force from here on."""
        self.put_tariff(self.next_tariff_blob, self.signed.pop("tariff-next", None))
        os.remove(self._root + "/" + _NEXT_TARIFF)
        self.next_tariff_blob = None

    def put_capks(self, blob, header=None):
        """Keep the CA keys that the kernel has already accepted. Raises ConfigurationError."""
        live, capks = parse_capks(blob)
        self._write(_CAPK, blob, header, "capk")
        self.capks_live, self.capks = live, capks

    def put_revoked(self, blob, header=None):
        """Keep the list of revoked issuer certificates. Raises ConfigurationError."""
        revoked = parse_revoked(blob)
        self._write(_REVOKED, blob, header, "revoked")
        self.revoked = revoked

    def put_next_campaigns(self, blob, header=None):
        """Keep campaigns that are in force from the next trip on. Raises ConfigurationError."""
        parse_campaigns(blob)
        self._write(_NEXT_CAMPAIGNS, blob, header, "campaigns-next")
        self.next_campaigns = bytes(blob)

    def promote_campaigns(self):
        """The waiting campaigns are in force from here on."""
        header = self.signed.pop("campaigns-next", None)
        self._write(_CAMPAIGNS, self.next_campaigns, header, "campaigns")
        os.remove(self._root + "/" + _NEXT_CAMPAIGNS)
        self.campaigns = parse_campaigns(self.next_campaigns)
        self.next_campaigns = None

    def put_texts(self, blob, header=None):
        """Keep the receipt's texts. Raises ConfigurationError."""
        texts = parse_texts(blob)
        self._write(_TEXTS, blob, header, "texts")
        self.texts = texts

    def put_drivers(self, blob, header=None):
        """Keep the list of those who may sign in. Raises ConfigurationError."""
        from flagfall.roster import Roster, RosterError  # only here: the meter has no use for it

        try:
            Roster(blob)
        except RosterError as e:
            raise ConfigurationError(str(e)) from None
        self._write(_DRIVERS, blob, header, "drivers")

    def drivers(self):
        """The list of those who may sign in (flagfall.roster), read anew: it is needed twice a
        day. None: there never was one. Raises RosterError if there was, and it is damaged."""
        from flagfall.roster import Roster, RosterError

        blob = self._read_signed("drivers", _DRIVERS)
        if blob is not None:
            return Roster(blob)
        if self.newest("drivers"):
            raise RosterError("drivers: the file is damaged")
        return None

    def put_language(self, blob, header=None):
        """Keep the unit's texts in the driver's language. Raises LanguageError, a ValueError."""
        words.check(blob)
        self._write(_LANGUAGE, blob, header, "language")
        self.words.use(self._language_start())

    def _language_start(self):
        header = self.signed.get("language")
        return 0 if header is None else header.size

    def _check_identity(self, identity):
        unit_id = identity["unit_id"]
        if not isinstance(unit_id, str) or not 1 <= len(unit_id) <= 16:
            raise ValueError("unit_id must be 1 to 16 characters")
        for c in unit_id:
            if c not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-":
                raise ValueError("unit_id may hold A-Z, 0-9 and - only")
        if len(unhex(identity["unit_key"], "unit_key")) != 32:
            raise ValueError("unit_key must be 32 bytes")
        unhex(identity["fleet_key"], "fleet_key")
        epoch = identity["epoch"]
        if not isinstance(epoch, int) or not 1 <= epoch < 0x80000000:
            raise ValueError("epoch must be 1 to 2^31 - 1")

    def _take_identity(self, identity):
        self.unit_id = identity["unit_id"]
        self.unit_key = unhexlify(identity["unit_key"])
        self.fleet_key = unhexlify(identity["fleet_key"])
        self.first_epoch = identity["epoch"]

    def _read_signed(self, kind, name):
        """The content of a file that may have a signed header, which is noted."""
        blob = self._read(name)
        self.signed.pop(kind, None)
        if blob is None or not signed_file.is_signed(blob):
            return blob
        header = signed_file.Header(blob)
        self.signed[kind] = header
        return blob[header.size :]

    def _read_json(self, name):
        blob = self._read(name)
        return None if blob is None else json.loads(blob)

    def _read(self, name):
        path = self._root + "/" + name
        try:
            size = os.stat(path)[6]
            if size > _MAX_FILE + signed_file.MAX_HEADER + 8:
                return None
            with open(path, "rb") as f:
                blob = f.read(size)
        except OSError:
            return None
        if len(blob) < 8 or hexlify(crc32(blob[:-8]).to_bytes(4, "big")) != blob[-8:]:
            return None
        return blob[:-8]

    def _write(self, name, blob, header=None, kind=None):
        """Keep `blob` behind its header, if it has one; `kind` is where the header is noted."""
        if len(blob) > _MAX_FILE:
            raise ConfigurationError("%s: more than %d bytes" % (name, _MAX_FILE))
        path = self._root + "/" + name
        raw = b"" if header is None else header.raw
        with open(path + ".new", "wb") as f:
            f.write(raw)
            f.write(blob)
            f.write(hexlify(crc32(blob, crc32(raw)).to_bytes(4, "big")))
            f.flush()
        os.rename(path + ".new", path)
        self.writes += 1
        if header is not None:
            self.signed[kind] = header
        else:
            self.signed.pop(kind, None)


def unhex(text, what):
    """The bytes of hex text. Raises ConfigurationError."""
    try:
        return unhexlify(text)
    except (ValueError, TypeError):
        raise ConfigurationError("%s: not hex" % what) from None


def _json(blob, what):
    try:
        return json.loads(blob)
    except (ValueError, UnicodeError, RuntimeError):
        raise ConfigurationError("%s: not JSON" % what) from None


def parse_settings(blob):
    """The settings as a dict, its fields not looked at yet. Raises ConfigurationError."""
    settings = _json(blob, "config")
    if not isinstance(settings, dict):
        raise ConfigurationError("config: not a JSON object")
    if not isinstance(settings.get("aids", []), list):
        raise ConfigurationError("config: aids must be list")
    return settings


def parse_capks(blob):
    """(live, CAPK TLVs) of the JSON that `capk` is: {"live": bool, "keys": [hex, ...]}, or the
    list alone, which holds test keys. Raises ConfigurationError."""
    fields = _json(blob, "capk")
    if isinstance(fields, list):
        fields = {"keys": fields}
    keys = fields.get("keys") if isinstance(fields, dict) else None
    live = fields.get("live", False) if isinstance(fields, dict) else None
    if not isinstance(keys, list) or not isinstance(live, bool) or len(fields) > 2:
        raise ConfigurationError("capk: keys (a list of hex strings) and live are needed")
    return live, tuple(unhex(key, "capk") for key in keys)


def parse_revoked(blob):
    """((RID, index, serial), ...) of the JSON that `revoked` is: hex strings of 9 bytes. Raises
    ConfigurationError."""
    from flagfall.emv.capk import MAX_REVOKED  # only here: most units have no such list

    rows = _json(blob, "revoked")
    if not isinstance(rows, list) or len(rows) > MAX_REVOKED:
        raise ConfigurationError("revoked: a list of up to %d is needed" % MAX_REVOKED)
    out = []
    for row in rows:
        raw = unhex(row, "revoked")
        if len(raw) != 9:
            raise ConfigurationError("revoked: 5 bytes RID, 1 index, 3 serial are needed")
        out.append((raw[:5], raw[5], raw[6:]))
    return tuple(out)


def parse_campaigns(blob):
    """The JSON that `campaigns` is (flagfall.campaign). Raises ConfigurationError."""
    try:
        return campaign.parse(_json(blob, "campaigns"))
    except campaign.CampaignError as e:
        raise ConfigurationError(str(e)) from None


def parse_texts(blob):
    """The JSON that `texts` is: {"header": [line, ...], "footer": [...]}. Raises
    ConfigurationError."""
    fields = _json(blob, "texts")
    if not isinstance(fields, dict):
        raise ConfigurationError("texts: a JSON object is needed")
    for name, lines in fields.items():
        if name not in ("header", "footer"):
            raise ConfigurationError("texts: header and footer, not %s" % name)
        if not isinstance(lines, list) or len(lines) > _MAX_LINES:
            raise ConfigurationError("texts: up to %d lines in %s" % (_MAX_LINES, name))
        for line in lines:
            if not isinstance(line, str) or len(line) > receipt.WIDTH:
                raise ConfigurationError("texts: a line has up to %d characters" % receipt.WIDTH)
            for c in line:
                if c < " ":
                    raise ConfigurationError("texts: control characters do not print")
    return fields
