# One payment from the answer to GPO to the verdict: the card's data and every check on them.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# JR/T 0025.12-2013, sections 6.5 to 7.6, and the order that torn cards dictate: what can be
# checked before the last record is asked for is checked before.

from flagfall.emv import bcd, outcome
from flagfall.emv.authentication import Authentication
from flagfall.emv.oda_rsa import OdaError
from flagfall.emv.outcome import DECLINED, END, OTHER_INTERFACE, Outcome, Stop
from flagfall.emv.records import parse_afl, take
from flagfall.emv.terminal import ECASH, ODA
from flagfall.emv.tlv import TlvError, collect, only

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_TYPE_MASK = const(0x30)  # of CVR byte 1
_TC = const(0x10)
_ARQC = const(0x20)
_AIP_DDA = const(0x20)
_CTQ_PIN = const(0x80)
_CTQ_SIGNATURE = const(0x40)
_CTQ_SWITCH = const(0x10)  # switch interface if ODA fails
_CTQ_CDCVM = const(0x80)  # byte 2

# docs/formats.md, section 4
_SEALED = (
    (0x57, 0x5A, 0x5F34, 0x5F24, 0x9F26, 0x9F27, 0x9F10, 0x9F37, 0x9F36, 0x95, 0x9A, 0x9C)
    + (0x9F02, 0x9F03, 0x5F2A, 0x82, 0x9F1A, 0x9F33, 0x9F34, 0x9F35, 0x9F1E, 0x84, 0x9F09)
    + (0x9F41, 0x9F63, 0x9F74)
)


# Objects of records that are checked as soon as they have come.
_CHECKED = (0x5A, 0x5F34, 0x5F24, 0x5F25)


def track2(value):
    """(PAN digits, expiry in months since year 0) of tag 57. Raises Stop."""
    text = value.hex()
    at = text.find("d")
    if not 8 <= at <= 19 or len(text) < at + 8 or not text[:at].isdigit():
        raise Stop(END, "malformed")
    rest = text[at + 1 :].rstrip("f")
    if len(rest) < 7 or not rest.isdigit():
        raise Stop(END, "malformed")
    try:
        return text[:at], bcd.months(int(rest[0:2]), int(rest[2:4]))
    except ValueError:
        raise Stop(END, "malformed") from None


def gpo_balance(data):
    """The balance that came with the cryptogram: 9F5D, else issuer data of type 01; or None."""
    value = data.get(0x9F5D)
    if value is None:
        issuer = data.get(0x9F10, b"")
        if len(issuer) < 15 or issuer[8] < 6 or issuer[9] != 1:
            return None
        value = issuer[10:15]
    try:
        return bcd.to_int(value)
    except ValueError:
        return None


