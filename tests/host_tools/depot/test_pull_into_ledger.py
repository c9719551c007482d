"""Pulls into the real ledger: forged, damaged and lost records, and a unit's second life."""

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from flagfall.journal.ring import Journal
from flagfall.link.proof import journal_key
from flagfall_host.depot.link import Link
from flagfall_host.depot.pull import pull
from flagfall_host.depot.pulled import LostRecords, PullResult
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.tables import DAMAGES, RECORDS

sys.path.insert(0, str(Path(__file__).parent))

from lossy_wire import LossyWire  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "firmware/lib/flagfall/link"))

from fake_unit import UNIT_ID, UNIT_KEY, FakeUnit  # noqa: E402


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path / "ledger.sqlite") as book:
        yield book


def pull_it(unit: FakeUnit, ledger: Ledger, **settings) -> PullResult:
    wire = LossyWire(unit)
    link = Link(wire, {UNIT_ID: UNIT_KEY}.get, nonce=wire.random.randbytes)
    link.open()
    return pull(link, ledger, **settings)


def booked(ledger: Ledger) -> list[tuple[int, int]]:
    question = sa.select(RECORDS.c.epoch, RECORDS.c.seq).order_by(RECORDS.c.epoch, RECORDS.c.seq)
    with ledger.reading() as connection:
        return [tuple(row) for row in connection.execute(question)]


def forge(unit: FakeUnit, count: int) -> None:
    """Append records with a MAC that is not of the unit's key."""
    key, unit.journal._key = unit.journal._key, b"not the journal key of this unit"
    unit.append(count)
    unit.journal._key = key


def test_everything_is_booked_and_the_ledger_finds_no_fault(ledger: Ledger):
    unit = FakeUnit()
    unit.append(200)
    result = pull_it(unit, ledger)
    assert (result.records, result.repeated, result.findings) == (200, 0, [])
    assert booked(ledger) == [(1, n) for n in range(1, 201)]
    assert ledger.check(UNIT_ID, lambda _: journal_key(UNIT_KEY)) == []
    assert unit.journal.acked_seq == 200


def test_damage_is_named_at_each_pull_until_it_is_accepted(ledger: Ledger):
    unit = FakeUnit()
    unit.append(40)
    at = bytes(unit.flash.data).find(b"record 17 ")
    unit.flash.data[at] &= 0x80
    for _ in range(2):
        with pytest.raises(LostRecords, match="record 17 damaged in its flash at 0x") as caught:
            pull_it(unit, ledger)
        assert unit.journal.acked_seq == 16
    assert caught.value.result.repeated == 23
    result = pull_it(unit, ledger, accept_damaged=True)
    assert result.receipt_upto >= 40
    assert unit.journal.acked_seq >= 40
    assert pull_it(unit, ledger).damaged == []
    assert (1, 17) not in booked(ledger)


def test_a_forged_record_is_refused_and_stops_the_receipt(ledger: Ledger):
    unit = FakeUnit()
    unit.append(20)
    forge(unit, 1)
    unit.append(10)
    with pytest.raises(LostRecords, match="record 21") as caught:
        pull_it(unit, ledger)
    assert [seq for seq, _ in caught.value.result.refused] == [21]
    assert unit.journal.acked_seq == 20
    assert [seq for _, seq in booked(ledger)] == [n for n in range(1, 32) if n != 21]
    pull_it(unit, ledger, accept_damaged=True)
    assert unit.journal.acked_seq >= 31


def test_records_pulled_into_another_ledger_are_named_and_can_be_accepted(
    ledger: Ledger, tmp_path: Path
):
    unit = FakeUnit(sectors=8)
    unit.append(150)
    with Ledger.open(tmp_path / "other.sqlite") as other:
        pull_it(unit, other)
    unit.append(150)
    first = next(unit.journal.read(1)).seq
    with pytest.raises(LostRecords, match=f"records 1 to {first - 1} neither in the unit"):
        pull_it(unit, ledger)
    result = pull_it(unit, ledger, accept_damaged=True)
    assert unit.journal.acked_seq >= 301
    # The loss is booked as one, once, and nothing else; the ledger goes on behind it.
    assert result.missing == [(1, first - 1)] and result.damaged == result.refused == []
    with ledger.reading() as connection:
        (row,) = connection.execute(sa.select(DAMAGES)).mappings().all()
    assert (row["first_seq"], row["last_seq"], row["accepted"]) == (1, first - 1, 1)
    assert row["raw"] == b"" and ledger.last_seq(UNIT_ID) == result.last_seq
    assert booked(ledger)[0] == (1, first)
    again = pull_it(unit, ledger)
    assert again.missing == [] and again.findings == []
    losses = ledger.check(UNIT_ID, lambda _: journal_key(UNIT_KEY))
    assert all(str(first - 1) in str(finding) for finding in losses), losses


@pytest.mark.parametrize("records", [20, 59, 60, 61, 62, 90])
def test_a_unit_provisioned_anew_is_pulled_from_its_first_record(ledger: Ledger, records: int):
    unit = FakeUnit()
    unit.append(60)
    pull_it(unit, ledger)
    again = FakeUnit()
    again.journal = Journal(again.flash, journal_key(UNIT_KEY))
    again.journal.mount(9)
    again.append(records)
    result = pull_it(again, ledger)
    assert (result.from_seq, result.records) == (1, records)
    assert booked(ledger) == [(1, n) for n in range(1, 61)] + [
        (9, n) for n in range(1, records + 1)
    ]
    assert again.journal.acked_seq == records


def test_a_receipt_that_a_cut_pull_still_owes_is_given_first(ledger: Ledger):
    unit = FakeUnit()
    unit.append(200)
    ledger.book(UNIT_ID, [bytes(r.raw) for r in unit.journal.read(1)], journal_key(UNIT_KEY))
    result = pull_it(unit, ledger)
    assert result.freed > 0
    # The unit has booked that receipt as a record, which was pulled and receipted at once.
    assert result.records == 1
    assert unit.journal.acked_seq == 201
