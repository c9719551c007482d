# Deliberate bugs around the journal: each must break a promise that unit_cuts checks.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Run in MicroPython by test_unit_power_cuts.py, one function after the other.

import os

import unit_cuts
from app.booking import Booking
from app.configuration import Configuration
from app.duty import Duty
from app.meter import Meter
from flagfall.meter.taximeter import Taximeter
from power_cuts import Violation


def caught(place, name, bug):
    # Whether some cut shows that `place.name` is `bug`.
    right = getattr(place, name)
    setattr(place, name, bug)
    try:
        unit_cuts.depth_1(2, 30, "t", keep=False)
    except Violation:
        return True
    finally:
        setattr(place, name, right)
    return False


def test_totals_are_recorded_before_the_trip_is_cleared_for_good():
    def clear(self):
        self.taximeter.clear(self._board.ticks_ms())
        self._booking.totals(self._duty.totals.pack())
        self.checkpoint()

    assert caught(Meter, "_clear", clear)


def test_a_trip_that_was_recorded_is_taken_up_again():
    # An unpaid trip's record is in flash, and the taximeter stays in Stopped.
    assert caught(Taximeter, "interrupt", lambda self: None)


def test_no_checkpoint_while_vacant():
    class Late(Meter):
        def step(self):
            if self.position == unit_cuts.FOR_HIRE:
                self._checkpoint_at = self._board.ticks_ms()
            Meter.step(self)

    assert caught(unit_cuts, "Meter", Late)


def test_a_checkpoint_in_three_seconds():
    class Slow(Meter):
        def step(self):
            if self._board.ticks_ms() - self._checkpoint_at < 3000:
                self.taximeter.advance(self._board.pulses(), self._board.ticks_ms())
            else:
                Meter.step(self)

    assert caught(unit_cuts, "Meter", Slow)


def test_no_checkpoint_before_the_debit():
    class Bold(Meter):
        def checkpoint(self):
            if not self._duty.intent:
                Meter.checkpoint(self)

    assert caught(unit_cuts, "Meter", Bold)


def test_trip_is_called_booked_before_its_record():
    def book_trip(self, paid, flags):
        fields = self.trip_fields(paid, flags)
        self._duty.trip_closed(paid, self.due)
        self.checkpoint()
        self._booking.trip(**fields)

    assert caught(Meter, "_book_trip", book_trip)


def test_journal_is_not_replayed():
    assert caught(Duty, "replay", lambda self, journal: None)


def test_a_torn_payment_is_forgotten_at_a_start():
    assert caught(Duty, "_tear", lambda self, seq: None)


def test_replay_begins_one_record_too_early():
    replay = Duty.replay

    def early(self, journal):
        self._seq = max(0, self._seq - 1)
        replay(self, journal)

    assert caught(Duty, "replay", early)


def test_a_tap_that_was_cut_off_goes_without_the_key_that_sealed_it():
    assert caught(Booking, "key_of", lambda self, sealed: None)


def test_file_is_removed_before_the_new_one_takes_its_place():
    write = Configuration._write
    absent = []

    def remove_first(self, name, *what):
        try:
            os.remove(self._root + "/" + name)
        except OSError:
            absent.append(name)
        write(self, name, *what)

    assert caught(Configuration, "_write", remove_first)


def test_versions_count_before_their_file_is_in_force():
    # Then a cut in between makes the unit take its own files for old ones that were put back.
    right = unit_cuts.UnitLife._push

    def push(self, kind, name, blob, put):
        self.duty.file_versions = self.configuration.versions() + 1
        self.meter.checkpoint()
        right(self, kind, name, blob, put)

    assert caught(unit_cuts.UnitLife, "_push", push)


def test_totals_start_anew():
    def unpack(self, blob):
        snapshot = right(self, blob)
        self.totals._km = self.totals._part = 0
        return snapshot

    right = Duty.unpack
    assert caught(Duty, "unpack", unpack)


def test_without_a_bug_nothing_is_accused():
    assert not caught(Duty, "replay", Duty.replay)
