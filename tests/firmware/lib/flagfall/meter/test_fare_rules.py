# Rule by rule: what a tariff may say and what the meter then charges, all by hand-worked figures.
# MIT licence, (c) 2026 The Flagfall contributors.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

from expect import raises
from flagfall.meter.tariff import Tariff, TariffError, in_force
from meter_forms import ALL_DAYS, HEFEI, HONG_KONG, NOON, Drive, pack

NEVER_SLOW = {"times": (), "flagfalls": ((0, 0, 0, 1000, 0, 0),)}
HUNDRED = {"distances": ((0, 0, 0, 0, 0, 50, 1000000, 50),)}  # 0.50 for 100 m
LATER = (721, 1440, ALL_DAYS, 0, 65535)  # from 12:01


def join(*parts):
    whole = {}
    for part in parts:
        whole.update(part)
    return pack(**whole)


def drive(*parts, **how):
    return Drive(join(*parts), **how)


def test_a_completed_step_is_charged_when_it_is_complete():
    trip = drive(NEVER_SLOW, HUNDRED).metres(99)
    assert trip.meter.fare == 1000
    assert trip.metres(1).meter.fare == 1050
    assert trip.metres(100).meter.fare == 1100


def test_a_step_charged_in_advance_is_charged_when_it_begins():
    trip = drive(NEVER_SLOW, HUNDRED, {"flags": 2})
    assert trip.meter.fare == 1000
    assert trip.metres(1).meter.fare == 1050
    assert trip.metres(99).meter.fare == 1050
    assert trip.metres(1).meter.fare == 1100


def test_exactly_at_the_threshold_time_does_not_count():
    # 12 km/h at 1,000 pulses/km is a pulse every 300 ms, exactly.
    at = drive(HEFEI, step=300).go(60000, 200000)
    assert at.stop().slow_ms == 0
    at = drive(HEFEI, {"flags": 1}, step=300).go(60000, 200000)
    assert at.stop().slow_ms == 60000


def test_just_below_and_above_the_threshold():
    below = drive(HEFEI, step=100).go(300000, 990000).stop()
    assert 299500 <= below.slow_ms <= 300000
    above = drive(HEFEI, step=100).go(300000, 1010000).stop()
    assert above.slow_ms <= 500


def test_a_change_of_price_keeps_the_part_of_the_step():
    # 60 % of a step by 12:01, then 100 m at double price are 2 steps more: 2.6 steps.
    tariff = join(
        NEVER_SLOW,
        {
            "distances": (
                (0, 0, 0, 0, 0, 50, 1000000, 50),
                (1, 0, 0, 0, 0, 50, 500000, 50),
            ),
            "windows": (LATER,),
        },
    )
    trip = Drive(tariff).go(60000, 60000)
    assert trip.meter.fare == 1000
    trip.metres(20)
    assert trip.meter.fare == 1050
    trip.metres(80)
    assert trip.stop().fare == 1100


def test_a_fare_band_begins_at_the_new_price():
    # 0.50 for 95 m; from 10.50 on 0.30 for 25 m, in steps of 0.50: the second is full at 136.7 m.
    tariff = join(
        NEVER_SLOW,
        {
            "distances": (
                (0, 0, 0, 0, 0, 50, 950000, 50),
                (0, 0, 0, 0, 1050, 30, 250000, 50),
            )
        },
    )
    trip = Drive(tariff, step=100000).metres(100)
    assert trip.meter.fare == 1050
    assert trip.metres(36).meter.fare == 1050
    assert trip.metres(1).meter.fare == 1100


def test_a_distance_band_begins_within_a_pulse():
    # 95 m at 0.50 for 100 m, then 0.50 for 10 m: 120 m are 0.475 + 1.25 = 1.725.
    tariff = join(
        NEVER_SLOW,
        {
            "distances": (
                (0, 0, 0, 0, 0, 50, 1000000, 1),
                (0, 0, 0, 950000, 0, 50, 100000, 1),
            )
        },
    )
    assert Drive(tariff, k=100).metres(100).meter.fare == 1072
    assert Drive(tariff, k=100).metres(120).meter.fare == 1172


def test_free_time_is_used_up_once():
    trip = drive(HEFEI).go(170000)
    assert trip.meter.fare == 1000
    trip.go(1000, 20000)
    trip.go(70000)
    assert trip.stop().fare == 1040


def test_initial_distance_is_used_up_once():
    trip = drive(HEFEI)
    for _ in range(26):
        trip.metres(100)
    assert trip.stop().fare == 1020