class Purchase:
    """Card data and checks of one payment. Methods raise Stop, or tlv.TlvError for malformed data.

    `terminal_data` is the dict of what went into the PDOL. `records` is the AFL as a list once
    `begin` has run. `pan`, `atc` are secret and not: only `last_four` leaves the kernel in clear.
    """

    def __init__(self, terminal, candidate, rules, profile, fci_name, terminal_data, today):
        self.terminal = terminal
        self.combination = candidate.combination
        self.select_name = candidate.name
        self.rules = rules
        self.profile = profile
        self.name = fci_name
        self.sent = terminal_data
        self._today = today
        self.data = {}
        self.static = []
        self.records = []
        self.position = 0  # records that have come
        self._held = []  # of these, those not looked at yet
        self._taken = 0
        self._awaited = _CHECKED
        self.pan = None
        self.psn = 0
        self.atc = 0
        self.flags = 0 if terminal.capks.live else outcome.FLAG_TEST_KEYS
        self.is_tc = False
        self.verified = False
        self._gate_passed = False
        self._cvm = b"\x1f\x00\x02"
        self._related_in_gpo = False
        self._signed_upto = 0
        self.authentication = None

    # -- the answer to GPO ------------------------------------------------------------------

    def begin(self, body):
        """Take the GPO answer: format, identity and cryptogram type. Decides nothing yet."""
        if body[:1] == b"\x80":  # AIP and AFL only: a card that wants the full PBOC path
            raise Stop(END, "missing")
        collect(only(body, 0x77), self.data)
        data = self.data
        for tag in self.rules.mandatory:
            if tag not in data:
                raise Stop(END, "missing")
        if len(data[0x82]) != 2 or len(data[0x9F36]) != 2 or len(data[0x9F26]) != 8:
            raise Stop(END, "malformed")
        if not 7 <= len(data[0x9F10]) <= 32:
            raise Stop(END, "missing")
        self.atc = data[0x9F36][0] << 8 | data[0x9F36][1]
        self._related_in_gpo = 0x9F69 in data
        kind = data[0x9F10][4] & _TYPE_MASK
        self.is_tc = kind == _TC
        # 9F10 decides, since many cards leave 9F27 out; but if it is there it must agree.
        cid = 0x40 if kind == _TC else 0x80 if kind == _ARQC else 0x00
        if 0x9F27 in data:
            if len(data[0x9F27]) != 1 or data[0x9F27][0] & 0xC0 != cid:
                raise Stop(END, "protocol")
        else:
            data[0x9F27] = bytes((cid,))

    def identify(self):
        """Whose card it is: PAN, sequence number, expiry. Raises Stop."""
        if self.pan is not None:
            return
        self.pan, self._expiry = track2(self.data[0x57])
        if 0x5F34 in self.data:
            self._take_psn()

    def _take_psn(self):
        psn = self.data[0x5F34]
        if len(psn) != 1:
            raise Stop(END, "malformed")
        try:
            self.psn = bcd.to_int(psn)
        except ValueError:
            raise Stop(END, "malformed") from None

    def decide_path(self):
        """Every check that the GPO answer allows; then the AFL. Raises Stop."""
        self.identify()
        data = self.data
        cid = data[0x9F27][0] & 0xC0
        if self.terminal.denied(self.pan):
            raise Stop(DECLINED, "denied")
        if self._expiry < self._today[0]:
            raise Stop(DECLINED, "expired")
        if cid == 0:
            raise Stop(DECLINED, "card-refuses")
        online = bool(self.sent[0x9F66][1] & 0x80)
        if self.is_tc:
            if self.profile != ECASH or online:
                raise Stop(END, "protocol")  # we asked for an online cryptogram
        elif self.profile != ODA:
            if self.combination.over_floor:
                raise Stop(OTHER_INTERFACE, "limit")
            raise Stop(DECLINED, "online")
        self._check_cvm()
        if self.atc == 0:
            raise Stop(DECLINED, "counter")
        if not data[0x82][0] & _AIP_DDA:
            raise self._oda_failed("no-oda")
        if 0x94 not in data:
            raise self._oda_failed("no-oda")
        self._locate()

    def reads_ahead(self):
        """True if the first record may be asked for before `decide_path` has run: the answer to
        GPO is of the kind that was asked for, and that record is not the one that debits."""
        if 0x94 not in self.data or self.is_tc != (self.profile == ECASH):
            return False
        if not self.is_tc and self.data[0x9F27] == b"\x00":
            return False
        try:
            self._locate()
        except TlvError:
            return False  # decide_path says so in its turn
        return not self.is_tc or len(self.records) > 1

    def _locate(self):
        if not self.records:
            self.records = parse_afl(self.data[0x94])

    def _authentication(self):
        """The Authentication, made when it is first needed."""
        if self.authentication is not None:
            return self.authentication
        for at, (_, _, signed) in enumerate(self.records):
            if signed:
                self._signed_upto = at + 1
        self.authentication = Authentication(
            self.terminal,
            self.rules,
            self.combination.parameters.rid(),
            self.data,
            self.static,
            self._today,
        )
        return self.authentication

    def _check_cvm(self):
        """Card transaction qualifiers 9F6C (Book C-3, annex A.2; JR/T 0025.12, 7.6)."""
        required = bool(self.sent[0x9F66][1] & 0x40)
        ctq = self.data.get(0x9F6C)
        signature = self.terminal.signature_supported()
        if ctq is None:
            if required:
                if not signature:
                    raise Stop(OTHER_INTERFACE, "pin")
                self._sign()
            return
        if len(ctq) != 2:
            raise Stop(END, "malformed")
        if ctq[1] & _CTQ_CDCVM:
            self.flags |= outcome.FLAG_CDCVM
            self._cvm = b"\x01\x00\x02"
        elif ctq[0] & _CTQ_SIGNATURE and signature:
            self._sign()
        elif required or ctq[0] & (_CTQ_PIN | _CTQ_SIGNATURE):
            raise Stop(OTHER_INTERFACE, "pin")

    def _sign(self):
        self.flags |= outcome.FLAG_SIGNATURE
        self._cvm = b"\x1e\x00\x00"

    def _oda_failed(self, reason):
        """What a failed ODA leads to: CTQ may ask for the other interface (JR/T 0025.12, 7.5)."""
        ctq = self.data.get(0x9F6C)
        if ctq and ctq[0] & _CTQ_SWITCH:
            return Stop(OTHER_INTERFACE, reason)
        return Stop(DECLINED, reason)

    # -- records ----------------------------------------------------------------------------

    def next_record(self):
        """(SFI, number) of the record to ask for, or None when all have been taken."""
        if self.position >= len(self.records):
            return None
        return self.records[self.position][:2]

    def next_is_last(self):
        return self.position == len(self.records) - 1

    def hold(self, body):
        """Keep the body of the record that has come; it is looked at while the next one comes."""
        self._held.append(body)
        self.position += 1

    def take_held(self, but=0):
        """Take in what is held, but for the last `but` records. Raises Stop, TlvError."""
        while len(self._held) > but:
            self._take(self._held.pop(0))

    def look(self):
        """Take in all that is held, whatever may be wrong with it."""
        try:
            self.identify()
        except Stop:
            pass
        while self._held:
            try:
                self.take_held()
            except (Stop, TlvError):
                pass

    def _take(self, body):
        sfi, _, signed = self.records[self._taken]
        self._taken += 1
        part = take(sfi, body, self.data)
        if signed:
            self.static.append(part)
        self._check_fields()

    def _check_fields(self):
        """PAN, dates and lengths of what a record has brought; each comes once."""
        for tag in self._awaited:
            if tag in self.data:
                break
        else:
            return
        data = self.data
        awaited = self._awaited
        self._awaited = [tag for tag in awaited if tag not in data]
        if 0x5A in data and 0x5A in awaited:
            try:
                same = bcd.digits(data[0x5A]) == self.pan
            except ValueError:
                raise Stop(END, "malformed") from None
            if not same:
                raise Stop(DECLINED, "pan")
        if 0x5F34 in data and 0x5F34 in awaited:
            self._take_psn()
        if 0x5F24 in data and 0x5F24 in awaited and self._date(0x5F24) < self._today:
            raise Stop(DECLINED, "expired")
        if 0x5F25 in data and 0x5F25 in awaited and self._date(0x5F25) > self._today:
            raise Stop(DECLINED, "expired")  # not effective yet

    def _date(self, tag):
        try:
            return bcd.yymmdd(self.data[tag])
        except ValueError:
            raise Stop(END, "malformed") from None

    def work(self, all_read):
        """Do one piece of work that is ready; True if there may be more. Raises Stop, TlvError.

        While a card of transit ODA is still read only its records are taken in: its certificates
        can wait until it has left. An e-cash card's must be through before the last record.
        """
        if self._held:
            self.take_held(len(self._held) - 1)
            return True
        if not (self.is_tc or all_read):
            return False
        try:
            authentication = self._authentication()
            done = self._taken >= self._signed_upto
            return authentication.advance(Authentication.EARLY, self.pan, done)
        except OdaError as e:
            raise self._oda_failed(e.reason) from None

    def _authenticate(self, stage):
        final = stage == Authentication.FINAL
        authentication = self._authentication()
        done = self._taken >= self._signed_upto
        sent = self.sent
        try:
            while authentication.advance(stage, self.pan, done):
                pass  # issuer, card, signature: three pieces at most
            if not self.verified:
                self.verified = authentication.check_fdda(
                    sent[0x9F37], sent[0x9F02], sent[0x5F2A], final
                )
        except OdaError as e:
            raise self._oda_failed(e.reason) from None

    def before_last(self):
        """The gate: after it the card may debit. Raises Stop while that is still harmless."""
        self.take_held()
        self._authenticate(Authentication.GATE)
        self._gate_passed = True

    def finish(self):
        """All records are here: the rest of the authentication. Raises Stop, TlvError."""
        self.take_held()
        self._authenticate(Authentication.FINAL)
        if not self.verified:
            raise self._oda_failed("fdda")

    def redo_last(self, body):
        """Take the last record from its backup on the card; True if then all is verified."""
        self._undo = (dict(self.data), len(self.static), self._awaited)
        self._undo += (self.position, self.verified)
        try:
            self.hold(body)
            self.finish()
        except (Stop, TlvError):
            self.undo_last()
            return False
        return True

    def undo_last(self):
        """Go back to before `redo_last`."""
        data, parts, self._awaited, self.position, self.verified = self._undo
        self._taken = self.position
        self._held = []
        self.data.clear()
        self.data.update(data)
        del self.static[parts:]

    # -- the end ----------------------------------------------------------------------------

    def balance_before(self):
        """E-cash balance before this payment, from the GPO answer; None if not given."""
        balance = gpo_balance(self.data)
        if balance is None or not self.is_tc:
            return None
        if self.terminal.balance_after_in_gpo:
            return balance + bcd.to_int(self.sent[0x9F02])
        return balance

    def may_have_debited(self):
        """True if an offline approval has shown its 9F69, which comes with the debit.

        The AFL is not signed: one that was tampered with on the air could make us take the record
        that debits for one of the middle.
        """
        return self.is_tc and 0x9F69 in self.data and not self._related_in_gpo

    def try_to_verify(self):
        """Verify the fDDA if it can be done already; True if so. Raises nothing."""
        try:
            if not self._gate_passed:
                self.before_last()
        except (Stop, TlvError):
            return False
        return self.verified

    def sealed(self):
        """(tag, value) in the order of docs/formats.md section 4, as far as they are known."""
        known = {0x84: self.name, 0x9F34: self._cvm}
        data = self.data
        sent = self.sent  # the terminal's own values are in it
        result = []
        for tag in _SEALED:
            if tag in known:
                result.append((tag, known[tag]))
            elif tag in data:
                result.append((tag, data[tag]))
            elif tag in sent:
                result.append((tag, sent[tag]))
        return result

    def outcome(self, code, reason, flags=0):
        """An Outcome of this payment, with data as far as they are known."""
        result = Outcome(code, reason, flags | self.flags)
        result.amount = bcd.to_int(self.sent[0x9F02])
        result.currency = self.terminal.currency
        result.profile = self.profile
        if self.pan is not None:
            result.last_four = self.pan[-4:]
            result.psn = self.psn
            result.atc = self.atc
            result.data = self.sealed()
        before = self.balance_before()
        if code == outcome.APPROVED and before is not None and before >= result.amount:
            result.balance_after = before - result.amount
        return result

    def tag_input(self):
        """What the card tag of docs/formats.md is the HMAC of: `card`, PAN digits, PSN byte."""
        return card_tag_input(self.pan, self.psn)


def card_tag_input(pan, psn):
    """`card` and the PAN's digits as ASCII, then the PSN as one BCD byte (00 if none)."""
    return b"card" + pan.encode() + bcd.from_int(psn, 1)
