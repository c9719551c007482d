"""A unit id that was in use before starts above every epoch that the ledger has of it."""

from pathlib import Path

from flagfall.link.proof import journal_key
from flagfall_host.cli.unit import _next_epoch
from flagfall_host.ledger import Ledger


def test_a_new_id_starts_at_one_and_a_used_one_goes_on(tmp_path: Path):
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2] / "firmware/lib/flagfall/link"))
    from fake_unit import UNIT_ID, UNIT_KEY, FakeUnit

    ledger = tmp_path / "ledger.sqlite"
    assert _next_epoch(str(ledger), UNIT_ID) == 1
    assert not ledger.exists()
    unit = FakeUnit()
    unit.append(3)
    unit.journal.mount(1)
    unit.append(3)
    with Ledger.open(ledger) as book:
        book.book(UNIT_ID, [bytes(r.raw) for r in unit.journal.read(1)], journal_key(UNIT_KEY))
    assert _next_epoch(str(ledger), UNIT_ID) == 3
    assert _next_epoch(str(ledger), "OTHER") == 1
