"""The unit's kernel against every bench card: two pieces of code that share nothing but bytes."""

import os
import random

import pytest
from flagfall.emv import outcome
from flagfall.emv.aid import parse_aid
from flagfall.emv.capk import CapkStore
from flagfall.emv.terminal import ECASH, ODA, Terminal
from flagfall.emv.transaction import Transaction
from flagfall_host.bench.cards import catalogue, keys, rsa_certificates
from flagfall_host.bench.cards.card import CardLeft
from flagfall_host.bench.cards.hostile import ATTACKS

_AIDS = (
    "A000000333010101",
    "A000000333010102",
    "A000000333010106",
    "A0000000031010",
)
_ROW = (
    "9F06{size:02X}{aid}DF0101009F08020030DF1105D84000A800DF1205D84004F800DF130500100000009F1B04"
    "00000001DF1504000000009F7B06000000100000DF1906000000100000DF2006000999999999"
    "DF2106000000100000"
)
_DATE, _TIME = bytes.fromhex("261124"), bytes.fromhex("215109")
_UN = bytes.fromhex("7863AFC6")


def terminal(*profiles, **settings):
    store = CapkStore(live=False)
    for row in catalogue.capk_tlvs():
        store.add(row, False)
    for rid, index, serial in catalogue.revocations():
        store.revoke(rid, index, serial)
    rows = [_ROW.format(size=len(aid) // 2, aid=aid) for aid in _AIDS]
    aids = [parse_aid(bytes.fromhex(row)) for row in rows]
    return Terminal(156, 156, aids, store, profiles=profiles, **settings)


def tap(card, kernel, amount=500, un=_UN, **settings):
    """One tap; the Transaction when it is over."""
    tx = Transaction(kernel, amount, un, _DATE, _TIME, **settings)
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
    assert tx.outcome is not None
    return tx


_BAD_CARD = (outcome.DECLINED, outcome.END)

# name -> outcome and reason with the e-cash profile, then with transit ODA
_ENDINGS = {
    "ecash": ((outcome.APPROVED, "approved"), (outcome.OTHER_INTERFACE, "other-interface")),
    "ecash-8-reads": ((outcome.APPROVED, "approved"), None),
    "ecash-1024": ((outcome.APPROVED, "approved"), None),
    "ecash-1408": ((outcome.APPROVED, "approved"), None),
    "ecash-1984": ((outcome.APPROVED, "approved"), None),
    "ecash-low": ((outcome.DECLINED, "card-refuses"), None),
    "oda-debit": ((outcome.DECLINED, "card-refuses"), (outcome.APPROVED, "approved")),
    "oda-credit": ((outcome.DECLINED, "card-refuses"), (outcome.APPROVED, "approved")),
    "two-applications": ((outcome.APPROVED, "approved"), (outcome.APPROVED, "approved")),
    "phone": ((outcome.TRY_AGAIN, "phone"), (outcome.TRY_AGAIN, "phone")),
    "online-only": (
        (outcome.DECLINED, "card-refuses"),
        (outcome.OTHER_INTERFACE, "other-interface"),
    ),
    "visitor": ((outcome.DECLINED, "card-refuses"), (outcome.APPROVED, "approved")),
    "dual": ((outcome.APPROVED, "approved"), None),
    "expired": ((outcome.DECLINED, "expired"), None),
    "certificate-expired": ((outcome.DECLINED, "cert-expired"), None),
    "blocked": ((outcome.END, "blocked"), (outcome.END, "blocked")),
    "application-blocked": ((outcome.END, "blocked"), (outcome.END, "blocked")),
    "wrong-signature": ((outcome.DECLINED, "fdda"), None),
    "wrong-hash": ((outcome.DISPUTED, "fdda"), None),
    "wrong-static-data": ((outcome.DECLINED, "card-cert"), None),
    "revoked-issuer": ((outcome.DECLINED, "revoked"), None),
    "unknown-ca": ((outcome.DECLINED, "no-key"), None),
    "no-9F69": ((outcome.DECLINED, "fdda-version"), None),
    "sm2": ((outcome.DECLINED, "no-key"), None),
    "tearing": ((outcome.TORN, "torn"), None),
}
_ELSEWHERE = {"garbage", "hostile"}


def test_no_card_is_forgotten():
    assert set(_ENDINGS) | _ELSEWHERE == set(catalogue.names())


@pytest.mark.parametrize("name", list(_ENDINGS))
def test_every_card_ends_as_it_should_in_e_cash(name):
    card = catalogue.make(name)
    tx = tap(card, terminal(ECASH))
    assert (tx.outcome.code, tx.outcome.reason) == _ENDINGS[name][0]


@pytest.mark.parametrize("name", list(_ENDINGS))
def test_every_card_ends_as_it_should_in_transit_oda(name):
    tx = tap(catalogue.make(name), terminal(ODA))
    ending = _ENDINGS[name][1]
    if ending is not None:
        assert (tx.outcome.code, tx.outcome.reason) == ending
    else:  # a purse without DF61
        assert tx.outcome.code in (outcome.END, outcome.OTHER_INTERFACE, outcome.DECLINED)


@pytest.mark.parametrize("name", [n for n, (e, _) in _ENDINGS.items() if e[1] == "approved"])
def test_an_approval_is_a_debit_and_nothing_else_is(name):
    card = catalogue.make(name)
    purse = card.applets[-1].memory
    tx = tap(card, terminal(ECASH))
    assert purse.balance == 49500 and tx.outcome.balance_after == 49500
    sent = dict(tx.outcome.data)
    assert sent[0x9F26] and sent[0x9F10][4] == 0x90 and tx.outcome.atc == 1
    records = 3 + len(tx._purchase.records)
    assert tx.apdus == records  # PPSE, SELECT, GPO and each record once
    for bad in ("wrong-signature", "wrong-static-data", "revoked-issuer", "unknown-ca", "expired"):
        card = catalogue.make(bad)
        tap(card, terminal(ECASH))
        assert card.balance == 50000, bad


def test_phone_is_taken_at_the_second_tap():
    for profile in (ECASH, ODA):
        card = catalogue.make("phone")
        assert tap(card, terminal(profile)).outcome.reason == "phone"
        result = tap(card, terminal(profile)).outcome
        assert result.code == outcome.APPROVED and result.flags & outcome.FLAG_CDCVM


def test_both_profiles_take_either_card():
    kernel = terminal(ODA, ECASH)
    assert tap(catalogue.make("ecash"), kernel).outcome.profile == ECASH
    assert tap(catalogue.make("oda-debit"), kernel).outcome.profile == ODA


def test_the_issuer_key_is_recovered_once():
    kernel = terminal(ECASH)
    for _ in range(3):
        card = catalogue.make("ecash")
        assert tap(card, kernel).outcome.code == outcome.APPROVED
    assert kernel.issuer_keys.misses == 1 and kernel.issuer_keys.hits == 2


_ONE_THING_WRONG = {
    "other PAN in the records": ({"5A": "6210948000000995"}, "pan"),
    "list of static data tags is not 82": ({"9F4A": "84"}, "card-cert"),
    "two static data tags": ({"9F4A": "8294"}, "card-cert"),
    "another CA key": ({"8F": "F9"}, "issuer-cert"),
    "CA key that is not there": ({"8F": "01"}, "no-key"),
    "issuer remainder changed": ({"92": "00000000"}, "issuer-cert"),
    "issuer remainder missing": ({"92": ""}, "issuer-cert"),
    "issuer exponent changed": ({"9F32": "010001"}, "issuer-cert"),
    "card exponent changed": ({"9F47": "010001"}, "card-cert"),
    "card remainder changed": ({"9F48": "00" * 42}, "card-cert"),
    "usage control changed": ({"9F07": "0000"}, "card-cert"),
    "valid from next year": ({"5F25": "270101"}, "expired"),
    "expired by its records": ({"5F24": "201231"}, "expired"),
    "expired by its track 2": ({"57": "6210948000000102D20122200000000F"}, "expired"),
}


@pytest.mark.parametrize("what", list(_ONE_THING_WRONG))
def test_one_wrong_thing_is_found_before_the_debit(what):
    changes, reason = _ONE_THING_WRONG[what]
    card = catalogue.make("ecash", changes_after_signing=changes)
    result = tap(card, terminal(ECASH)).outcome
    assert result.reason == reason and result.code in _BAD_CARD
    assert card.balance == 50000


def test_card_that_cannot_sign_dynamically():
    card = catalogue.make("ecash", aip=b"\x5c\x00")
    assert tap(card, terminal(ECASH)).outcome.reason == "no-oda" and card.balance == 50000


@pytest.mark.parametrize(
    "extra",
    [
        (("DF01", 1), ("9F7A", 1), ("9F4E", 20)),
        (("9F1C", 8), ("9F21", 3), ("9F15", 2), ("9F35", 1)),
        (("C1", 100), ("DF8101", 50), ("9F4E", 69)),
    ],
)
def test_lists_of_any_legal_shape(extra):
    card = catalogue.make("ecash", pdol_extra=extra)
    assert tap(card, terminal(ECASH)).outcome.code == outcome.APPROVED
    assert card.balance == 49500


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_hostile_cards_end_in_an_outcome_and_never_in_an_approval(attack):
    for profiles in ((ECASH,), (ODA, ECASH)):
        card = catalogue.make("hostile", attack=attack)
        tx = tap(card, terminal(*profiles))
        assert tx.outcome.code != outcome.APPROVED
        assert tx.apdus <= 12


def test_garbage_ends_in_an_outcome_and_an_approval_is_still_a_debit():
    soak = 20 if os.environ.get("FLAGFALL_SOAK") else 1
    kernels = [terminal(ECASH), terminal(ODA, ECASH), terminal(ODA)]
    seen = set()
    for noise in range(400 * soak):
        chance = random.Random(noise)
        rate = chance.choice((0.05, 0.15, 0.7))
        card = catalogue.make("garbage", noise=noise, rate=rate)
        kernel = chance.choice(kernels)
        tx = tap(card, kernel)
        seen.add(tx.outcome.code)
        debited = card._honest.balance == 49500
        if tx.outcome.code == outcome.APPROVED and tx.outcome.profile == ECASH:
            assert debited, noise
        if debited and tx._last_asked:  # noise in the AFL may make an earlier record the last
            assert tx.outcome.code in (outcome.APPROVED, outcome.DISPUTED, outcome.TORN), noise
        assert tx.apdus <= 64
    assert {outcome.APPROVED, outcome.END, outcome.DECLINED, outcome.DISPUTED} <= seen


class _AbsurdKey:
    """A public key as a careless CA might certify it. Only what certificates are made of."""

    def __init__(self, modulus, exponent, size=None):
        self.modulus, self.exponent = modulus, exponent
        self.size = len(modulus) if size is None else size


_ABSURD = {
    "modulus zero": _AbsurdKey(bytes(144), b"\x03"),
    "modulus one": _AbsurdKey(bytes(143) + b"\x01", b"\x03"),
    "modulus even": _AbsurdKey(b"\xfe" * 144, b"\x03"),
    "modulus of no bytes": _AbsurdKey(b"", b"\x03"),
    "modulus of one byte": _AbsurdKey(b"\x81", b"\x03"),
    "modulus longer than it is": _AbsurdKey(b"\xff" * 144, b"\x03", 255),
    "exponent missing": _AbsurdKey(b"\xff" * 144, b""),
    "exponent zero": _AbsurdKey(b"\xff" * 144, b"\x00"),
    "exponent one": _AbsurdKey(b"\xff" * 144, b"\x01"),
    "exponent of many bytes": _AbsurdKey(b"\xff" * 144, b"\xff" * 50),
}


@pytest.mark.parametrize("what", list(_ABSURD))
@pytest.mark.parametrize("whose", ["issuer", "card"])
def test_absurd_keys_under_a_good_signature_end_in_an_outcome(what, whose):
    """With exponent one a forger could sign anything; with modulus zero there is no remainder."""
    key = _ABSURD[what]
    if whose == "issuer":
        made = rsa_certificates.issuer_certificate(
            keys.rsa("ca-1408"), key, "621094", "1249", "000101"
        )
        tags = ("90", "92", "9F32")
    else:
        person = catalogue.make("ecash").applets[0].person
        static = person._static(person.rsa, person.signed(person.rsa)[0])
        made = rsa_certificates.icc_certificate(
            keys.rsa("issuer-1152"), key, person.pan, "1249", "000001", static
        )
        tags = ("9F46", "9F48", "9F47")
    values = (made.signed, made.remainder, made.exponent)
    changes = {tag: value.hex() for tag, value in zip(tags, values, strict=True)}
    card = catalogue.make("ecash", changes_after_signing=changes)
    result = tap(card, terminal(ECASH)).outcome
    assert result.code in _BAD_CARD and card.balance == 50000
