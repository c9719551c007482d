# Power dips, clock corrections, calibration, totals, local time: the rules around the meter.
# MIT licence, (c) 2026 The Flagfall contributors.

from expect import raises
from flagfall.clock import seconds_from_civil
from flagfall.meter import calibration, clock_budget, identity, power
from flagfall.meter.clock_budget import ClockBudget, ClockRefused
from flagfall.meter.local_time import LocalTime
from flagfall.meter.totals import SIZE, Totals, TotalsError

WEEK = clock_budget.WEEK_S
NOW = seconds_from_civil(2026, 11, 24, 12)


def test_dips():
    assert power.after_dip(NOW, NOW) == power.RESUME
    assert power.after_dip(NOW, NOW + 20) == power.RESUME
    assert power.after_dip(NOW, NOW + 21) == power.CLOSE
    assert power.after_dip(NOW, NOW + 21, 60) == power.RESUME
    assert power.after_dip(NOW, NOW - 1) == power.CLOSE
    assert power.after_dip(NOW, 0) == power.CLOSE
    assert power.after_dip(0, NOW) == power.CLOSE


def test_clock_corrections_of_a_week():
    budget = ClockBudget()
    assert budget.correct(NOW, NOW + 90, True) == 90
    raises(ClockRefused, budget.correct, NOW, NOW - 31, True)
    assert budget.correct(NOW, NOW - 30, True) == -30
    assert budget.used_s(NOW) == 120
    raises(ClockRefused, budget.correct, NOW, NOW + 1, True)
    later = NOW + 90 + WEEK
    assert budget.correct(later, later + 120, True) == 120


def test_clock_is_not_corrected_during_a_trip():
    budget = ClockBudget()
    raises(ClockRefused, budget.correct, NOW, NOW + 1, False)
    assert budget.correct(NOW, NOW, False) == 0
    assert budget.used_s(NOW) == 0


def test_clock_budget_survives_power_loss():
    budget = ClockBudget()
    budget.correct(NOW, NOW + 70, True)
    again = ClockBudget(budget.pack())
    assert again.used_s(NOW + 100) == 70
    raises(ClockRefused, again.correct, NOW, NOW + 51, True)
    again.set_under_seal()
    assert again.correct(NOW, NOW + 51, True) == 51
    raises(ValueError, ClockBudget, b"short")


def test_clock_corrections_are_bounded_in_number():
    budget = ClockBudget()
    for i in range(8):
        budget.correct(NOW + i, NOW + i + 1, True)
    raises(ClockRefused, budget.correct, NOW + 9, NOW + 10, True)
    assert len(budget.pack()) == clock_budget.SIZE


def test_constant_from_a_stretch():
    # 1,000 pulses over 1 km and an aim of -0.5 %: the meter then shows 995 m.
    assert calibration.constant(1000, 1000000) == 1005
    assert calibration.constant(1000, 1000000, 0) == 1000
    error = calibration.reading_error_ppm(1005, 1000, 1000000)
    assert -5000 <= error <= -4900 and calibration.within_band(error)
    assert calibration.reading_error_ppm(1000, 1010, 1000000) == 10000
    assert calibration.within_band(10000) and not calibration.within_band(10001)
    assert calibration.within_band(-40000) and not calibration.within_band(-40001)


def test_constant_is_within_the_band_for_any_wheel():
    for pulses in (500, 531, 999, 12345, 65000):
        k = calibration.constant(pulses, 1000000)
        assert -6000 < calibration.reading_error_ppm(k, pulses, 1000000) < -4000


def test_bad_calibrations():
    error = calibration.CalibrationError
    raises(error, calibration.constant, 1000, 199000)
    raises(error, calibration.constant, 499, 1000000)
    raises(error, calibration.constant, 1000, 1000000, 10001)
    raises(error, calibration.constant, 1000, 1000000, -40001)
    raises(error, calibration.constant, 70000, 1000000)
    raises(error, calibration.constant, 500, 10000000)


def test_totals_are_the_bytes_of_the_record():
    totals = Totals()
    for _ in range(3):
        totals.add_distance(9999999, True)
    totals.add_distance(5, False)
    totals.add_hiring()
    totals.add_trip(2580, 600)
    totals.add_card_payment(3180)
    packed = totals.pack()
    assert len(packed) == SIZE == 48
    assert packed[:8] == (3000000).to_bytes(8, "little")  # 3 km and 2/10 mm, in whole mm
    assert packed[8:16] == (2999999).to_bytes(8, "little")
    assert packed[16:20] == b"\x01\0\0\0" and packed[20:22] == (600).to_bytes(2, "little")
    assert packed[28:30] == (2580).to_bytes(2, "little") and packed[36] == 1
    assert packed[40:42] == (3180).to_bytes(2, "little")
    assert Totals.unpack(packed).pack() == packed


def test_totals_never_shrink():
    totals = Totals()
    totals.add_trip(100, 0)
    older = totals.pack()
    totals.add_trip(100, 50)
    totals.add_distance(123456789, True)
    newer = totals.pack()
    totals.raise_to(older)
    assert totals.pack() == newer
    for add in (totals.add_trip, totals.add_distance):
        raises(TotalsError, add, -1, 0)
    raises(TotalsError, totals.add_card_payment, -1)
    raises(TotalsError, Totals.unpack, newer + b"\0")
    assert totals.pack() == newer


def test_local_time():
    assert LocalTime(480).offset_s(NOW) == 28800
    assert LocalTime(480).next_change(NOW) == (None, 0)
    london = LocalTime(0, 60, (3, 5, 6, 60), (10, 5, 6, 60))
    change = seconds_from_civil(2027, 3, 28, 1)
    assert london.offset_s(change - 1) == 0 and london.offset_s(change) == 3600
    assert london.next_change(NOW) == (change, 60)
    assert london.next_change(change) == (seconds_from_civil(2027, 10, 31, 1), -60)
    york = LocalTime(-300, 60, (3, 2, 6, 420), (11, 1, 6, 360))
    assert york.offset_s(seconds_from_civil(2026, 3, 8, 6, 59, 59)) == -18000
    assert york.offset_s(seconds_from_civil(2026, 3, 8, 7)) == -14400
    assert york.offset_s(seconds_from_civil(2026, 11, 1, 6)) == -18000


def test_local_time_of_the_south():
    sydney = LocalTime(600, 60, (10, 1, 6, -480), (4, 1, 6, -480))
    assert sydney.offset_s(seconds_from_civil(2026, 1, 10)) == 39600
    assert sydney.offset_s(seconds_from_civil(2026, 7, 10)) == 36000


def test_the_fingerprint_is_that_of_the_files():
    contents = {}
    for name in identity.FILES:
        contents[name] = b"x" + name.encode()
    first = identity.fingerprint(lambda name: (contents[name],))
    assert len(first) == 32 and first == identity.fingerprint(lambda name: (contents[name],))
    for name in identity.FILES:
        changed = dict(contents)
        changed[name] = contents[name] + b" "
        assert identity.fingerprint(lambda name, c=changed: (c[name],)) != first

    class Named:
        name = "hefei"
        version = 3

    lines = identity.describe(lambda name: (contents[name],), Named, 1000)
    assert lines[0] == "flagfall-meter 1.0" and lines[2:] == ("hefei version 3", "k 1000/km")
    assert len(lines[1]) == 16
