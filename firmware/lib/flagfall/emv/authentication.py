# Offline data authentication of one tap, done piece by piece as the records come in.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A card of kernels 3 and 7 proves itself by fDDA only. Everything that needs no 9F69 is done
# before the last record is asked for, since reading that one debits an e-cash card.

import hashlib

from flagfall.emv import oda_rsa
from flagfall.emv.capk import SM2
from flagfall.emv.kernels import V00_OLD_CARDS
from flagfall.emv.oda_rsa import OdaError

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_CA_KEY_INDEX = const(0x8F)
_V01 = const(1)
_CTQ_CDCVM = const(0x80)  # of its second byte
_NEW_CARDS = b"\x00\x30"  # application version from which fDDA 01 is a must (PBOC notice 03)


class Authentication:
    """Certificates and fDDA of one tap.

    `data` is the dict that the records fill, `static` the list of parts of the static data, in
    order. Call `advance(stage)` as often as data come in; it raises OdaError when the card has
    failed. `issuer`, `icc` and `dynamic` are None until done.
    """

    EARLY = 0  # more records are to come: do what is surely complete
    GATE = 1  # the last record is next: try all there is
    FINAL = 2  # nothing more will come

    def __init__(self, terminal, rules, rid, data, static, today):
        self._terminal = terminal
        self._rules = rules
        self._rid = rid
        self._data = data
        self._static = static
        self._today = today
        self._capk = None
        self.issuer = None
        self.icc = None
        self.dynamic = None

    def pending(self, static_done):
        """True if `advance(EARLY)` would find work to do."""
        data = self._data
        if self.issuer is None:
            return all(tag in data for tag in (0x8F, 0x90)) and (
                (0x92 in data and 0x9F32 in data) or data[0x90][:1] == b"\x12"
            )
        if self.icc is None:
            needed = (0x9F46, 0x9F4A)
            if self._capk.algorithm != SM2:
                needed += (0x9F47, 0x9F48)
            return static_done and all(tag in data for tag in needed)
        return self.dynamic is None and 0x9F4B in data

    def advance(self, stage, pan, static_done):
        """Do the next piece for which the data are there; True if one was done."""
        if stage == self.EARLY and not self.pending(static_done):
            return False
        if self.issuer is None:
            return self._attempt(self._open_issuer, stage, pan, (0x8F, 0x90), (0x92, 0x9F32))
        if self.icc is None:
            if not static_done:
                return False
            optional = (0x9F47, 0x9F48, 0x9F4A)
            return self._attempt(self._open_icc, stage, pan, (0x9F46,), optional)
        if self.dynamic is None and 0x9F4B in self._data:
            formats = self._rules.tc_formats
            if self._is_arqc():
                formats = self._rules.arqc_formats
            self.dynamic = self._open_dynamic(formats)
            return True
        return False

    def _attempt(self, piece, stage, pan, needed, optional):
        """Run `piece`. A failure counts only if nothing that is yet to come could mend it.

        At the gate nothing may: a certificate comes whole before the last record or whole with
        it, so that one that lacks its remainder or exponent is refused before the debit.
        """
        data = self._data
        for tag in needed:
            if tag not in data:
                if stage == self.FINAL:
                    raise OdaError("no-oda", "tag %X is missing" % tag)
                return False
        try:
            piece(pan)
        except OdaError as e:
            complete = stage != self.EARLY or e.reason not in ("issuer-cert", "card-cert")
            if complete or all(tag in data for tag in optional):
                raise
            return False
        return True

    def _is_arqc(self):
        return self._data[0x9F10][4] & 0x30 == 0x20

    def _module(self):
        if self._capk.algorithm == SM2:
            if not self._terminal.sm2:
                raise OdaError("no-key", "SM2 is not enabled in this terminal")
            from flagfall.emv import oda_sm2

            return oda_sm2
        return oda_rsa

    def _open_issuer(self, pan):
        data = self._data
        index = data[_CA_KEY_INDEX]
        capk = self._terminal.capks.find(self._rid, index[0]) if len(index) == 1 else None
        if capk is None:
            raise OdaError("no-key", "CA key is not in the store")
        if capk.expiry is not None:
            year, month, day = capk.expiry
            months = year * 12 + month - 1
            if self._today > (months, day):
                raise OdaError("key-expired", "CA key has expired")
        self._capk = capk
        certificate = data[0x90]
        remainder = data.get(0x92, b"")
        exponent = data.get(0x9F32, b"")
        h = hashlib.sha256(self._rid + index + bytes((len(exponent), len(remainder))))
        for part in (capk.modulus, capk.exponent, certificate, remainder, exponent):
            h.update(part)
        digest = h.digest()
        cache = self._terminal.issuer_keys
        issuer = cache.get(digest)
        if issuer is None:
            issuer = self._module().issuer_key(capk, certificate, remainder, exponent)
            cache.put(digest, issuer)
        if self._terminal.capks.is_revoked(self._rid, index[0], issuer.serial):
            raise OdaError("revoked", "issuer certificate is revoked")
        if issuer.expiry < self._today[0]:
            raise OdaError("cert-expired", "issuer certificate has expired")
        if not pan.startswith(issuer.owner):
            raise OdaError("issuer-cert", "issuer number is not that of the card number")
        self.issuer = issuer

    def _open_icc(self, pan):
        data = self._data
        static = list(self._static)
        if 0x9F4A in data:
            if data[0x9F4A] != b"\x82":
                raise OdaError("card-cert", "static data tag list is not 82")
            static.append(data[0x82])
        icc = self._module().icc_key(
            self.issuer, data[0x9F46], data.get(0x9F48, b""), data.get(0x9F47, b""), static
        )
        if icc.owner != pan:
            raise OdaError("card-cert", "card number is not that of the certificate")
        if icc.expiry < self._today[0]:
            raise OdaError("cert-expired", "card certificate has expired")
        self.icc = icc

    def _open_dynamic(self, formats):
        dynamic = self._module().open_dynamic(self.icc, self._data[0x9F4B], formats)
        if dynamic.atc() != self._data[0x9F36]:
            raise OdaError("fdda", "signed counter is not the card's counter")
        return dynamic

    def check_fdda(self, un, amount, currency, final):
        """Compare the fDDA's hash. True if it is verified, False if 9F69 may still come.

        `un`, `amount` (n12), `currency` (n3) are the bytes that went out in the PDOL. Raises
        OdaError.
        """
        if self.dynamic is None:
            if final:
                raise OdaError("no-oda", "card sent no fDDA that could be checked")
            return False
        related = self._data.get(0x9F69)
        if related is None and not final:
            # Only a card of version 00 verifies already now; whether it may is known too.
            # Not tried for SM2: it would cost every tap a second verification.
            if self._capk.algorithm != SM2 and self.dynamic.matches(un):
                self._check_v00()
                return True
            return False
        if related is None:
            self._check_v00()
            good = self.dynamic.matches(un)
        else:
            good = check_related(self.dynamic, related, un, amount, currency, self._check_v00)
        if not good:
            raise OdaError("fdda", "fDDA hash does not match")
        if related is not None and related[0] == _V01:
            self._check_owner(related)
        return True

    def _check_owner(self, related):
        """That the phone has verified its owner stands in 9F6C, which anybody on the air may
        change, and is signed in 9F69 (Book C-3, 5.7)."""
        ctq = self._data.get(0x9F6C)
        if ctq and ctq[-1] & _CTQ_CDCVM and related[5:7] != ctq:
            raise OdaError("fdda", "owner's verification is not what the card signed")

    def _check_v00(self):
        version = self._data.get(0x9F08)
        if self._rules.v00 == V00_OLD_CARDS and version is not None and version < _NEW_CARDS:
            return
        raise OdaError("fdda-version", "fDDA version 00 from a card that must do 01")


def check_related(dynamic, related, un, amount, currency, allow_v00):
    """True if `dynamic` covers card authentication related data 9F69 (Book C-3, annex C).

    `allow_v00()` raises OdaError if version 00 is not accepted.
    """
    if not 5 <= len(related) <= 16:
        raise OdaError("fdda-version", "9F69 has no 5 to 16 bytes")
    if related[0] == 0:
        allow_v00()
        return dynamic.matches(un)
    if related[0] != _V01:
        raise OdaError("fdda-version", "unknown fDDA version")
    return dynamic.matches(un, amount, currency, related)
