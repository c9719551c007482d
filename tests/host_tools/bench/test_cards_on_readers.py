"""Every card of the catalogue on both families of reader, through the unit's own code."""

import os

import pytest
from flagfall.emv.terminal import ECASH, ODA
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.tap import Bench, terminal

CHIPS = ["pn532", "mfrc522", "fm175xx"]
# Chip and type of card. The MFRC522 stands for both register chips with type A, for it is one way
# through one driver.
READERS = [("pn532", "A"), ("mfrc522", "A"), ("pn532", "B"), ("fm175xx", "B")]
PROFILES = {"ecash": ECASH, "oda": ODA}
REFUSED = {"declined", "card not usable", "other interface"}
# What only the catalogue's words after the colon say.
REASONS = {
    "declined: expired": {"expired"},
    "declined: blocked": {"blocked"},
    "declined: signature": {"fdda"},
    "declined: signature version": {"fdda-version"},
    "declined: certificate": {"cert-expired", "card-cert", "revoked", "no-key"},
}


@pytest.mark.parametrize(("chip", "kind"), READERS)
@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("name", catalogue.names())
def test_every_card_ends_as_the_catalogue_says(name, profile, chip, kind):
    expected = catalogue.expected(name, profile)
    kernel = terminal(PROFILES[profile], sm2="if the terminal has SM2" in expected)
    bench = Bench(chip, profile, kernel=kernel)
    card = bench.place(name, kind=kind)
    first = bench.tap(name)
    if expected == "approved at the second tap":
        assert (first.outcome, first.reason) == ("try again", "phone")
        assert bench.tap(name).outcome == "approved"
    elif expected == "torn, approved when tapped again":
        assert first.outcome == "torn" and first.transaction.torn is not None
        if not bench.field.present:
            bench.place(name, card)
        second = bench.tap(name, torn=first.transaction.torn)
        assert (second.outcome, second.reason) == ("approved", "resolved")
    elif expected.startswith("declined"):
        assert first.outcome in REFUSED
        assert first.reason in REASONS.get(expected, {first.reason})
        assert first.transaction.outcome.record_outcome() in (0, 2), "no record of money"
    else:
        assert first.outcome == expected.split(":")[0].split(",")[0]


STEP = 1 if os.environ.get("FLAGFALL_SOAK") else 61  # bytes between two losses


@pytest.mark.parametrize(("chip", "kind"), READERS)
def test_a_card_that_leaves_at_any_byte_pays_once(chip, kind):
    whole = Bench(chip, "ecash")
    whole.place("ecash", kind=kind)
    sizes = [(len(x.command), len(x.response)) for x, _ in whole_exchanges(whole)]
    total = sum(map(sum, sizes))
    last = total - sum(sizes[-1])  # from here on the card is asked for what debits it
    for at in sorted({*range(0, total, STEP), last - 1, last, total - 1}):
        bench = Bench(chip, "ecash")
        card = bench.place("tearing", at_byte=at, kind=kind)
        first = bench.tap("tearing")
        debited = at >= last + sizes[-1][0]
        if at < last:
            assert (first.outcome, first.reason, first.transaction.torn) == (
                "try again",
                "left",
                None,
            )
        else:
            assert first.outcome == "torn"
        assert card.inner.balance == (49500 if debited else 50000)
        if not bench.field.present:
            bench.place("tearing", card)
        second = bench.tap("tearing", torn=first.transaction.torn)
        assert (second.outcome, second.reason) == (
            "approved",
            "resolved" if debited else "approved",
        )
        assert card.inner.balance == 49500


def whole_exchanges(bench):
    """The exchanges of one undisturbed tap."""
    assert bench.tap("ecash").outcome == "approved"
    return bench.card_clock.exchanges


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(
    ("name", "profile", "records"),
    [
        ("ecash", "ecash", 4),
        ("ecash-8-reads", "ecash", 8),
        ("ecash-1984", "ecash", 6),
        ("oda-debit", "oda", 4),
        ("oda-credit", "oda", 6),
        ("visitor", "oda", 3),
    ],
)
def test_a_tap_sends_three_commands_and_one_for_each_record(name, profile, records, chip):
    bench = Bench(chip, profile)
    bench.place(name)
    result = bench.tap(name)
    assert result.records == records
    assert result.apdus == 3 + records == bench.field.counters.apdus
