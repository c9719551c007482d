"""What whole taps on the unit do to its flash: never an erase, and little enough room."""

import pytest
from bench_taxi import Garage
from flagfall.journal import schema
from flagfall.journal.record import Record
from taps_and_flash import CARDS, TORN_TAPS, a_day_of_taps, erases_in, taps_held, taps_in

Day = tuple[list[str], list[Record]]


@pytest.fixture(scope="module")
def day(garage: Garage, tmp_path_factory: pytest.TempPathFactory) -> Day:
    return a_day_of_taps(garage, tmp_path_factory.mktemp("day"))


def test_no_erase_between_a_card_and_its_tone(day: Day) -> None:
    trace, _ = day
    taps = taps_in(trace)
    assert len(taps) == len(CARDS) + TORN_TAPS + 2
    assert [erases_in(lines) for lines in taps if erases_in(lines)] == []
    # Both rings went on to other sectors meanwhile, and what they erased was seen.
    for ring in ("journal", "trips"):
        assert sum(line.startswith(f"E {ring} ") for line in trace) >= 2, ring


def test_an_erase_on_the_way_would_be_seen() -> None:
    trace = ["E trips 1", "L processing", "L read", "E journal 7", "B approved", "E trips 2"]
    assert [erases_in(lines) for lines in taps_in(trace)] == [["E journal 7"]]


def test_a_journal_of_4_mib_holds_6000_taps_with_their_trips(day: Day) -> None:
    _, rides = day
    kinds = [r.type for r in rides if r.type != schema.KEY]
    assert kinds == [schema.PAYMENT, schema.TRIP, schema.EVENT, schema.TOTALS] * len(CARDS)
    assert taps_held(rides, 4 << 20) >= 6_000
