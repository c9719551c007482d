"""A pull books each record once, in order, whatever the wire does."""

import random
import sys
from pathlib import Path

import pytest
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import NoAnswer, UnitRefused
from flagfall_host.depot.pull import pull
from flagfall_host.depot.pulled import LostRecords

sys.path.insert(0, str(Path(__file__).parent))

from lossy_wire import SOAK, LossyWire, PowerGone  # noqa: E402
from note_ledger import NoteLedger  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2] / "firmware/lib/flagfall/link"))

from fake_unit import UNIT_ID, UNIT_KEY, FakeUnit  # noqa: E402


def unit_with(records: int, size: int = 150) -> FakeUnit:
    unit = FakeUnit()
    unit.append(records, size)
    return unit


def in_flash(unit: FakeUnit) -> list[tuple[int, bytes]]:
    return [(r.seq, bytes(r.raw)) for r in unit.journal.read(1)]


def opened(wire: LossyWire) -> Link:
    link = Link(wire, {UNIT_ID: UNIT_KEY}.get, nonce=wire.random.randbytes)
    link.open()
    return link


def test_everything_is_booked_as_it_is_in_flash_then_receipted():
    unit = unit_with(400)
    expected = in_flash(unit)
    ledger = NoteLedger()
    result = pull(opened(LossyWire(unit)), ledger)
    assert ledger.records == expected
    assert (result.records, result.last_seq, result.receipt_upto) == (400, 400, 400)
    assert result.pulls == 1
    assert result.freed > 5
    assert unit.journal.acked_seq == 400


def test_a_second_pull_brings_only_what_is_new():
    unit = unit_with(50)
    ledger = NoteLedger()
    wire = LossyWire(unit)
    pull(opened(wire), ledger)
    unit.append(5)
    result = pull(opened(wire), ledger)
    # The receipt of the first pull is a record too.
    assert result.from_seq == 51 and result.records == 6
    assert ledger.seqs == list(range(1, 57))


@pytest.mark.parametrize("seed", range(12 * SOAK))
def test_lost_damaged_doubled_and_cut_frames(seed: int):
    unit = unit_with(300, 250)
    expected = in_flash(unit)
    ledger = NoteLedger()
    wire = LossyWire(unit, seed, faults=0.15)
    result = pull(opened(wire), ledger)
    assert ledger.records == expected
    assert result.receipt_upto == 300
    assert unit.events == []


