"""Torn payments, kernel and card together: whatever is cut, one debit for one approval.

The moments are those of JR/T 0025.12's torn-card handling: the field is lost before the GPO
answer, after it, between records, at the last record's request and at its answer, each followed
by the same card, another card, a power cut of the unit in between, or a second loss.
"""

import os
import random

import pytest
from flagfall.emv import outcome, torn
from flagfall.emv.aid import parse_aid
from flagfall.emv.capk import CapkStore
from flagfall.emv.terminal import ECASH, Terminal
from flagfall.emv.transaction import Transaction
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.card import CardLeft
from flagfall_host.bench.cards.leaving import LeavingCard

_ROW = "9F0608A000000333010106DF010100DF1906000000100000DF2006000999999999"
_DATE, _TIME = bytes.fromhex("261124"), bytes.fromhex("215109")
_AMOUNT = 500
_READS = {"ecash": 4, "ecash-8-reads": 8, "ecash-1024": 3}
_CUTS = [
    (name, apdu, part)
    for name, reads in _READS.items()
    for apdu in range(3 + reads)
    for part in ("request", "answer")
]


class Unit:
    """What the unit around the kernel does with torn payments, in the shortest form."""

    def __init__(self):
        store = CapkStore(live=False)
        for row in catalogue.capk_tlvs():
            store.add(row, False)
        self.terminal = Terminal(156, 156, [parse_aid(bytes.fromhex(_ROW))], store, (ECASH,))
        self.torn = []
        self.approved = 0
        self.taps = 0

    def tap(self, card, insist=True):
        self.taps += 1
        un = self.taps.to_bytes(4, "big")
        tx = Transaction(self.terminal, _AMOUNT, un, _DATE, _TIME, torn=self.torn, insist=insist)
        card.field_on()
        command = tx.start()
        while command is not None:
            try:
                response = card.apdu(command)
            except CardLeft:
                tx.card_lost()
                break
            command = tx.step(response)
        card.field_off()
        result = tx.outcome
        settled = [c for c, r in tx.torn_results if r in (1, 2)]  # DEBITED, NOT_DEBITED
        self.torn = [c for c in self.torn if not any(c is s for s in settled)]
        if result.code == outcome.TORN and not result.flags & outcome.FLAG_STILL_TORN:
            self.torn.append(tx.torn)
        if result.code == outcome.APPROVED:
            self.approved += 1
        return result

    def power_cut(self):
        """Only what `pack` wrote survives; the card is known again by its number's tag."""
        kept = [(c.pack(), c.same_card) for c in self.torn]
        assert all(len(data) <= 240 for data, _ in kept)
        self.torn = [torn.unpack(data, same_card) for data, same_card in kept]


_PANS = ("6210948000000995", "6210948000000987", "6210948000000979")


class _LeavesAtLastRecord(LeavingCard):
    """Leaves at READ RECORD of SFI 5 after a GPO, whatever recovery was tried before."""

    def __init__(self, inner, part):
        super().__init__(inner, at_apdu=10**6, part=part)
        self._begun = False

    def apdu(self, command):
        self._begun = self._begun or command[1] == 0xA8
        if self._begun and command[:4] == bytes.fromhex("00B2012C"):
            self.at_apdu = self._apdus
        return super().apdu(command)


def _is_last(name, apdu):
    return apdu == 2 + _READS[name]


@pytest.mark.parametrize("power_cut", [False, True], ids=["", "power-cut"])
@pytest.mark.parametrize(("name", "apdu", "part"), _CUTS)
def test_the_same_card_again(name, apdu, part, power_cut):
    unit = Unit()
    inner = catalogue.make(name)
    card = LeavingCard(inner, at_apdu=apdu, part=part)
    first = unit.tap(card)
    if not _is_last(name, apdu):
        assert (first.code, first.reason) == (outcome.TRY_AGAIN, "left")
        assert not unit.torn and inner.balance == 50000
    else:
        assert (first.code, first.reason) == (outcome.TORN, "torn") and len(unit.torn) == 1
    if power_cut:
        unit.power_cut()
    debited = _is_last(name, apdu) and part == "answer"
    atc = inner.atc
    second = unit.tap(card)
    assert second.code == outcome.APPROVED
    assert bool(second.flags & outcome.FLAG_RESOLVED) == debited
    assert inner.balance == second.balance_after == 49500 and unit.approved == 1
    assert inner.atc == (atc if debited else atc + 1) and not unit.torn


@pytest.mark.parametrize("part", ["request", "answer"])
@pytest.mark.parametrize("name", list(_READS))
def test_another_card_is_sent_away_and_keeps_its_money(name, part):
    unit = Unit()
    inner = catalogue.make(name)
    unit.tap(LeavingCard(inner, at_apdu=2 + _READS[name], part=part))
    other = catalogue.make("ecash", pan="6210948000000995")
    result = unit.tap(other)
    assert result.code == outcome.ANOTHER_CARD and other.balance == 50000
    assert len(unit.torn) == 1
    assert unit.tap(inner).code == outcome.APPROVED and inner.balance == 49500


@pytest.mark.parametrize("part", ["request", "answer"])
def test_another_card_may_pay_when_the_first_is_given_up(part):
    unit = Unit()
    inner = catalogue.make("ecash")
    unit.tap(LeavingCard(inner, at_apdu=6, part=part))
    (context,) = unit.torn
    assert not context.expired(60) and context.expired(61)  # T2
    other = catalogue.make("ecash", pan="6210948000000995")
    assert unit.tap(other, insist=False).code == outcome.APPROVED
    assert other.balance == 49500 and unit.torn == [context]
    again = unit.tap(inner)  # the first card comes back after all
    assert again.code == outcome.APPROVED
    assert inner.balance == 49500


