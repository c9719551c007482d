# The taximeter on whole trips: positions, distance, time, two cities, faults, power.
# MIT licence, (c) 2026 The Flagfall contributors.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

from expect import raises  # noqa: E402
from flagfall.meter import taximeter as tm  # noqa: E402
from flagfall.meter.tariff import Tariff  # noqa: E402
from flagfall.meter.totals import Totals  # noqa: E402
from meter_forms import HEFEI, HONG_KONG, NOON, Drive, pack  # noqa: E402


def fare_of(tariff, metres, wait_s=0, **how):
    drive = Drive(pack(**tariff), **how).metres(metres)
    if wait_s:
        drive.go(wait_s * 1000)
    return drive.stop().fare


def test_hefei_worked_fares():
    assert fare_of(HEFEI, 10000, 300) == 2580
    assert fare_of(HEFEI, 15000) == 3800
    assert fare_of(HEFEI, 2500, 180) == 1000
    assert fare_of(HEFEI, 2500, 180 + 15) == 1010


def test_hefei_peak_and_night():
    assert fare_of(HEFEI, 10000, 300, utc_s=NOON + 6 * 3600) == 2500 + 120
    assert fare_of(HEFEI, 10000, utc_s=NOON + 12 * 3600) == 1200 + 1800


def test_hong_kong_steps_begin_charged():
    expected = {2000: 2700, 2001: 2890, 9000: 9350, 9001: 9480, 10000: 10000}
    for metres in expected:
        assert fare_of(HONG_KONG, metres) == expected[metres], metres


def test_hong_kong_waiting():
    assert fare_of(HONG_KONG, 2000, 60) == 2890
    assert fare_of(HONG_KONG, 2000, 61) == 3080
    assert fare_of(HONG_KONG, 9000, 120) == 9350 + 260


def test_night_begins_within_a_trip():
    # 22:54 for 12 min at 50 km/h: 5 km by day, 5 km by night.
    fare = fare_of(HEFEI, 10000, utc_s=NOON + 10 * 3600 + 54 * 60)
    assert fare == 1000 + 2500 * 2 // 10 + 5000 * 24 // 100


def test_positions():
    drive = Drive(pack(**HEFEI))
    meter = drive.meter
    assert meter.position == tm.HIRED and meter.fare == 1000
    for wrong in (meter.clear, meter.resume):
        raises(tm.MeterError, wrong, drive.ms())
    raises(tm.MeterError, meter.hire, drive.ms(), NOON)
    drive.metres(5000)
    drive.stop()
    fare = meter.fare
    assert meter.position == tm.STOPPED and fare == 1500
    drive.go(600000, 300000)
    assert meter.fare == fare and meter.distance_mm == 5300000
    assert meter.hired_ms == 360000
    meter.resume(drive.ms())
    drive.metres(1000)
    drive.stop()
    assert meter.fare == 1700
    meter.add_supplement(500)
    assert meter.fare == 1700 and meter.total == 2200
    meter.clear(drive.ms())
    assert meter.position == tm.FOR_HIRE and meter.fare == 0 and meter.total == 0
    assert meter.distance_mm == 0 and meter.hired_ms == 0
    totals = meter.totals
    assert (totals.fares, totals.supplements, totals.hirings) == (1700, 500, 1)
    assert totals.distance_mm == 6300000 and totals.hired_distance_mm == 6000000
    drive.go(60000, 500000)
    assert totals.distance_mm == 6800000 and totals.hired_distance_mm == 6000000


def test_supplement_limits():
    meter = tm.Taximeter(Tariff(pack()), 1000, Totals())
    raises(tm.MeterError, meter.add_supplement, 1)
    meter.hire(0, NOON)
    raises(tm.MeterError, meter.add_supplement, -1)
    raises(tm.MeterError, meter.add_supplement, 1000000000)


def test_constant_limits():
    for k in (0, 99, 65536):
        raises(tm.MeterError, tm.Taximeter, Tariff(pack()), k, Totals())


def test_unknown_option():
    meter = tm.Taximeter(Tariff(pack(options=("one-way",))), 1000, Totals())
    raises(tm.MeterError, meter.hire, 0, NOON, 2)
    meter.hire(0, NOON, 1)
    assert meter.options == 1