@pytest.mark.parametrize("seed", range(12 * SOAK))
def test_a_host_that_dies_anywhere_goes_on_where_it_was(
    seed: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("flagfall_host.depot.pull.BATCH_BYTES", 6_000)
    unit = unit_with(300, 250)
    expected = in_flash(unit)
    ledger = NoteLedger()
    chance = random.Random(seed)
    deaths = 0
    while True:
        wire = LossyWire(unit, chance.random(), 0.03, die_after=chance.randrange(5, 22))
        ledger.alive = lambda wire=wire: not wire.dead
        try:
            pull(opened(wire), ledger)
            break
        except PowerGone:
            deaths += 1
            assert deaths < 200
    assert deaths > 1
    assert [r for r in ledger.records if r[0] <= 300] == expected


def test_records_that_were_not_asked_for_are_not_booked_again():
    unit = unit_with(50)
    ledger = NoteLedger()
    wire = LossyWire(unit)
    pull(opened(wire), ledger)
    unit.append(5)
    read = unit.journal.read
    unit.journal.read = lambda from_seq: read(1 if from_seq == 51 else from_seq)
    pull(opened(wire), ledger)
    assert ledger.seqs == list(range(1, 57))


def test_a_unit_that_restarts_in_the_middle_is_greeted_again():
    unit = unit_with(300, 250)
    wire = LossyWire(unit)
    restarts = []

    def progress(seq: int, total: int, size: int) -> None:
        if seq > 100 * (len(restarts) + 1):
            restarts.append(seq)
            wire.new_session()

    ledger = NoteLedger()
    pull(opened(wire), ledger, progress)
    assert len(restarts) == 2
    assert ledger.seqs == list(range(1, 301))


def test_progress_counts_up_to_the_end():
    unit = unit_with(60)
    calls: list[tuple[int, int, int]] = []
    pull(opened(LossyWire(unit)), NoteLedger(), lambda *call: calls.append(call))
    assert [c[0] for c in calls] == list(range(1, 61))
    assert {c[1] for c in calls} == {60}
    assert calls[-1][2] == sum(len(raw) for _, raw in in_flash(unit) if raw) - len(
        in_flash(unit)[-1][1]
    )


def damage(unit: FakeUnit, seq: int) -> None:
    at = bytes(unit.flash.data).find(b"record %d " % seq)
    unit.flash.data[at] &= 0x80


def test_damage_is_named_the_rest_is_booked_and_no_receipt_goes_past_it():
    unit = unit_with(40)
    damage(unit, 17)
    ledger = NoteLedger()
    with pytest.raises(LostRecords) as caught:
        pull(opened(LossyWire(unit)), ledger)
    text = str(caught.value)
    assert "record 17 damaged in its flash at 0x" in text and "--accept-damaged" in text
    assert caught.value.exit_code != 0
    assert ledger.seqs == [s for s in range(1, 41) if s != 17]
    assert ledger.damage == [(17, 17, False)]
    assert unit.journal.acked_seq == 16


def test_accepted_damage_lets_the_unit_free_everything():
    unit = unit_with(40)
    damage(unit, 17)
    ledger = NoteLedger()
    result = pull(opened(LossyWire(unit)), ledger, accept_damaged=True)
    assert [(d.first_seq, d.last_seq) for d in result.damaged] == [(17, 17)]
    assert ledger.damage == [(17, 17, True)]
    assert unit.journal.acked_seq == 40


def test_records_freed_before_they_were_booked_are_named():
    unit = FakeUnit(sectors=8)
    unit.append(150)
    pull(opened(LossyWire(unit)), NoteLedger())
    unit.append(150)
    first = next(unit.journal.read(1)).seq
    assert first > 1
    ledger = NoteLedger()
    with pytest.raises(LostRecords, match=f"records 1 to {first - 1} neither in the unit"):
        pull(opened(LossyWire(unit)), ledger)
    assert ledger.seqs == list(range(first, 302))
    again = NoteLedger()
    result = pull(opened(LossyWire(unit)), again, accept_damaged=True)
    assert result.missing == [(1, first - 1)]
    assert again.damage == [(1, first - 1, True)]


def test_a_wire_that_goes_dead_says_how_far_it_came():
    unit = unit_with(300, 250)
    wire = LossyWire(unit)
    ledger = NoteLedger()

    def progress(seq: int, total: int, size: int) -> None:
        if seq == 100:
            wire.session.next_output = lambda: None  # type: ignore[method-assign]

    with pytest.raises(NoAnswer) as caught:
        pull(opened(wire), ledger, progress)
    assert ledger.seqs == list(range(1, ledger.last_seq(UNIT_ID) + 1))
    assert f"stopped after record {ledger.last_seq(UNIT_ID)}" in str(caught.value)
    assert ledger.last_seq(UNIT_ID) >= 100
    assert wire.time < 60


def test_a_receipt_that_the_unit_refuses_is_told_and_nothing_is_lost():
    from flagfall.journal.record import JournalError

    unit = unit_with(30)
    ledger = NoteLedger()

    def broken(*_):
        raise JournalError("sector 3 takes no records")

    unit.journal.acknowledge = broken
    with pytest.raises(UnitRefused, match="30 records are booked, but .* takes no records"):
        pull(opened(LossyWire(unit)), ledger)
    assert ledger.seqs == list(range(1, 31))


def test_a_journal_that_fails_is_named():
    from flagfall.journal.record import JournalError

    unit = unit_with(10)
    wire = LossyWire(unit)
    link = opened(wire)

    def broken(from_seq):
        raise JournalError("sector 3 cannot be read")

    unit.journal.read = broken
    with pytest.raises(UnitRefused, match="record 1: sector 3 cannot be read"):
        pull(link, NoteLedger())
