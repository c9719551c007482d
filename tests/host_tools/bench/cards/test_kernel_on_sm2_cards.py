"""SM2 in the kernel and in the cards: written twice, from the same sheet, and they agree."""

import pytest
from flagfall.emv import outcome
from flagfall.emv.aid import parse_aid
from flagfall.emv.capk import CapkStore
from flagfall.emv.terminal import ECASH, ODA, Terminal
from flagfall.emv.transaction import Transaction
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.card import CardLeft
from flagfall_host.bench.cards.leaving import LeavingCard

_ROW = "9F0607A0000003330101DF010100DF1906000000100000DF2006000999999999"


def _tap(card, *, sm2=True, profile=ECASH, torn=None):
    store = CapkStore(live=False)
    for row in catalogue.capk_tlvs():
        store.add(row, False)
    kernel = Terminal(
        156, 156, [parse_aid(bytes.fromhex(_ROW))], store, profiles=(profile,), sm2=sm2
    )
    tx = Transaction(
        kernel,
        500,
        b"\x78\x63\xaf\xc6",
        bytes.fromhex("261124"),
        bytes.fromhex("215109"),
        torn=torn,
    )
    card.field_on()
    command = tx.start()
    while command is not None:
        try:
            command = tx.step(card.apdu(command))
        except CardLeft:
            tx.card_lost()
            break
    card.field_off()
    return tx


def test_sm2_only():
    card = catalogue.make("sm2")
    assert _tap(card).outcome.code == outcome.APPROVED and card.balance == 49500
    card = catalogue.make("sm2")
    assert _tap(card, sm2=False).outcome.reason == "no-key" and card.balance == 50000


def test_dual_takes_the_chain_that_the_terminal_offers():
    for sm2, size in ((True, 69), (False, 144)):
        card = catalogue.make("dual")
        tx = _tap(card, sm2=sm2)
        assert tx.outcome.code == outcome.APPROVED and card.balance == 49500
        assert len(tx._purchase.data[0x9F4B]) == size


@pytest.mark.parametrize(
    ("settings", "code", "reason", "debited"),
    [
        ({"spoils_signature": "hash"}, outcome.DISPUTED, "fdda", True),
        ({"changes_after_signing": {"5F24": "481231"}}, outcome.DECLINED, "card-cert", False),
        ({"changes_after_signing": {"9F4A": "84"}}, outcome.DECLINED, "card-cert", False),
        ({"changes_after_signing": {"8F": "01"}}, outcome.DECLINED, "no-key", False),
    ],
)
def test_what_is_wrong_with_an_sm2_card(settings, code, reason, debited):
    card = catalogue.make("sm2", **settings)
    result = _tap(card).outcome
    assert (result.code, result.reason) == (code, reason)
    assert card.balance == (49500 if debited else 50000)


def test_transit_oda_with_sm2():
    card = catalogue.make("sm2", ecash=False, oda=True)
    assert _tap(card, profile=ODA).outcome.code == outcome.APPROVED


@pytest.mark.parametrize("part", ["request", "answer"])
def test_torn_sm2_card(part):
    card = catalogue.make("sm2")
    first = _tap(LeavingCard(card, at_apdu=7, part=part))
    assert first.outcome.reason == "torn"
    second = _tap(card, torn=first.torn)
    assert second.outcome.code == outcome.APPROVED and card.balance == 49500
    assert bool(second.outcome.flags & outcome.FLAG_RESOLVED) == (part == "answer")