def test_odd_constant_loses_nothing():
    # 531 pulses/km: a pulse is 1883.2391... mm; 100 km in pieces is 100 km to a pulse.
    drive = Drive(pack(**HEFEI), k=531)
    drive.metres(100000, 60)
    assert drive.meter.pulses_hired == 53100
    assert drive.meter.distance_mm == 100000000
    assert drive.meter.totals.distance_mm == 100000000


def test_ticks_wrap():
    plain = fare_of(HEFEI, 10000, 300)
    assert fare_of(HEFEI, 10000, 300, ticks=0x3FFFFFFF - 400000) == plain


def test_sampling_does_not_matter():
    for step in (10, 100, 137, 500):
        assert fare_of(HEFEI, 10000, 300, step=step) == 2580
        assert fare_of(HONG_KONG, 9000, 120, step=step) == 9610


def test_counter_restart_is_noticed_and_not_charged():
    drive = Drive(pack(**HEFEI)).metres(5000)
    drive.base = -drive.mm // 1000
    drive.call()
    assert drive.meter.take_faults() == [(tm.FAULT_COUNTER, 10000)]
    drive.metres(5000)
    assert drive.stop().fare == 2500 and not drive.meter.faults


def test_overspeed_is_noticed_and_not_charged():
    drive = Drive(pack(**HEFEI)).metres(5000)
    drive.go(10000, 1000000)  # 360 km/h
    drive.metres(5000)
    faults = drive.meter.take_faults()
    assert [f[0] for f in faults] == [tm.FAULT_OVERSPEED]
    # The first half second is within the allowance for stalls, the rest is not taken.
    assert 10000000 <= drive.meter.distance_mm < 10150000


def test_240_kmh_is_no_fault():
    for step in (10, 100, 500, 1000):
        drive = Drive(pack(**HEFEI), k=20000, step=step)
        drive.metres(20000, 240)
        assert drive.meter.distance_mm == 20000000 and not drive.meter.faults


def test_clock_jump_is_noticed_and_not_charged():
    for leap in (3600000, -5000):
        drive = Drive(pack(**HEFEI)).metres(10000)
        drive.ticks += leap
        drive.go(300000)
        assert drive.meter.take_faults() == [(tm.FAULT_CLOCK, leap + 100)]
        assert abs(drive.stop().hired_ms - 1019900) <= 100


def test_power_dip_resumes():
    whole = Drive(pack(**HEFEI)).metres(7000)
    drive = Drive(pack(**HEFEI)).metres(3000)
    snapshot = drive.meter.snapshot()
    assert len(snapshot) == tm.SNAPSHOT_SIZE
    again = tm.Taximeter(Tariff(pack(**HEFEI)), 1000, Totals())
    again.restore(snapshot, 17, 99, 15000)
    assert again.snapshot()[:12] == snapshot[:12] and again.fare == drive.meter.fare
    drive.meter = again
    drive.base, drive.ticks = 17 - 3000, 99 - drive.now
    drive.metres(4000)
    assert drive.stop().fare == whole.stop().fare
    assert drive.meter.hired_ms == whole.meter.hired_ms
    assert drive.meter.totals.pack() == whole.meter.totals.pack()
    raises(tm.MeterError, again.restore, snapshot, 0, 0, 0)


def test_snapshot_of_another_tariff_is_refused():
    snapshot = Drive(pack(**HEFEI)).meter.snapshot()
    other = tm.Taximeter(Tariff(pack(**HONG_KONG)), 1000, Totals())
    raises(tm.MeterError, other.restore, snapshot, 0, 0, 0)
    raises(tm.MeterError, other.restore, snapshot[1:], 0, 0, 0)
    same = tm.Taximeter(Tariff(pack(**HEFEI)), 1001, Totals())
    raises(tm.MeterError, same.restore, snapshot, 0, 0, 0)
    assert same.position == tm.FOR_HIRE and same.totals.pack() == Totals().pack()


def test_interrupt_closes_at_the_last_fare():
    drive = Drive(pack(**HEFEI)).metres(7000)
    again = tm.Taximeter(Tariff(pack(**HEFEI)), 1000, Totals())
    again.restore(drive.meter.snapshot(), 0, 0, 900000)
    assert again.fare == 1900
    again.interrupt()
    assert again.position == tm.FOR_HIRE and again.totals.fares == 1900
