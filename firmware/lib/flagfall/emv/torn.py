# A payment whose card left while its last record was outstanding.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The card computes its TC at GPO, but debits when the last AFL record is read, and keeps a
# backup of that record. Read again after a SELECT without GPO, the backup carries the 9F69 of
# the torn payment if, and only if, the card has debited: the fDDA hash over it is the proof.

from flagfall.emv import bcd, outcome
from flagfall.emv.authentication import check_related
from flagfall.emv.oda_rsa import OdaError
from flagfall.emv.outcome import Outcome
from flagfall.emv.purchase import gpo_balance
from flagfall.emv.records import take
from flagfall.emv.tlv import TlvError

T2_S = 60  # how long the unit waits for the same card, by default (vendors' parameter 0005)
MAX_TORN = 3  # torn payments that are kept (vendors' parameter 0006)
_NONE = 0xFFFFFFFF
_VERSION = 1
_VERIFIED = 1
_AFTER = 2
_SM2 = 0x15


class TornContext:
    """What is needed to find out, on a later tap, whether the torn payment was debited.

    In RAM it holds the whole purchase. `pack` gives a short form without card number for flash;
    after a power cut `unpack` makes a context of it that can still prove the debit, the card's
    own data then being only in the sealed part of the TORN record.

    `amount`, `currency`, `atc`, `balance_before` (None if unknown), `torn_at_s` may be stored and
    shown. `purchase` is None after a power cut. `same_card(pan, psn)` tells whether a card is
    the torn one.
    """

    def __init__(self):
        self.aid = b""  # the name for SELECT
        self.sfi = 0
        self.record = 0
        self.amount = 0
        self.currency = 0
        self.atc = 0
        self.un = bytes(4)
        self.amount_bcd = bytes(6)
        self.currency_bcd = bytes(2)
        self.sent_balance = None  # as it came with the TC
        self.balance_after_in_gpo = False
        self.torn_at_s = 0
        self.profile = 1
        self.dynamic = None
        self.verified = False  # the fDDA was verified before the last record: version 00
        self.gpos = 0  # GPOs sent to cards since; each may have moved the counter on
        self.same_card = None
        self.purchase = None
        self._proof = None  # the record that has proved the debit already

    def expired(self, now_s, t2_s=T2_S):
        """True if the card has not come back for `t2_s` seconds. Then the unit stops waiting;
        trying once more when it does come is still right."""
        return now_s - self.torn_at_s > t2_s

    @property
    def balance_before(self):
        if self.sent_balance is None:
            return None
        return self.sent_balance + (self.amount if self.balance_after_in_gpo else 0)

    def prove(self, body):
        """True if record `body`, read again, proves that this payment was debited."""
        if self._proof is not None:
            return body == self._proof
        if self.purchase is not None:
            if not self._prove_whole(body):
                return False
            self._proof = body
            return True
        if self.dynamic is None or self.verified:
            return False
        data = {}
        try:
            take(self.sfi, body, data)
            if 0x9F69 not in data:
                return False
            return check_related(
                self.dynamic,
                data[0x9F69],
                self.un,
                self.amount_bcd,
                self.currency_bcd,
                _refuse_v00,
            )
        except (TlvError, OdaError):
            return False

    def _prove_whole(self, body):
        """Do with the record what would have been done had it come in time."""
        purchase = self.purchase
        if 0x9F69 in purchase.data:
            return False  # it came before the debit, so it is no proof of it
        if not purchase.redo_last(body):
            return False
        related = purchase.data.get(0x9F69)
        if related is None or related[0] != 1:
            purchase.undo_last()
            return False
        return True

    def approve(self, balance_now, by_balance=False):
        """The Outcome of the torn payment, now known to be debited."""
        flags = outcome.FLAG_RESOLVED | (outcome.FLAG_BY_BALANCE if by_balance else 0)
        if self.purchase is not None:
            result = self.purchase.outcome(outcome.APPROVED, "resolved", flags)
        else:
            result = Outcome(outcome.APPROVED, "resolved", flags)
            result.amount = self.amount
            result.currency = self.currency
            result.atc = self.atc
            result.profile = self.profile
            before = self.balance_before
            if before is not None and before >= self.amount:
                result.balance_after = before - self.amount
        if balance_now is not None:
            result.balance_after = balance_now
        return result

    def pack(self):
        """Bytes for flash, at most 240, with nothing in them that identifies the card."""
        flags = (_VERIFIED if self.verified else 0) | (_AFTER if self.balance_after_in_gpo else 0)
        balance = _NONE if self.sent_balance is None else self.sent_balance
        out = bytearray((_VERSION, flags, self.sfi, self.record, self.profile, len(self.aid)))
        out.extend(self.aid)
        out.extend(self.un)
        out.extend(self.amount_bcd)
        out.extend(self.currency_bcd)
        out.extend(self.amount.to_bytes(4, "little"))
        out.extend(self.currency.to_bytes(2, "little"))
        out.extend(self.atc.to_bytes(2, "little"))
        out.extend(min(balance, _NONE).to_bytes(4, "little"))
        out.extend(self.torn_at_s.to_bytes(4, "little"))
        if self.dynamic is not None:
            out.extend(self.dynamic.pack())
        return bytes(out)


