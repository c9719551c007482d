"""The catalogue as the bench and the commands use it."""

from pathlib import Path

import pytest
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.card import Card, CardLeft
from flagfall_host.bench.cards.catalogue import NoSuchCard
from flagfall_host.bench.cards.hostile import ATTACKS
from flagfall_host.errors import FlagfallError
from hypothesis import given, settings
from hypothesis import strategies as st


def _luhn_holds(pan):
    digits = [int(d) for d in pan]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def test_every_card_has_its_line_its_ending_and_its_own_identity():
    cards = {name: catalogue.make(name) for name in catalogue.names()}
    assert len(cards) >= 16
    for name, card in cards.items():
        assert isinstance(card, Card) and card.name == name
        assert "\n" not in catalogue.describe(name)
        for profile in ("ecash", "oda"):
            assert catalogue.expected(name, profile).replace(":", " ").replace(",", " ").split()[
                0
            ] in (
                "approved",
                "declined",
                "torn",
                "disputed",
            )
        assert card.sel_res == 0x20
        assert len(card.uid) == (7 if card.sens_res == b"\x00\x44" else 4)
        assert card.uid[0] != 0x88  # the cascade tag is no UID's first byte
        _check_ats(card.ats)
    assert len({card.uid for card in cards.values()}) == len(cards)
    assert len({card.ats for card in cards.values()}) > 2


def _check_ats(ats):
    """TL, T0, then TA, TB, TC as T0 says (ISO/IEC 14443-4, 5.2)."""
    assert ats[0] == len(ats) and ats[1] & 0x0F <= 8
    assert len(ats) >= 2 + bin(ats[1] & 0x70).count("1")


def test_test_pans_only_each_once():
    pans = [p.pan for entry in catalogue._ENTRIES.values() for p in entry.persons]
    assert len(set(pans)) == len(pans)
    assert all(_luhn_holds(pan) for pan in pans)
    assert all(pan.startswith("6210948000000") or set(pan[1:]) == {"1"} for pan in pans)


def test_names_and_settings_that_do_not_exist():
    for call in (
        lambda: catalogue.make("gold"),
        lambda: catalogue.describe("gold"),
        lambda: catalogue.expected("gold", "oda"),
        lambda: catalogue.make("ecash", colour="red"),
        lambda: catalogue.make("hostile", attack="none such"),
    ):
        with pytest.raises(NoSuchCard) as caught:
            call()
        assert isinstance(caught.value, FlagfallError) and "\n" not in str(caught.value)


def test_low_balance(tap):
    t = tap(catalogue.make("ecash-low"), t9F02="000000000150")
    t.pay()
    assert t.balance() == 0


def test_expired(tap):
    o = tap(catalogue.make("expired")).pay()
    assert o["5F24"].hex() == "221231" and "d2212" in o["57"].hex()


def test_garbage_repeats_by_seed_and_is_bounded():
    def run(noise):
        card = catalogue.make("garbage", noise=noise)
        card.field_on()
        return [card.apdu(bytes.fromhex("00A404000E325041592E5359532E444446303100"))] + [
            card.apdu(bytes([0, 0xB2, n, 0x14, 0])) for n in range(200)
        ]

    assert run(1) == run(1) != run(2)
    assert all(2 <= len(answer) <= 258 for answer in run(3))


@pytest.mark.parametrize("attack", list(ATTACKS))
def test_each_attack_changes_something_and_fits_a_frame(tap, attack):
    honest = catalogue.make("ecash", pan="6210948000000102")
    bad = catalogue.make("hostile", attack=attack, pan="6210948000000102")
    t = tap(honest)
    t.pay()
    bad.field_on()
    honest.field_on()
    changed = 0
    for command in t.log:
        a, b = honest.apdu(command), bad.apdu(command)
        changed += a != b
        assert len(b) <= 262
    assert changed


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_bytes_get_a_status_word(data):
    """Random commands, and honest ones cut, lengthened or shuffled, in any order and state."""
    name = data.draw(st.sampled_from([n for n in catalogue.names() if n not in _WRAPPED]))
    card = catalogue.make(name)
    before = [applet.memory.balance for applet in card.applets]
    card.field_on()
    for _ in range(data.draw(st.integers(1, 12))):
        command = data.draw(
            st.one_of(
                st.binary(max_size=262),
                st.sampled_from(_HONEST),
                st.builds(
                    _spoil, st.sampled_from(_HONEST), st.integers(0, 300), st.binary(max_size=3)
                ),
            )
        )
        answer = card.apdu(command)
        assert 2 <= len(answer) <= 258 and answer[-2] & 0xF0 in (0x60, 0x90)
    for applet, start in zip(card.applets, before, strict=True):
        assert 0 <= applet.memory.balance <= start


_WRAPPED = ("tearing", "garbage", "hostile")
_HONEST = [
    bytes.fromhex(command)
    for command in (
        "00A404000E325041592E5359532E444446303100",
        "00A4040005A00000033300",
        "00A4040205A00000033300",
        "00A4040007A000000003101000",
        "80A80000238321280000800000000005000000000000000156000000000001562611240011223344 00",
        "80A80000238321278000800000000005000000000000000156000000000001562611240011223344 00",
        "80A8000024832201278000800000000005000000000000000156000000000001562611240011223344 00",
        "00B2011400",
        "00B2012C00",
        "00B2011C00",
        "00B2015C00",
        "80CA9F7900",
        "80CA9F4F00",
    )
]


def _spoil(command, at, with_):
    at %= len(command) + 1
    return command[:at] + with_ + command[at + len(with_) :]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=262), min_size=1, max_size=8), st.integers(0, 2**32))
def test_wrapped_cards_answer_or_leave(commands, number):
    attack = list(ATTACKS)[number % len(ATTACKS)]
    for card in (
        catalogue.make("garbage", noise=number),
        catalogue.make("hostile", attack=attack),
        catalogue.make("tearing", at_byte=number % 600),
    ):
        card.field_on()
        for command in [*_HONEST[:2], *commands]:
            try:
                assert isinstance(card.apdu(command), bytes)
            except CardLeft:
                break


def test_the_document_lists_the_catalogue_as_it_is():
    text = (Path(__file__).parents[4] / "docs" / "cards.md").read_text(encoding="utf-8")
    for name in catalogue.names():
        ends = [catalogue.expected(name, profile) for profile in ("ecash", "oda")]
        assert f"| `{name}` | {catalogue.describe(name)} | {ends[0]} | {ends[1]} |\n" in text