def test_mode_s_charges_time_or_distance_never_both():
    # 6 km/h is half the cross-over speed of Hong Kong: 20 min of time, not 2 km more.
    trip = drive(HONG_KONG, k=4000).metres(2000)
    trip.metres(2000, 6)
    assert trip.stop().fare == 2700 + 20 * 190
    # 24 km/h is twice that speed: 2 km of distance, not 5 min more.
    trip = drive(HONG_KONG, k=4000).metres(2000)
    trip.metres(2000, 24)
    assert trip.stop().fare == 2700 + 10 * 190


def test_mode_d_charges_both_all_the_time():
    tariff = join(
        {
            "mode": 1,
            "threshold": 0,
            "flagfalls": ((0, 0, 0, 289, 0, 0),),
            "distances": ((0, 0, 0, 0, 0, 212, 10000000, 1),),
            "times": ((0, 0, 0, 0, 0, 35, 60000, 0),),
        }
    )
    trip = Drive(tariff).metres(7000)
    trip.go(900000 - trip.now)
    assert trip.stop().fare == 2298


def test_waiting_only():
    trip = drive(HEFEI, {"mode": 3, "free_ms": 0}).metres(10000)
    assert trip.meter.fare == 1000
    assert trip.go(60000).stop().fare == 1040


def test_time_with_steps_of_its_own():
    own = {"times": ((0, 0, 0, 0, 0, 80, 90000, 80),), "free_ms": 0}
    trip = drive(HEFEI, own).go(89900)
    assert trip.meter.fare == 1000
    assert trip.go(100).meter.fare == 1080
    trip = drive(HEFEI, own, {"flags": 4}).go(90000)
    assert trip.meter.fare == 1080
    assert trip.go(400).meter.fare == 1160


def test_surcharges_add_up_to_their_cap():
    both = {"surcharges": ((0, 0, 0, 2, 40), (0, 0, 0, 7, 30)), "options": ("x",)}
    trip = drive(NEVER_SLOW, HUNDRED, both).metres(1000)
    assert trip.meter.fare == 1300 + 500 * 170 // 100
    trip = drive(NEVER_SLOW, HUNDRED, both, {"cap": 60}).metres(1000)
    assert trip.meter.fare == 1300 + 500 * 160 // 100


def test_a_shortened_initial_distance():
    short = {"surcharges": ((0, 0, 0, 8, 25),), "flagfalls": ((0, 0, 0, 1000, 1000000, 0),)}
    trip = drive({"times": ()}, HUNDRED, short).metres(179)
    assert trip.meter.fare == 1000
    assert trip.metres(1).meter.fare == 1050


def test_options_choose_rows():
    rows = {
        "options": ("one-way",),
        "distances": (
            (0, 0, 0, 0, 0, 50, 1000000, 50),
            (0, 1, 0, 500000, 0, 50, 500000, 50),
            (0, 0, 1, 500000, 0, 50, 2000000, 50),
        ),
    }
    assert drive(NEVER_SLOW, rows, options=1).metres(100).meter.fare == 1050
    assert drive(NEVER_SLOW, rows, options=1).metres(200).meter.fare == 1150
    assert drive(NEVER_SLOW, rows).metres(250).meter.fare == 1050


def test_fees():
    fees = {
        "windows": (LATER,),
        "fees": (
            (0, 0, 0, 100, 0, 0),
            (0, 0, 0, 50, 1, 0),
            (1, 0, 0, 30, 0, 0),
            (1, 0, 0, 7, 0, 1),
        ),
    }
    trip = drive(NEVER_SLOW, fees)
    assert trip.meter.fare == 1100 and trip.meter.supplements == 50 and trip.meter.total == 1150
    trip.go(60000)
    assert trip.meter.fare == 1107
    assert drive(NEVER_SLOW, fees, utc_s=NOON + 60).meter.fare == 1137


def test_what_held_at_hire_may_hold_to_the_end():
    late = NOON + 10 * 3600 + 54 * 60  # 22:54
    trip = drive(HEFEI, {"flags": 8}, utc_s=late).metres(10000)
    assert trip.stop().fare == 2500


def test_rounding_and_discount():
    rows = {"distances": ((0, 0, 0, 0, 0, 1, 1000, 1),)}  # 0.10 a metre
    for rule, fares in ((0, [1000, 1050, 1050]), (1, [1000, 1050, 1100]), (2, [1050, 1050, 1100])):
        shown = []
        for metres in (2, 5, 8):
            trip = drive(NEVER_SLOW, rows, {"rounding": (50, rule)}).metres(metres)
            shown.append(trip.meter.fare)
        assert shown == fares, rule
    trip = drive(NEVER_SLOW, rows, {"discount": (1500, 10)}).metres(100)
    assert trip.meter.fare == 1500 + 450


