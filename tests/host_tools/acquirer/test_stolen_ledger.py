"""What a thief of the ledger's file has, and what a second operator's tool can do with it."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flagfall.clock import seconds_from_civil
from flagfall_host.acquirer.errors import WrongFleetKey
from flagfall_host.acquirer.sealed import CardData, Opener
from flagfall_host.ledger import Ledger
from flagfall_host.reports.figures import Figures
from flagfall_host.reports.page import render
from flagfall_host.reports.span import Span, day, zone
from office import FLEET_KEY, PANS, booked

UTC = zone("UTC")


@pytest.fixture
def stolen(ledger, place, tmp_path) -> Path:
    """A copy of the whole ledger, write-ahead log and all, while the office works with it."""
    booked(ledger, 6)
    for part in tmp_path.glob(f"{place.name}*"):
        shutil.copy(part, tmp_path / part.name.replace(place.stem, "stolen"))
    return tmp_path / f"stolen{place.suffix}"


def test_neither_pan_nor_track_stands_in_the_bytes(stolen):
    everything = b"".join(p.read_bytes() for p in stolen.parent.glob("stolen*"))
    assert len(everything) > 10_000
    for pan in PANS:
        for form in (pan.encode(), bytes.fromhex(pan + "F" * (len(pan) % 2))):
            assert form not in everything and form[:6] not in everything
        track = f"{pan}D4912220"
        assert bytes.fromhex(track + "F" * (len(track) % 2)) not in everything
        assert track.encode() not in everything


def test_sealed_fields_open_with_the_fleet_key_only(stolen):
    with Ledger.open(stolen, create=False) as ledger:
        keys = [(r["unit_id"], r["epoch"], r["seq"]) for r in ledger.rows("payments")]
        other = rsa.generate_private_key(65_537, 2_048)
        with pytest.raises(WrongFleetKey):
            Opener(ledger, other).open_all(keys)
        opened = Opener(ledger, FLEET_KEY).open_all(keys)
    cards = [card for card in opened.values() if isinstance(card, CardData)]
    assert {card.pan for card in cards} == set(PANS) and len(cards) == 6


def test_no_list_and_no_report_shows_more_than_the_last_four(stolen):
    now = seconds_from_civil(2026, 1, 2)
    with Ledger.open(stolen, now=lambda: now, create=False) as ledger:
        span = Span(day("2026-01-01", UTC, now), day("2026-01-01", UTC, now), UTC)
        figures = Figures(ledger, span, None).collect()
        head = {"kind": "unit", "title": "t", "subtitle": "", "company": ""}
        shown = [render(head | figures), repr(figures), repr(list(ledger.rows("payments")))]
        shown += [repr(ledger.record(r["unit_id"], r["seq"])) for r in ledger.rows("payments")]
    assert figures["totals"]["taps_approved"] == 6
    text = "".join(shown)
    for pan in PANS:
        assert pan[-4:] in text and pan[-6:] not in text and pan[:8] not in text
