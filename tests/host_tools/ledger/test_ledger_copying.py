"""A ledger copied into another database is the same ledger, and goes on."""

import pytest
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.copying import NotEmpty, copy_ledger
from flagfall_host.ledger.tables import METADATA
from recorded_unit import JOURNAL_KEY, RecordedUnit, a_day


def rows_of(ledger):
    with ledger.reading() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(table.select())))
            for table in METADATA.sorted_tables
        }


def test_every_row_arrives_and_the_copy_goes_on(tmp_path, place):
    unit = RecordedUnit()
    a_day(unit)
    with (
        Ledger.open(tmp_path / "source.sqlite") as source,
        Ledger.open(place + ".copy" if "://" not in place else place) as copy,
    ):
        source.book(unit.unit_id, unit.raws, JOURNAL_KEY)
        payment = next(row for row in source.rows("money"))
        source.dispute(payment["unit_id"], payment["seq"], "office", "a complaint")
        counts = copy_ledger(source, copy)
        assert counts["records"] == len(unit.raws) and counts["moves"] > 0
        assert rows_of(copy) == rows_of(source)
        before = len(unit.raws)
        a_day(unit)
        result = copy.book(unit.unit_id, unit.raws, JOURNAL_KEY)
        assert (result.new, result.repeated) == (len(unit.raws) - before, before)
        other = [row for row in copy.rows("money")][-1]
        copy.dispute(other["unit_id"], other["seq"], "office", "another one")  # numbers its row
        with pytest.raises(NotEmpty, match="already"):
            copy_ledger(source, copy)
