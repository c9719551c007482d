"""The firmware's meter against the reference in fractions, over random tariffs and drives."""

import os
from fractions import Fraction

from flagfall.meter.tariff import Tariff
from flagfall_host.metering.reference_meter import pulse_times, reference
from flagfall_host.metering.trip_runner import run_trip
from flagfall_host.metering.trips import Trip
from flagfall_host.tariffs.catalogue import names, tariff_text
from flagfall_host.tariffs.compiler import encode
from flagfall_host.tariffs.schema import read_tariff
from flagfall_host.tariffs.tariff_file import TariffFile
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

SOAK = 20 if os.environ.get("FLAGFALL_SOAK") else 1
COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
    "derandomize": True,
    "phases": [Phase.generate],  # a failing drive is short enough as it is
}
NOON = 844_000_000 // 86400 * 86400 + 43200
ALWAYS = (0, 0, 0)

percents = st.sampled_from([10, 20, 25, 30, 50])
steps_m = st.sampled_from([50, 100, 125, 131, 200, 237, 400])
steps_s = st.sampled_from([20, 27, 30, 45, 60, 90])


@st.composite
def tariffs(draw, one_price=False):
    """A tariff of every kind; `one_price`: no windows, so nothing changes by the clock."""
    t = TariffFile(name="random", title="Random", currency="CNY", utc_offset_min=480)
    t.mode = draw(st.sampled_from([0, 1, 2, 2, 3]))
    t.flags = draw(st.sampled_from([0, 1, 2, 3]))
    t.threshold_m_h = draw(st.sampled_from([5000, 10000, 12000, 15330]))
    if t.mode == 0 and draw(st.booleans()):
        t.threshold_m_h = 0
    step = draw(st.sampled_from([10, 20, 50, 100]))
    metres, seconds = draw(steps_m), draw(steps_s)
    t.distances = [(*ALWAYS, 0, 0, step, metres * 10000, step)]
    own = t.mode in (1, 2) and draw(st.booleans())
    t.times = [(*ALWAYS, 0, 0, step, seconds * 1000, step if own else 0)]
    if own and draw(st.booleans()):
        t.flags |= 4
    initial = draw(st.sampled_from([0, 1, 2, 5]))
    joint = t.mode == 0 and initial and draw(st.booleans())
    t.flagfalls = [
        (*ALWAYS, draw(st.integers(0, 2000)), initial * metres * 10000,
         initial * seconds * 1000 if joint else 0)
    ]  # fmt: skip
    if draw(st.booleans()):
        edge = draw(st.sampled_from([600, 1100, 1500]))
        second = draw(steps_m)
        t.distances.append((*ALWAYS, edge * 10000, 0, step, second * 10000, step))
    elif draw(st.booleans()):
        level = t.flagfalls[0][3] + step * draw(st.integers(1, 8))
        t.distances.append((*ALWAYS, 0, level, step, draw(steps_m) * 10000, step))
        if not own:
            t.times.append((*ALWAYS, 0, level, step, draw(steps_s) * 1000, 0))
    if draw(st.booleans()):
        t.free_ms = draw(st.sampled_from([10, 30, 60])) * 1000
    if draw(st.booleans()):
        t.surcharges.append((*ALWAYS, draw(st.sampled_from([1, 2, 3, 7, 14])), draw(percents)))
    if draw(st.booleans()):
        t.fees.append((*ALWAYS, 130, draw(st.integers(0, 1)), 0))
    if draw(st.booleans()):
        t.round_to, t.round_rule = draw(st.sampled_from([(10, 0), (50, 1), (100, 2)]))
    if draw(st.booleans()):
        t.discount_above, t.discount_percent = 1500, 10
    if not one_price:
        minute = 12 * 60 + draw(st.integers(1, 3))
        t.window_names.append("later")
        t.windows.append((minute, minute + draw(st.integers(1, 600)), 255, 0, 65535))
        t.surcharges.append((1, 0, 0, 6, draw(percents)))
        t.fees.append((1, 0, 0, 70, 0, draw(st.integers(0, 1))))
    return t


