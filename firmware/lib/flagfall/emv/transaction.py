# One tap as a state machine over bytes: APDU out, APDU in, an outcome at the end.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# EMV Books A and B, Book C-7 and C-3, JR/T 0025.12-2013; see docs/contactless.md for the map.

from flagfall.emv import bcd, dol, entry_point, preprocessing, torn
from flagfall.emv.kernels import rules
from flagfall.emv.outcome import (
    APPROVED,
    ASK_DRIVER,
    DISPUTED,
    END,
    OTHER_INTERFACE,
    TORN,
    TRY_AGAIN,
    Outcome,
    Stop,
)
from flagfall.emv.purchase import Purchase, card_tag_input
from flagfall.emv.records import read_command
from flagfall.emv.terminal import ECASH, ODA
from flagfall.emv.tlv import TlvError

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


MAX_APDUS = 64  # of one tap, recovery included; more is a card that plays with us
MAX_RESPONSE = 258  # 256 bytes and SW1 SW2: all that a short command can bring
MAX_AMOUNT = 999999999  # minor units; keeps the PAYMENT record's u32 and sums far from its end

_NEW = const(0)
_RECOVERY = const(1)
_PPSE = const(2)
_SELECT = const(3)
_GPO = const(4)
_RECORD = const(5)
_READ = const(6)  # the card has given all
_OVER = const(7)


class SequenceError(RuntimeError):
    """The caller used a Transaction out of order."""


