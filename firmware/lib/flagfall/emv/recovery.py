# The re-tap: was the torn payment debited, and is this its card at all?
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.emv import bcd
from flagfall.emv.entry_point import select_command
from flagfall.emv.purchase import gpo_balance
from flagfall.emv.records import read_command
from flagfall.emv.tlv import TlvError, only
from flagfall.emv.torn import MAX_TORN

GET_BALANCE = b"\x80\xca\x9f\x79\x00"  # GET DATA, e-cash balance

DEBITED = 1
NOT_DEBITED = 2
UNPROVEN = 3  # same card, but neither debit nor its absence can be shown
OTHER_CARD = 4

_SELECT = 1
_READ = 2
_BALANCE = 3
_DONE = 4


class Recovery:
    """APDU out, APDU in, until `step` returns None.

    Then `proven` is the TornContext whose debit this card has proved, or None: run GPO afresh
    and let `judge` compare. `present` tells if the card has a torn payment's application at all.
    """

    def __init__(self, contexts):
        self.contexts = list(contexts)
        if len(self.contexts) > MAX_TORN:
            raise ValueError("at most %d torn payments" % MAX_TORN)
        self.proven = None
        self.present = False
        self.balance = None
        self._at = 0
        self._state = _SELECT

    def start(self):
        return select_command(self.contexts[0].aid)

    def step(self, body, status):
        """Take the answer, return the next command or None."""
        if self._state == _SELECT:
            if status != 0x9000:
                return self._next()
            self.present = True
            self._state = _READ
            context = self.contexts[self._at]
            return read_command(context.sfi, context.record)
        if self._state == _READ:
            context = self.contexts[self._at]
            if status == 0x9000 and context.prove(body):
                self.proven = context
                self._state = _BALANCE
                return GET_BALANCE
            return self._next()
        if self._state == _BALANCE:
            self._state = _DONE
            self.balance = self._read_balance(body, status)
        return None

    def _next(self):
        self._at += 1
        if self._at < len(self.contexts):
            self._state = _SELECT
            return select_command(self.contexts[self._at].aid)
        if self.present:
            self._state = _BALANCE
            return GET_BALANCE
        self._state = _DONE
        return None

    def _read_balance(self, body, status):
        if status != 0x9000:
            return None
        try:
            value = only(body, 0x9F79)
            return bcd.to_int(value) if len(value) == 6 else None
        except (TlvError, ValueError):
            return None

    def contradicted(self):
        """True if the balance speaks against the debit that the signature proves.

        Whether a card sends its balance before or after the payment differs by issuer; either
        reading that shows the debit is good.
        """
        sent = self.proven.sent_balance
        if sent is None or self.balance is None:
            return False
        return self.balance not in (sent, sent - self.proven.amount)

    def judge(self, context, purchase, amount):
        """What a fresh GPO answer (`purchase`, over `amount`) says about a torn `context`."""
        if not context.same_card(purchase.pan, purchase.psn):
            return OTHER_CARD
        if context is self.proven:
            return UNPROVEN  # signed as debited, but the balance speaks against it
        sent = gpo_balance(purchase.data)
        now = self.balance
        after = context.balance_after_in_gpo
        if now is not None and sent is not None and purchase.is_tc:
            # The card itself shows which balance it sends.
            if sent == now - amount:
                after = True
            elif sent == now:
                after = False
            else:
                return UNPROVEN
        elif now is None and sent is not None:
            now = sent + (amount if after and purchase.is_tc else 0)
        if now is None or context.sent_balance is None:
            return UNPROVEN
        before = context.sent_balance + (context.amount if after else 0)
        if now == before:
            return NOT_DEBITED
        in_sequence = context.atc < purchase.atc <= context.atc + context.gpos
        if now == before - context.amount and in_sequence and context.verified:
            return DEBITED
        return UNPROVEN