@st.composite
def even_drives(draw, multiple, constants):
    """k, and runs of (pulses, ms between two) or stands of (0, ms), in multiples of ms."""
    k = draw(st.sampled_from(constants))
    at_100_kmh = 36000 // (k * multiple) + 1
    at_2_kmh = max(at_100_kmh + 1, 1_800_000 // (k * multiple))
    runs = []
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            interval = draw(st.integers(at_100_kmh, at_2_kmh)) * multiple
            runs.append((draw(st.integers(2, 12)) * (4000 // interval + 1), interval))
        else:
            runs.append((0, draw(st.integers(100, 3000)) * multiple))
    return k, runs


def trip_of(tariff, drive, calls):
    k, runs = drive
    trip = Trip(encode(tariff), k, NOON - 480 * 60, calls=calls)
    pulse_um = 10**9 // k
    for pulses, ms in runs:
        um = pulses * pulse_um
        trip.segments.append((pulses * ms if pulses else ms, um, um))
    assume(sum(s[0] for s in trip.segments) < 400_000)
    return trip


@settings(max_examples=120 * SOAK, **COMMON)
@given(tariffs(one_price=True), even_drives(20, [1000, 2000, 4000]))
def test_the_fare_is_exact_where_pulses_fall_on_calls(tariff, drive):
    trip = trip_of(tariff, drive, [20])
    slowest = near_threshold(tariff, trip)
    expected = reference(tariff, trip)
    got = run_trip(trip.job())
    assert got["hired_ms"] == expected.hired_s * 1000
    assert got["distance_mm"] == expected.km * 10**6
    if not slowest:
        if tariff.mode != 1:
            assert got["slow_ms"] == expected.slow_s * 1000
        assert got["fare"] == expected.fare


def near_threshold(tariff, trip):
    """True if a run of pulses is so near a threshold that hysteresis may decide otherwise."""
    row, wait = tariff.distances, tariff.times
    limits = [tariff.threshold_m_h] if tariff.threshold_m_h else []
    if not limits:
        limits = [
            Fraction(d[6] * w[5] * 360 * (100 + pt), w[6] * d[5] * (100 + pd))
            for d in row
            for w in wait
            for pt in (0, *(s[4] for s in tariff.surcharges), sum(s[4] for s in tariff.surcharges))
            for pd in (0, *(s[4] for s in tariff.surcharges), sum(s[4] for s in tariff.surcharges))
        ]
    for ms, um, _ in trip.segments:
        speed = Fraction(um * 3600, ms * 1000)
        if any(Fraction(9, 10) < speed / limit < Fraction(11, 10) for limit in limits):
            return True
    return False


@settings(max_examples=100 * SOAK, **COMMON)
@given(
    tariffs(),
    even_drives(7, [100, 531, 1000, 4000, 20000]),
    st.lists(st.sampled_from([5, 20, 33, 100, 250, 500, 1000]), min_size=1, max_size=6),
    st.integers(0, 999),
)
def test_the_fare_is_within_its_limit_however_it_is_sampled(tariff, drive, calls, phase):
    trip = trip_of(tariff, drive, calls)
    k, runs = drive
    trip.phase_um = phase * (10**9 // k) // 1000
    assume(not near_threshold(tariff, trip))
    expected = reference(tariff, trip)
    got = run_trip(trip.job())
    assert not got["faults"]
    assert got["hired_ms"] == expected.hired_s * 1000
    assert abs(got["distance_mm"] - expected.km * 10**6) <= 1
    # Each change of speed may be seen one call late, and a lone pulse may be hysteresis.
    doubt_s = Fraction(max(calls) * 2 * (len(runs) + 1), 1000) + Fraction(len(runs) * 3600, k * 5)
    if tariff.mode != 1:
        assert abs(got["slow_ms"] - expected.slow_s * 1000) <= doubt_s * 1000
    step = max(row[5] for row in tariff.distances)
    dearest = max(Fraction(row[5] * 2, row[6]) for row in tariff.times)
    digit = max(step, tariff.round_to)
    assert abs(got["fare"] - expected.fare) <= digit + dearest * doubt_s * 1000


@settings(max_examples=60 * SOAK, **COMMON)
@given(tariffs(), even_drives(20, [531, 1000, 4000]))
def test_all_accumulators_stay_below_two_to_the_30(tariff, drive):
    trip = trip_of(tariff, drive, [100])
    job = trip.job()
    top = 1 << 30

    def watch(meter, ms):
        fare, gate = meter._fare, meter._gate
        for counter in (fare.main, fare.own):
            assert -top < counter.fill < top and counter.size < top
            assert 0 <= counter.x_rest < top and 0 <= counter.t_rest < top
        for value in (fare.beyond_x, fare.free_x, fare.hired_x, meter._x_rest, meter._budget):
            assert -top < value < top
        assert -top < gate.lead < top and gate.pending_x < top

    run_trip(job, watch)


def test_an_initial_distance_of_many_steps_stays_below_two_to_the_30():
    from flagfall.meter.fare import Fare

    for metres in (131, 237):
        for seconds in (27, 95):
            for percent in (0, 17, 30):
                t = TariffFile(name="x", title="X", currency="CNY")
                t.distances = [(*ALWAYS, 0, 0, 10, metres * 10000, 10)]
                t.times = [(*ALWAYS, 0, 0, 10, seconds * 1000, 0)]
                t.flagfalls = [(*ALWAYS, 500, 15 * metres * 10000, 15 * seconds * 1000)]
                t.surcharges = [(*ALWAYS, 2, percent)]
                fare = Fare(Tariff(encode(t)))
                fare.begin(0, 0)
                assert -(1 << 30) < fare.main.fill < 0
                assert abs(-fare.main.fill / fare.main.size - 15 * (1 + percent / 100)) < 1e-4


def test_the_longest_trip_stays_below_two_to_the_30():
    """24 h and 2,000 km at every k, on every tariff: the steady state of a 32-bit unit."""
    top = 1 << 30
    for name in names():
        if name == "huangshan":
            continue
        blob = encode(read_tariff(tariff_text(name)[1], name))
        for k in (100, 65535):
            trip = Trip(blob, k, NOON, calls=[1000])
            trip.segments = [(86_400_000, 2 * 10**12, 2 * 10**12)]
            biggest = 0

            def watch(meter, ms):
                nonlocal biggest
                if ms % 1000000 == 0:
                    values = [v for o in (meter, meter._fare, meter._gate, meter._fare.main,
                                          meter._fare.own) for v in vars(o).values()]  # fmt: skip
                    numbers = [abs(v) for v in values if type(v) is int]
                    numbers.remove(meter._start_utc_s)  # set once, at the hire
                    biggest = max(biggest, *numbers)

            result = run_trip(trip.job(), watch)
            assert result["distance_mm"] in range(1_999_990_000, 2_000_000_001)
            assert biggest < top, name


def test_pulse_times_of_a_ramp():
    trip = Trip(b"", 1000).ramp(10, 0, 72)  # 100 m at 2 m/s2
    times, end = pulse_times(trip)
    assert end == 10 and len(times) == 100
    assert all(abs(t * t - n) < Fraction(1, 1000) for n, t in enumerate(times, 1))


def test_the_tariff_given_to_both_is_the_same():
    blob = encode(read_tariff(tariff_text("hefei")[1], "hefei"))
    assert Tariff(blob).name == "hefei"