def test_holidays_and_weekdays():
    day = NOON // 86400
    windows = ((0, 1440, 0x80, 0, 65535), (0, 1440, 2, 0, 65535), (0, 1440, 255, day + 1, day + 9))
    rows = {
        "windows": windows,
        "holidays": (day + 7,),
        "flagfalls": (
            (0, 0, 0, 1, 0, 0),
            (2, 0, 0, 2, 0, 0),
            (4, 0, 0, 3, 0, 0),
            (1, 0, 0, 4, 0, 0),
        ),
    }
    fares = [drive(rows, utc_s=NOON + d * 86400).meter.fare for d in (-1, 0, 1, 7, 14)]
    assert fares == [1, 2, 3, 4, 2]


def test_summer_time_begins_within_a_trip():
    # London, 28 March 2027, 01:00 UTC: the clock goes from 01:00 to 02:00.
    rows = {
        "offset": 0,
        "summer": (60, 3, 5, 6, 60, 10, 5, 6, 60),
        "windows": ((120, 180, ALL_DAYS, 0, 65535),),
        "fees": ((1, 0, 0, 5, 0, 1),),
    }
    moment = 859510800
    trip = drive(NEVER_SLOW, rows, utc_s=moment - 120).go(119900)
    assert trip.meter.fare == 1000 and trip.meter.local_minute == 59
    trip.go(100)
    assert trip.meter.fare == 1005 and trip.meter.local_minute == 120


def test_the_clock_goes_on_through_a_power_dip():
    trip = drive(HEFEI, utc_s=NOON + 10 * 3600 + 59 * 60 + 50).go(5000)
    from flagfall.meter.taximeter import Taximeter
    from flagfall.meter.totals import Totals

    again = Taximeter(Tariff(join(HEFEI)), 1000, Totals())
    again.restore(trip.meter.snapshot(), 0, 0, 4000)
    again.advance(0, 900)
    assert not again.night
    again.advance(0, 1000)
    assert again.night and again.hired_ms == 6000


def test_the_fare_never_falls():
    trip = drive(HONG_KONG, k=531)
    last = 0
    for i in range(300):
        trip.go(700, i * 37 % 100 * 30)
        assert trip.meter.fare >= last
        last = trip.meter.fare


def test_bad_forms_are_refused():
    good = pack(**HEFEI)
    Tariff(good)
    for bad in (b"", good[:-1], good + b"\0", b"X" + good[1:], good[:40] + b"\x7f" + good[41:]):
        raises(TariffError, Tariff, bad)
    for wrong in (
        {"mode": 4},
        {"flags": 16},
        {"flagfalls": ()},
        {"flagfalls": ((1, 0, 0, 1000, 0, 0),)},
        {"distances": ()},
        {"distances": ((0, 0, 0, 5, 0, 200, 1000, 10),)},
        {"distances": ((0, 0, 0, 0, 0, 200, 0, 10),)},
        {"distances": ((0, 0, 0, 0, 0, 200, 1000, 0),)},
        {"distances": ((0, 0, 0, 0, 0, 200000, 1000, 1),)},
        {"times": ((0, 0, 0, 0, 0, 1, 1, 1), (0, 0, 0, 0, 0, 1, 1, 0))},
        {"surcharges": ((0, 0, 0, 0, 20),)},
        {"surcharges": ((0, 0, 0, 2, 301),)},
        {"surcharges": ((1, 0, 0, 2, 20),)},
        {"surcharges": ((0, 1, 0, 2, 20),)},
        {"windows": ((0, 1441, 1, 0, 0),)},
        {"windows": ((0, 1440, 0, 0, 0),)},
        {"rounding": (0, 0)},
        {"discount": (0, 101)},
        {"mode": 3, "threshold": 0},
        {"offset": 841},
        {"summer": (60, 13, 1, 0, 0, 1, 1, 0, 0)},
        {"holidays": tuple(range(255)), "name": "x" * 255, "options": ("y" * 255,) * 8},
    ):
        raises(TariffError, Tariff, pack(**wrong))


def test_a_form_with_any_byte_changed_is_refused():
    good = bytearray(pack(**HEFEI))
    for i in range(len(good)):
        good[i] ^= 0x10
        raises(TariffError, Tariff, bytes(good))
        good[i] ^= 0x10


def test_the_version_in_force():
    class Dated:
        def __init__(self, start, end=0):
            self.valid_from, self.valid_until = start, end

    old, new = Dated(0, 300), Dated(200)
    assert in_force((old, new), 100) is old and in_force((new, old), 199) is old
    assert in_force((old, new), 200) is new and in_force((old,), 300) is None