def _refuse_v00():
    raise OdaError("fdda-version", "version 00 proves no debit")


def make(purchase, now_s):
    """The TornContext of a Purchase whose last record was asked for and did not come."""
    context = TornContext()
    purchase.look()
    context.aid = purchase.select_name
    context.sfi, context.record = purchase.next_record()
    context.amount = bcd.to_int(purchase.sent[0x9F02])
    context.currency = purchase.terminal.currency
    context.atc = purchase.atc
    context.un = purchase.sent[0x9F37]
    context.amount_bcd = purchase.sent[0x9F02]
    context.currency_bcd = purchase.sent[0x5F2A]
    context.sent_balance = gpo_balance(purchase.data)
    context.balance_after_in_gpo = purchase.terminal.balance_after_in_gpo
    context.torn_at_s = now_s
    context.profile = purchase.profile
    context.verified = purchase.try_to_verify()
    context.dynamic = purchase.authentication.dynamic  # `try_to_verify` has seen to it
    pan, psn = purchase.pan, purchase.psn
    context.same_card = lambda other, number: other == pan and number == psn
    context.purchase = purchase
    return context


def unpack(data, same_card):
    """A TornContext from what `pack` wrote. `same_card(pan, psn)`: compare by the stored card
    tag. Raises ValueError if the bytes are not from `pack`."""
    if len(data) < 34 or data[0] != _VERSION or not 5 <= data[5] <= 16:
        raise ValueError("not a stored torn payment")
    at = 6 + data[5]
    if len(data) < at + 28 or not (1 <= data[2] <= 30 and data[3]):
        raise ValueError("not a stored torn payment")
    context = TornContext()
    context.verified = bool(data[1] & _VERIFIED)
    context.balance_after_in_gpo = bool(data[1] & _AFTER)
    context.sfi = data[2]
    context.record = data[3]
    context.profile = data[4]
    context.aid = bytes(data[6:at])
    context.un = bytes(data[at : at + 4])
    context.amount_bcd = bytes(data[at + 4 : at + 10])
    context.currency_bcd = bytes(data[at + 10 : at + 12])
    context.amount = int.from_bytes(data[at + 12 : at + 16], "little")
    context.currency = int.from_bytes(data[at + 16 : at + 18], "little")
    context.atc = int.from_bytes(data[at + 18 : at + 20], "little")
    balance = int.from_bytes(data[at + 20 : at + 24], "little")
    context.sent_balance = None if balance == _NONE else balance
    context.torn_at_s = int.from_bytes(data[at + 24 : at + 28], "little")
    rest = bytes(data[at + 28 :])
    if rest:
        if rest[0] == _SM2:
            from flagfall.emv import oda_sm2 as oda
        else:
            from flagfall.emv import oda_rsa as oda
        context.dynamic = oda.unpack(rest)
    context.same_card = same_card
    return context
