"""kill -9 before every single statement and around every commit, then go on: nothing is lost,
nothing is booked twice, and no receipt was given for what is not there."""

import os
import signal
import sqlite3
import struct

import pytest
from flagfall_host.ledger import Ledger, booking
from flagfall_host.ledger.errors import StorageFailed
from recorded_unit import RecordedUnit, a_day
from sqlalchemy import event

_BATCH = 9


def _book_until_killed(place, unit, statement, report):
    """In a child process: die before the n-th statement (negative: after the n-th commit)."""
    ledger = Ledger.open(place)
    left = [abs(statement)]

    def count(*_):
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if statement > 0:
        event.listen(ledger.engine, "before_cursor_execute", count)
        event.listen(ledger.engine, "commit", count)
        add_all = booking.add_all

        def counted(*arguments):  # PostgreSQL's COPY is no statement of SQLAlchemy's
            count()
            add_all(*arguments)

        booking.add_all = counted
    for i in range(0, unit.seq, _BATCH):
        ledger.book(unit.unit_id, unit.raws[i : i + _BATCH], unit.key)
        os.write(report, struct.pack("<I", ledger.receipt(unit.unit_id).seq))
        if statement < 0:
            count()


def _killed(place, unit, statement):
    """Whether the child was killed, and the last receipt that it gave."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _book_until_killed(place, unit, statement, theirs)
            code = 0
        finally:
            os._exit(code)
    os.close(theirs)
    _, status = os.waitpid(child, 0)
    with os.fdopen(ours, "rb") as f:
        receipts = f.read()
    given = struct.unpack("<I", receipts[-4:])[0] if receipts else 0
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True, given
    assert os.WEXITSTATUS(status) == 0
    return False, given


@pytest.mark.parametrize("direction", [1, -1])
def test_killed_before_every_statement_and_after_every_commit(place, direction):
    with Ledger.open(place):
        pass
    point, kills = 0, 0
    for number in range(1, 500):
        unit = RecordedUnit(f"TAXI-{number}")
        cash, _, amount = a_day(unit, 6)
        point += direction
        killed, given = _killed(place, unit, point)
        with Ledger.open(place) as ledger:
            there = ledger.last_seq(unit.unit_id)
            assert given <= there <= given + _BATCH
            assert there % _BATCH == 0 or there == unit.seq
            assert ledger.summary(unit.unit_id)["records"] == there
            assert ledger.check(unit.unit_id, lambda _, u=unit: u.key) == [] or killed
            result = ledger.book(unit.unit_id, unit.raws, unit.key)
            assert (result.new, result.repeated) == (unit.seq - there, there)
            s = ledger.summary(unit.unit_id)
            assert (s["cash"], s["card_amount"]) == (cash, amount)
            assert ledger.check(unit.unit_id, lambda _, u=unit: u.key) == []
        if not killed:
            break
        kills += 1
    assert not killed and kills >= (20 if direction > 0 else 2)


def test_a_full_disk_changes_nothing(tmp_path):
    path = tmp_path / "ledger.sqlite"
    unit = RecordedUnit()
    a_day(unit, 300)
    with Ledger.open(path) as ledger:
        ledger.book(unit.unit_id, unit.raws[:100], unit.key)
        with ledger.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar() + 4
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        @event.listens_for(ledger.engine, "connect")
        def _small(connection: sqlite3.Connection, _record):
            connection.execute(f"PRAGMA max_page_count = {pages}")

        before = ledger.summary()
        with pytest.raises(StorageFailed) as error:
            ledger.book(unit.unit_id, unit.raws[100:], unit.key)
        assert "full" in str(error.value) and "nothing was changed" in str(error.value)
        assert ledger.summary() == before and ledger.last_seq(unit.unit_id) == 100
    with Ledger.open(path) as ledger:
        assert ledger.book(unit.unit_id, unit.raws, unit.key).new == unit.seq - 100
        assert ledger.check() == []


def test_a_server_that_crashes_keeps_what_it_has_confirmed(postgres):
    place = postgres.empty_database()
    unit = RecordedUnit()
    a_day(unit, 10)
    ledger = Ledger.open(place)
    ledger.book(unit.unit_id, unit.raws[:20], unit.key)
    postgres.crash()
    with pytest.raises(Exception, match="ledger"):
        ledger.book(unit.unit_id, unit.raws, unit.key)
    assert ledger.last_seq(unit.unit_id) == 20
    assert ledger.book(unit.unit_id, unit.raws, unit.key).repeated == 20
    assert ledger.check() == []
    ledger.close()