@pytest.mark.parametrize("executed", [False, True], ids=["request", "answer"])
@pytest.mark.parametrize("name", list(_READS))
def test_power_cut_between_the_last_command_and_the_store(name, executed):
    """What a unit keeps before it asks for the last record tells it afterwards how it ended."""
    unit = Unit()
    card = catalogue.make(name)
    tx = Transaction(unit.terminal, _AMOUNT, b"\0\0\0\7", _DATE, _TIME)
    card.field_on()
    command = tx.start()
    for _ in range(2 + _READS[name]):
        assert tx.before_debit() is None
        command = tx.step(card.apdu(command))
    kept, record = tx.before_debit()
    assert record.code == outcome.TORN and record.record_outcome() == 3
    if executed:
        card.apdu(command)  # and before its answer is in flash the power goes
    card.field_off()
    unit.torn = [kept]
    unit.power_cut()
    result = unit.tap(card)
    assert result.code == outcome.APPROVED
    assert bool(result.flags & outcome.FLAG_RESOLVED) == executed
    assert card.balance == 49500 and unit.approved == 1 and not unit.torn


@pytest.mark.parametrize("part", ["request", "answer"])
@pytest.mark.parametrize("version", ["00", "01"])
def test_the_same_sum_paid_elsewhere_in_between_proves_nothing(version, part):
    """The balance alone would say that this unit's torn payment was debited."""
    settings = {"version": "0020", "gives_9f69": False} if version == "00" else {}
    for times in (1, 2):
        unit, elsewhere = Unit(), Unit()
        elsewhere.taps = 77
        inner = catalogue.make("ecash", **settings)
        assert unit.tap(LeavingCard(inner, at_apdu=6, part=part)).code == outcome.TORN
        for _ in range(times):
            assert elsewhere.tap(inner).code == outcome.APPROVED
        result = unit.tap(inner)
        assert result.reason == "torn-unproven" and unit.approved == 0 and len(unit.torn) == 1


@pytest.mark.parametrize("part", ["request", "answer"])
def test_cards_of_version_00_are_resolved_by_balance_and_counter(part):
    unit = Unit()
    inner = catalogue.make("ecash", version="0020", gives_9f69=False)
    unit.tap(LeavingCard(inner, at_apdu=6, part=part))
    unit.power_cut()
    result = unit.tap(inner)
    assert result.code == outcome.APPROVED and inner.balance == 49500
    assert bool(result.flags & outcome.FLAG_BY_BALANCE) == (part == "answer")


@pytest.mark.parametrize("part", ["request", "answer"])
def test_three_torn_cards_are_each_resolved_by_their_own(part):
    unit = Unit()
    cards = [catalogue.make("ecash", pan=pan) for pan in _PANS]
    for card in cards:
        unit.tap(_LeavesAtLastRecord(card, part), insist=False)
    assert len(unit.torn) == 3
    unit.power_cut()
    for card in reversed(cards):
        assert unit.tap(card, insist=False).code == outcome.APPROVED
        assert card.balance == 49500
    assert not unit.torn and unit.approved == 3


@pytest.mark.parametrize("shown", ["before", "after"])
@pytest.mark.parametrize("part", ["request", "answer"])
def test_cards_that_show_their_balance_before_or_after_the_debit(part, shown):
    unit = Unit()
    inner = catalogue.make("ecash", balance_shown=shown)
    unit.tap(LeavingCard(inner, at_apdu=6, part=part))
    assert unit.tap(inner).code == outcome.APPROVED
    assert inner.balance == 49500 and unit.approved == 1


@pytest.mark.parametrize("part", ["request", "answer"])
@pytest.mark.parametrize("second_part", ["request", "answer"])
def test_a_second_loss_anywhere_in_the_second_tap(part, second_part):
    for apdu in range(10):
        unit = Unit()
        inner = catalogue.make("ecash")
        unit.tap(LeavingCard(inner, at_apdu=6, part=part))
        second = unit.tap(LeavingCard(inner, at_apdu=apdu, part=second_part))
        if second.code != outcome.APPROVED:
            unit.tap(inner)
        assert unit.approved == 1 and not unit.torn, apdu
        assert inner.balance == 49500, apdu


def test_any_sequence_of_losses_and_power_cuts_ends_in_one_debit():
    soak = 50 if os.environ.get("FLAGFALL_SOAK") else 1
    for seed in range(150 * soak):
        chance = random.Random(seed)
        unit = Unit()
        name = chance.choice(list(_READS))
        inner = catalogue.make(name, seed=seed)
        taps = 0
        while not unit.approved and taps < 60:
            taps += 1
            card = inner
            if chance.random() < 0.8:
                part = chance.choice(("request", "answer"))
                longest = 3 + 3 + _READS[name]  # recovery, then PPSE, SELECT, GPO, records
                at = chance.choice((2, 2 + _READS[name], chance.randrange(longest)))
                card = LeavingCard(inner, at_apdu=at, part=part)
            unit.tap(card)
            if chance.random() < 0.3:
                unit.power_cut()
            if chance.random() < 0.2:
                unit.tap(catalogue.make("ecash-low"))
        assert unit.approved == 1 and not unit.torn, seed
        assert inner.balance == 50000 - _AMOUNT, seed