class Transaction:
    """One tap of one card for one amount.

        tx = Transaction(terminal, 2160, un, date, time)
        command = tx.start()
        while command is not None:
            response = reader.transceive(command)     # whole response with SW1 SW2
            command = tx.step(response)               # or tx.card_lost() and leave the loop
        if tx.card_read:
            the passenger may take the card
        tx.outcome

    `amount` in minor units, `un` 4 unpredictable bytes, `date` YYMMDD and `time` hhmmss in BCD,
    local, 3 bytes each. `sequence` is the unit's transaction counter (9F41). `torn`: a
    TornContext, or up to three, to resolve first. `stored` is what waits for upload: (payments,
    minor units, age of the oldest in seconds). `confirmed`: the driver said yes to ASK_DRIVER.
    `insist`: with torn payments, take no other card, and no new payment of a card whose torn one
    stays unproven. False, for torn payments of earlier trips: either simply pays.
    `now_s` is any clock in seconds; it only becomes the TornContext's `torn_at_s`.

    `work()` does a piece of what is to be done about earlier answers, if any is ready, and returns
    True while there may be more: call it while an APDU is under way, and when all is read. What
    it was not called for is done when its result is needed.

    Afterwards: `outcome` (never None once a method returned None; asking for it does what work
    is left), `torn` (a TornContext to
    keep: a new one, or the first of those given that is still unresolved; else None), and
    `torn_results`, a list of (TornContext, result) with the results of flagfall.emv.recovery.
    """

    def __init__(
        self,
        terminal,
        amount,
        un,
        date,
        time,
        sequence=1,
        torn=None,
        stored=(0, 0, 0),
        confirmed=False,
        insist=True,
        now_s=0,
    ):
        if len(un) != 4 or len(time) != 3:
            raise ValueError("unpredictable number has 4 bytes, time 3")
        if not 0 <= amount <= MAX_AMOUNT:
            raise ValueError("amount must be 0 to %d minor units" % MAX_AMOUNT)
        self._today = bcd.yymmdd(date)
        bcd.to_int(time)
        self.terminal = terminal
        self.amount = amount
        self.card_read = False  # every record came: nothing more is needed from the card
        self.torn = None
        self.torn_results = []
        self.apdus = 0
        if torn is None:
            torn = ()
        elif not isinstance(torn, (list, tuple)):
            torn = (torn,)
        self._torn = None
        if torn:
            from flagfall.emv.torn_payments import TornPayments

            self._torn = TornPayments(torn, insist)
            self.torn_results = self._torn.results
        self._stored = stored
        self._confirmed = confirmed
        self._now_s = now_s
        self._state = _NEW
        self._combinations = None
        self._candidates = []
        self._candidate = None
        self._why = "no-application"
        self._purchase = None
        self._result = None
        self._unchecked = False  # the GPO answer is still to be judged
        self._stop = None  # what `work` has found wrong
        self._last_asked = False
        self._no_record = False
        self._values = dict(terminal.values)
        self._values.update(
            {
                0x9F02: bcd.from_int(amount, 6),
                0x9F03: bytes(6),
                0x95: bytes(5),
                0x9A: bytes(date),
                0x9F21: bytes(time),
                0x9C: b"\x00",
                0x9F37: bytes(un),
                0x9F41: bcd.from_int(sequence % 100000000, 4),
                0xDF60: b"\x00",
            }
        )

    # -- what the reader's owner calls ------------------------------------------------------

    def start(self):
        """Pre-processing. The first command, or None if the amount cannot be paid by tap."""
        if self._state != _NEW:
            raise SequenceError("start() is called once")
        try:
            if self._torn is not None:
                self._state = _RECOVERY
                return self._send(self._torn.start())
            return self._begin()
        except Stop as stop:
            self._finish(stop.code, stop.reason)
            return None

    def step(self, response):
        """Take the card's answer; return the next command, or None when `outcome` is there."""
        if self._state in (_NEW, _READ, _OVER):
            raise SequenceError("no answer is expected now")
        self._no_record = True
        try:
            if not 2 <= len(response) <= MAX_RESPONSE:
                raise Stop(END, "malformed")
            status = response[-2] << 8 | response[-1]
            self._no_record = status != 0x9000
            body = bytes(response[:-2])
            if self._state == _RECOVERY:
                return self._on_recovery(body, status)
            if self._state == _PPSE:
                return self._on_ppse(body, status)
            if self._state == _SELECT:
                return self._on_select(body, status)
            if self._state == _GPO:
                return self._on_gpo(body, status)
            return self._on_record(body, status)
        except Stop as stop:
            self._failed(stop.code, stop.reason)
        except TlvError:
            self._failed(END, "malformed")
        return None

    def card_lost(self):
        """The reader says that the card has gone. Returns the Outcome."""
        if self._state in (_READ, _OVER):
            return self.outcome
        if self._state == _RECORD and self._debit_asked():
            self._tear("torn")
        elif self._state == _RECOVERY:
            self._end(self._torn.lost())
        elif self._unresolved():
            self._end(self._torn.keep("torn-still"))
        else:
            self._finish(TRY_AGAIN, "left")
        return self.outcome

    def two_cards(self):
        """The reader sees more than one card. Returns the Outcome."""
        if self._state == _RECORD and self._debit_asked():
            return self.card_lost()
        if self._state not in (_READ, _OVER):
            self._finish(TRY_AGAIN, "two-cards")
        return self.outcome

    def work(self):
        """Do one ready piece of work, if any; True while there may be more. Raises nothing: what
        is found wrong ends the transaction at its next step."""
        if self._state not in (_RECORD, _READ) or self._stop is not None:
            return False
        try:
            if self._unchecked:
                self._decide()
                return True
            return self._purchase.work(self.card_read)
        except Stop as stop:
            self._stop = stop
        except TlvError:
            self._stop = Stop(END, "malformed")
        return False

    @property
    def outcome(self):
        """How the tap ended; None while a command is under way."""
        if self._state == _READ:
            self._conclude()
        return self._result

    def before_debit(self):
        """(TornContext, Outcome TORN) while the command just returned is the one that debits.

        Else None. Whoever wants to survive a power cut in the middle of that command stores
        `context.pack()`, or the TORN record, before sending it, and drops it at the outcome.
        """
        if self._state != _RECORD or not self._last_asked or not self._purchase.is_tc:
            return None
        purchase = self._purchase
        return torn.make(purchase, self._now_s), purchase.outcome(TORN, "torn")

    def card_tag_input(self):
        """What the card tag (docs/formats.md, section 3) is the HMAC of, or None.

        Of a torn payment that was resolved after a power cut it is not known: then the tag of
        its TORN record stands.
        """
        purchase = self._purchase
        if purchase is None and self._torn is not None and self._torn.recovery.proven:
            purchase = self._torn.recovery.proven.purchase
        if purchase is None or purchase.pan is None:
            return None
        return card_tag_input(purchase.pan, purchase.psn)

    # -- flow -------------------------------------------------------------------------------

    def _send(self, command):
        self.apdus += 1
        if self.apdus > MAX_APDUS:
            raise Stop(END, "too-long")
        return command

    def _begin(self):
        preprocessing.check_stored(self.terminal.stored, self._stored, self.amount)
        self._combinations = preprocessing.combinations(self.terminal, self.amount)
        self._state = _PPSE
        return self._send(entry_point.SELECT_PPSE)

    def _on_recovery(self, body, status):
        command, result = self._torn.step(body, status)
        if command is not None:
            return self._send(command)
        if result is not None:
            self._end(result)
            return None
        return self._begin()

    def _on_ppse(self, body, status):
        if status == 0x6A81:
            raise Stop(END, "blocked")
        if status != 0x9000:
            raise Stop(END, "no-application")
        known = self.terminal.directories
        entries = known.get(body)
        if entries is None:
            entries = entry_point.directory(body)
            known.put(body, entries)
        self._candidates = entry_point.candidates(entries, self._combinations)
        return self._select_next()

    def _select_next(self):
        if not self._candidates:
            code = OTHER_INTERFACE if self._why in ("limit", "other-interface") else END
            raise Stop(code, self._why)
        self._candidate = self._candidates.pop(0)
        self._state = _SELECT
        return self._send(entry_point.select_command(self._candidate.name))

    def _on_select(self, body, status):
        if status != 0x9000:
            if status in (0x6283, 0x6A81):
                self._why = "blocked"
            return self._select_next()
        combination = self._candidate.combination
        kernel = rules(combination.parameters.kernel)
        try:
            known = self.terminal.applications
            fci = known.get(body)
            if fci is None:
                fci = entry_point.parse_fci(body)
                known.put(body, fci)
            if not entry_point.answers(fci, self._candidate):
                raise TlvError("another application answered")
            for tag in kernel.pdol:
                if tag not in fci.tags:
                    raise TlvError("PDOL does not ask for %X" % tag)
            profile = self._profile(combination, kernel, fci)
            if profile is None:
                self._why = "other-interface"
                return self._select_next()
            values = self._values  # no GPO is followed by another candidate: one set is enough
            values[0x9F66] = combination.ttq(self.terminal.ttq_mask, profile)
            values[0x9F09] = combination.parameters.version
            data = dol.build(fci.asked, values)
        except TlvError:
            self._why = "malformed"
            return self._select_next()
        self._purchase = Purchase(
            self.terminal, self._candidate, kernel, profile, fci.name, values, self._today
        )
        self._state = _GPO
        if self._torn is not None:
            self._torn.gpo_sent()
        return self._send(gpo_command(data))

    def _profile(self, combination, kernel, fci):
        """The first profile of the terminal's list that card and amount allow, or None."""
        for profile in self.terminal.profiles:
            if profile == ECASH:
                return ECASH
            if profile == ODA and combination.oda and (fci.oda or not kernel.asks_df61):
                return ODA
        return None

    def _on_gpo(self, body, status):
        purchase = self._purchase
        if status != 0x9000:
            code, reason = purchase.rules.status.get(status, (END, "card-refuses"))
            raise Stop(code, reason)
        purchase.begin(body)
        if self._unresolved():
            purchase.identify()
            result = self._torn.judge(purchase, self.amount)
            if result is not None:
                self._end(result)
                return None
        if purchase.reads_ahead():
            self._unchecked = True
        else:
            self._decide()
        self._state = _RECORD
        return self._read_next()

    def _decide(self):
        """Judge the GPO answer; with a record to come that does not debit, while it comes."""
        self._unchecked = False
        purchase = self._purchase
        purchase.decide_path()
        if not self._confirmed and self.terminal.seen(purchase.pan, purchase.psn):
            raise Stop(ASK_DRIVER, "repeat")

    def _read_next(self):
        purchase = self._purchase
        if purchase.next_is_last():
            if purchase.is_tc:
                purchase.before_last()
            self._last_asked = True
        sfi, number = purchase.next_record()
        return self._send(read_command(sfi, number))

    def _on_record(self, body, status):
        """Ask for the next record at once; this one is looked at while that comes.

        All that went before is judged first, and all there is before the record that debits.
        """
        purchase = self._purchase
        came = status == 0x9000
        if came:
            purchase.hold(body)
        if self._stop is not None:
            raise self._stop
        if self._unchecked:
            self._decide()
        purchase.take_held(1 if came else 0)
        if not came:
            raise Stop(END, "protocol")
        if purchase.next_record() is not None:
            return self._read_next()
        self._state = _READ
        self.card_read = True
        return None

    def _conclude(self):
        """All records are here: the verdict."""
        try:
            if self._stop is not None:
                raise self._stop
            self._purchase.finish()
            self._end(self._purchase.outcome(APPROVED, "approved"))
        except Stop as stop:
            self._failed(stop.code, stop.reason)
        except TlvError:
            self._failed(END, "malformed")

    # -- the end ----------------------------------------------------------------------------

    def _unresolved(self):
        """True while a torn payment stands in the way."""
        return self._torn is not None and bool(self._torn.unresolved)

    def _tear(self, reason):
        self.torn = torn.make(self._purchase, self._now_s)
        self._end(self._purchase.outcome(TORN, reason))

    def _debit_asked(self):
        """True if the card may have debited: the command for that, or its trace, was seen."""
        purchase = self._purchase
        if purchase is None or not purchase.is_tc:
            return False
        purchase.look()
        return self._last_asked or purchase.may_have_debited()

    def _failed(self, code, reason):
        """A rule is broken. What that means depends on whether the card may have debited."""
        if self._debit_asked():
            if self._no_record:
                # An error status, no record: nobody can say whether the card has debited.
                self._tear("torn-last")
                return
            code = DISPUTED
        elif self._unresolved() and code not in (TRY_AGAIN, OTHER_INTERFACE):
            # Whatever is wrong with this card, the torn payment is what matters.
            self._end(self._torn.keep("torn-check"))
            return
        self._finish(code, reason)

    def _finish(self, code, reason):
        purchase = self._purchase
        if purchase is not None:
            result = purchase.outcome(code, reason)
        else:
            result = Outcome(code, reason)
            result.amount = self.amount
            result.currency = self.terminal.currency
        self._end(result)

    def _end(self, result):
        if self.torn is None and self._unresolved():
            self.torn = self._torn.kept or self._torn.unresolved[0]
        self._result = result
        self._state = _OVER


def gpo_command(data):
    """GET PROCESSING OPTIONS with PDOL data (Book 3, section 6.5.8)."""
    if len(data) < 0x80:
        field = bytes((0x83, len(data))) + data
    else:
        field = bytes((0x83, 0x81, len(data))) + data
    return b"\x80\xa8\x00\x00" + bytes((len(field),)) + field + b"\x00"
