"""An e-cash card pulled away at every APDU and at every byte: debited whole or not at all."""

import pytest
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.card import CardLeft
from flagfall_host.bench.cards.leaving import LeavingCard

_NAMES = ("ecash", "ecash-8-reads", "ecash-1024", "sm2")


def _apdus(tap, name):
    t = tap(catalogue.make(name))
    t.pay()
    return t.log, [(sfi, number) for sfi, number, _ in t.places()]


@pytest.mark.parametrize("part", ["request", "answer"])
@pytest.mark.parametrize("name", _NAMES)
def test_at_every_apdu(tap, name, part):
    log, places = _apdus(tap, name)
    for cut in range(len(log)):
        inner = catalogue.make(name)
        first = tap(inner)
        first.pay()  # so that there is an older copy of the last record
        old = first.records[places[-1]]
        card = LeavingCard(inner, at_apdu=cut, part=part)
        t = tap(card)
        with pytest.raises(CardLeft):
            t.pay()
        with pytest.raises(CardLeft):
            t.good("80CA9F7900")  # it is gone, not merely quiet
        debited = cut == len(log) - 1 and part == "answer"
        assert inner.balance == 50000 - 500 - (500 if debited else 0)
        assert inner.atc == 1 + (cut > 2 or (cut == 2 and part == "answer"))
        back = tap(card)
        back.select()
        copy = back.read(*places[-1])
        assert (copy != old) == debited
        assert back.balance() == inner.balance
        assert len(inner.applets[0].memory.log) == 1 + debited


def test_the_copy_is_the_record_that_was_lost(tap):
    """With it the signature that was read before the card left can be verified after all."""
    log, places = _apdus(tap, "ecash")
    inner = catalogue.make("ecash")
    whole = tap(catalogue.make("ecash"))
    whole.pay()
    t = tap(LeavingCard(inner, at_apdu=len(log) - 1, part="answer"))
    with pytest.raises(CardLeft):
        t.pay()
    back = tap(t.card)
    back.select()
    assert back.read(*places[-1]) == whole.records[places[-1]]
    assert t.gpo == whole.gpo


def test_at_every_byte(tap):
    log, _ = _apdus(tap, "ecash")
    bytes_in_all = sum(len(command) for command in log)
    whole = catalogue.make("ecash")
    whole.field_on()
    answers = [whole.apdu(command) for command in log]
    bytes_in_all += sum(map(len, answers))
    last_answer = bytes_in_all - len(answers[-1])
    card = LeavingCard(catalogue.make("ecash"), at_byte=bytes_in_all)
    tap(card).pay()
    assert card.inner.balance == 49500 and not card.left
    cuts = [*range(0, bytes_in_all, 23), last_answer - 1, last_answer, bytes_in_all - 1]
    for cut in cuts:
        card = LeavingCard(catalogue.make("ecash"), at_byte=cut)
        with pytest.raises(CardLeft):
            tap(card).pay()
        assert card.inner.balance == (49500 if cut >= last_answer else 50000), cut


def test_it_leaves_as_often_as_asked_and_then_stays(tap):
    card = catalogue.make("tearing", at_apdu=6, part="request", times=2)
    for _ in range(2):
        with pytest.raises(CardLeft):
            tap(card).pay()
    tap(card).pay()
    assert card.inner.balance == 49500 and card.inner.atc == 3


def test_the_catalogue_tears_the_last_record_unless_told(tap):
    card = catalogue.make("tearing")
    with pytest.raises(CardLeft):
        tap(card).pay()
    assert card.inner.balance == 49500 and card.left
    with pytest.raises(ValueError):
        LeavingCard(card)
    with pytest.raises(ValueError):
        LeavingCard(card, at_byte=1, at_apdu=1)
