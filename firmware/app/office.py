# What the office sends: judged, and put in force whole or not at all.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 7. All of it comes signed, with a version that never goes back; what is
# legally relevant (tariff, settings, CA keys, k) is under the seal besides (app/seal.py). A unit
# that is not complete yet, or whose seal is open, also takes unsigned files, for the workshop.

import hashlib
from binascii import hexlify

from app import configuration
from app.configuration import ConfigurationError
from flagfall import permit, signed_file
from flagfall.emv.aid import ParameterError, parse_aid
from flagfall.emv.capk import CapkError, CapkStore
from flagfall.journal import schema
from flagfall.link.messages import Busy, Refused
from flagfall.meter.tariff import Tariff, TariffError
from flagfall.meter.taximeter import FOR_HIRE
from flagfall.signed_file import Header, SignedFileError
from micropython import const

_STEP_MS = const(500)
_SEALED = (permit.TARIFF, permit.CONFIG, permit.CAPK)


class Office:
    """Takes files for a unit. `seal`, `meter` are None until it is complete; `capks` is the
    kernel's CapkStore, `deny` the deny list, each None where there is none; `reading()`: a card
    is being read, and nothing else is begun."""

    def __init__(
        self,
        board,
        files,
        booking,
        meter,
        screen,
        seal,
        public_key,
        capks,
        deny,
        reading=lambda: False,
    ):
        self._board = board
        self._files = files
        self._booking = booking
        self._meter = meter
        self._screen = screen
        self._seal = seal
        self._public_key = public_key
        self._capks = capks
        self._deny = deny
        self._reading = reading
        self._takes = {
            "tariff": self._tariff,
            "config": self._config,
            "capk": self._capk,
            "revoked": self._revoked,
            "texts": self._texts,
            "language": self._language,
            "campaigns": self._campaigns,
            "drivers": self._drivers,
        }

    @property
    def spool(self):
        """Where long files go; None: this unit takes none yet."""
        return None if self._deny is None else self._deny.spool

    def push(self, kind, blob):
        """Check a pushed file and put it in force, or raise Refused and change nothing.

        True if the unit has to start anew for it. Raises Busy while a card is being read.
        """
        if self._reading():
            raise Busy("a card is being read")
        if kind == "permit" and self._seal is not None:
            self._seal.take(blob)
            return False
        restart = False
        try:
            if kind == "certificate":
                self._files.put_certificate(
                    blob
                )  # the unit's own secret: signed by the fleet's CA
            elif kind == "k" and self._meter is not None:
                restart = self._k(blob)
            elif kind in self._takes:
                header, content = self._opened(kind, blob)
                if header is not None and self._stands(kind, header):
                    self._files.note_version(kind, header.version)
                    return False
                if kind in _SEALED and self._seal is not None:
                    self._seal.require(kind, blob)
                restart = self._takes[kind](content, header)
                if header is not None:
                    self._files.note_version(kind, header.version)
                    if kind not in _SEALED:
                        text = "%s version %d" % (kind, header.version)
                        self._booking.event(schema.OFFICE_FILE, text)
            else:
                raise Refused("unknown kind of file: %s" % kind)
        except (
            TariffError,
            ConfigurationError,
            CapkError,
            ParameterError,
            SignedFileError,
            ValueError,
        ) as e:
            raise Refused("%s not accepted: %s" % (kind, e)) from None
        self._screen.say("New %s loaded", kind)
        return restart

    def in_force(self):
        """What FILES answers: each kind with version, date and SHA-256 of its content."""
        out = {}
        for kind, header in self._files.signed.items():
            sha256 = hexlify(header.sha256).decode()
            out[kind] = {"version": header.version, "made": header.made, "sha256": sha256}
        there = {
            "tariff": self._files.tariff_blob,
            "tariff-next": self._files.next_tariff_blob,
            "config": self._files.settings,
            "capk": self._files.capks,
        }
        for kind, content in there.items():
            if content and kind not in out:
                out[kind] = {"version": 0}  # given in the workshop, without a signature
        deny = None if self._deny is None else self._deny.describe()
        if deny is not None:
            out["deny"] = deny
        for kind in signed_file.KINDS:
            newest = self._files.newest(kind)
            if newest > out.get(kind, {}).get("version", 0):
                # Its file is damaged, or waits for its day.
                out.setdefault(kind, {"version": 0})["newest"] = newest
        return out

    # Signature and version.

    def _opened(self, kind, blob):
        """(header, content) of a pushed file; header None for an unsigned one in the workshop."""
        if not signed_file.is_signed(blob):
            if self._seal is not None and not self._board.seal_open():
                raise SignedFileError("it is not signed by the office")
            return None, blob
        header = Header(blob)
        if self._public_key is None:
            raise SignedFileError("this unit has no fleet key to check the signature with")
        header.check(self._public_key, kind, self._files.unit_id)
        content = memoryview(blob)[header.size :]
        if len(content) != header.length or _sha256(content) != header.sha256:
            raise SignedFileError("the content is not what was signed")
        return header, bytes(content)

    def _stands(self, kind, header):
        """True if this very file is in force (or next) already. Raises SignedFileError if it is
        older than what there was."""
        newest = self._files.newest(kind)
        if header.version < newest:
            raise SignedFileError("version %d is older than %d" % (header.version, newest))
        for name in (kind + "-next", kind):
            known = self._files.signed.get(name)
            if known is not None and known.version == header.version:
                if known.sha256 != header.sha256:
                    raise SignedFileError("another content has version %d" % known.version)
                return True
        return False

    # The kinds. Each returns whether the unit starts anew.

    def _tariff(self, content, header):
        tariff = Tariff(bytes(content))
        if self._meter is None:
            self._files.put_tariff(content, header)
            return True
        self._files.put_next_tariff(content, header)
        text = "%s version %d" % (tariff.name, tariff.version)
        self._seal.changed(schema.TARIFF_CHANGED, text)
        self._meter.change_tariff(tariff)
        return False

    def _config(self, content, header):
        self._must_be_vacant()
        fields = configuration.parse_settings(content)
        for row in fields.get("aids", ()):
            parse_aid(configuration.unhex(row, "config: aids"))
        was = None if self._files.settings is None else self._files.settings["k"]
        self._files.put_settings(content, header)
        if self._seal is not None:
            text = "settings"
            if self._files.settings["k"] != was:
                text = "settings, k %d to %d" % (was, self._files.settings["k"])
            self._seal.changed(schema.SETTINGS_CHANGED, text)
        return True

    def _capk(self, content, header):
        self._must_be_vacant()  # the unit starts anew: not in the middle of a tap
        live, rows = configuration.parse_capks(content)
        settings = self._files.settings
        if settings is not None and live != settings.get("live", False):
            raise CapkError(
                "these are %s keys, the unit's settings are for %s keys"
                % (("live", "test") if live else ("test", "live"))
            )
        store = CapkStore(live)
        for row in rows:
            store.add(row, live)
        self._files.put_capks(content, header)
        if self._seal is not None:
            self._seal.changed(schema.KEYS_CHANGED, "%d CA keys" % len(rows))
        return True

    def _revoked(self, content, header):
        """In force with the next certificate that is looked at."""
        self._files.put_revoked(content, header)
        if self._capks is not None:
            self._capks.revoke_only(self._files.revoked)
        return False

    def _texts(self, content, header):
        self._files.put_texts(content, header)
        return False

    def _language(self, content, header):
        self._files.put_language(content, header)
        return False

    def _campaigns(self, content, header):
        self._files.put_next_campaigns(content, header)
        self.step()
        return False

    def _drivers(self, content, header):
        """In force with the next sign-in."""
        self._files.put_drivers(content, header)
        return False

    def step(self):
        """Between two trips: what waits for that is in force."""
        vacant = self._meter is None or self._meter.position == FOR_HIRE
        if vacant and self._files.next_campaigns is not None:
            self._files.promote_campaigns()

    async def run(self):
        """Look for the end of the trip now and then."""
        while True:
            self.step()
            await self._board.sleep_ms(_STEP_MS)

    def _k(self, blob):
        self._must_be_vacant()
        self._seal.require(permit.K, blob)
        was = self._meter.taximeter.k
        k = int(bytes(blob))
        self._files.put_k(k)
        self._seal.changed(schema.K_CHANGED, "k %d to %d" % (was, k))
        return True

    def _must_be_vacant(self):
        if self._meter is not None and self._meter.position != FOR_HIRE:
            raise Refused("settings are not changed during a trip")


def _sha256(data):
    return hashlib.sha256(data).digest()
