"""Every worked fare of tests/vectors/fares.json, by the firmware's engine, on both runtimes."""

import datetime
import json
from fractions import Fraction
from pathlib import Path

import pytest
from flagfall_host.metering.trips import Trip, run_trips
from flagfall_host.tariffs.compiler import compile_tariff, compile_text, load

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "fares.json").read_text())
NAMES = {
    "T1-tokyo-2017": "tokyo-2017",
    "T1-tokyo-2022": "tokyo-2022",
    "T2-hk-urban-2022": "hong-kong-urban-2022",
    "T2-hk-nt-2022": "hong-kong-new-territories-2022",
    "T2-hk-lantau-2022": "hong-kong-lantau-2022",
    "T2-hk-urban-2024": "hong-kong-urban-2024",
    "T2-hk-nt-2024": "hong-kong-new-territories-2024",
    "T2-hk-lantau-2024": "hong-kong-lantau-2024",
    "T3-london-2013-t1": "london-2013",
    "T3-london-2013-t2": "london-2013",
    "T3-london-2013-t3": "london-2013",
    "T4-nyc-250-040": "new-york-2004",
    "T4-nyc-2022": "new-york-2022",
    "T5-nl-delft": "netherlands-2024",
    "T5-nl-2025-max": "netherlands-2025",
    "T9-beijing-2013": "beijing-2013",
    "T10-shanghai-old": "shanghai-older",
    "T11-shenzhen-2024": "shenzhen-2024",
    "T12-hefei": "hefei",
}
HOURS = {"any": 12, "day": 12, "day_offpeak": 12, "evening": 20, "night": 23}


def local(blob_tariff, hour, minute=5, day=25):
    """UTC seconds since 2000 of a local winter time; 25 November 2026 is a Wednesday."""
    when = datetime.datetime(2026, 11, day, hour, minute)
    seconds = int((when - datetime.datetime(2000, 1, 1)).total_seconds())
    return seconds - blob_tariff.utc_offset_min * 60


def trip_of(case, k=10000, blob=None):
    tariff = load(NAMES[case["tariff"]])
    trip = Trip(compile_tariff(NAMES[case["tariff"]]), k, local(tariff, HOURS[case["time"]]))
    if case.get("one_way"):
        trip.options = 1 << tariff.options.index("one-way")
    trip.drive(Fraction(str(case["distance_m"])), 80)
    stand = case.get("slow_s", case.get("wait_s", 0))
    if "trip_s" in case:
        stand = case["trip_s"] - Fraction(sum(s[0] for s in trip.segments), 1000)
    return trip.wait(stand)


@pytest.mark.parametrize("runtime", ["micropython", "cpython"])
def test_every_worked_fare(runtime):
    cases = VECTORS["cases"]
    results = run_trips([trip_of(case) for case in cases], runtime)
    assert all(r["runtime"] == runtime for r in results)
    wrong = [
        (case["tariff"], case["distance_m"], case["expected_minor_units"], result["fare"])
        for case, result in zip(cases, results, strict=True)
        if case["expected_minor_units"] != result["fare"]
    ]
    assert wrong == []
    assert len(cases) == 32


def fares(*trips):
    return [result["fare"] for result in run_trips(list(trips), "micropython")]


@pytest.mark.parametrize(
    ("name", "metres", "before", "after"),
    [
        ("hong-kong-urban-2022", 9000, 190, 130),
        ("hong-kong-new-territories-2022", 8000, 170, 130),
        ("hong-kong-lantau-2022", 20000, 170, 150),
    ],
)
def test_published_distance_of_the_lower_rate(name, metres, before, after):
    blob = compile_tariff(name)
    steps = (-200, -199, 0, 1, 200, 201)
    rows = fares(*(Trip(blob, 1000, local(load(name), 12)).drive(metres + d) for d in steps))
    assert [b - a for a, b in zip(rows, rows[1:], strict=False)] == [before, 0, after, 0, after]


def test_published_crossover_speeds():
    quebec = """
        format = 1
        name = "quebec"
        title = "Quebec"
        version = 1
        currency = "USD"
        utc_offset = "-05:00"
        mode = "S"
        [evidence]
        mode = { source = "s", certainty = "S" }
        [[flagfall]]
        amount = 3
        source = "s"
        certainty = "S"
        [[distance]]
        amount = "1.75"
        step = "0.01"
        source = "s"
        certainty = "S"
        [[time]]
        amount = "0.65"
        source = "s"
        certainty = "S"
        [sources.s]
        text = "iliamnaair.com/topic/taxi-tarif"
    """
    blob = compile_text(quebec)
    # 22.286 km/h: 1 km/h below it only time is charged, 1 km/h above it only distance.
    slow, fast = (Trip(blob, 4000, local(load("london-2013"), 12)) for _ in range(2))
    slow.drive(10000, Fraction("22.2"))
    fast.drive(10000, Fraction("22.4"))
    seconds = Fraction(10000 * 3600, 22200)
    assert fares(slow, fast) == [300 + int(seconds * 65 / 60), 300 + 1750]
    # London, published 10.4 mph; New York, 12 mph.
    mile = Fraction("1.609344")
    for name, mph in (("london-2013", "10.39"), ("new-york-2022", "12")):
        blob, start = compile_tariff(name), local(load(name), 12)
        for factor, slow_part in (("0.99", 1), ("1.01", 0)):
            trip = Trip(blob, 4000, start, calls=[10])
            (result,) = run_trips([trip.drive(3000, Fraction(mph) * mile * Fraction(factor))])
            assert abs(result["slow_ms"] - slow_part * result["hired_ms"]) < 500


def test_published_five_minutes_in_a_beijing_peak():
    blob = compile_tariff("beijing-2013")
    peak = [Trip(blob, 1000, local(load("beijing-2013"), 17)).wait(s) for s in (0, 300)]
    a, b = fares(*peak)
    assert b - a == 460


def test_published_rounding_in_seoul():
    from flagfall.meter.fare import Fare

    fare = Fare(load("seoul-2023"))
    for raw, shown in ((4040, 4000), (4050, 4100)):
        fare.metered, fare.shown = raw, 0
        fare._show()
        assert fare.shown == shown


def exercise(text):
    head = (
        'format = 1\nname = "x"\ntitle = "x"\nversion = 1\nmode = "partial-D"\n'
        'utc_offset = "+00:00"\nthreshold_kmh = 12\n'
    )
    tail = '[evidence]\nmode = { source = "s", certainty = "S" }\n'
    tail += 'threshold_kmh = { source = "s", certainty = "S" }\n[sources.s]\ntext = "exercise"\n'
    return compile_text(head + text.replace("@", 'source = "s"\ncertainty = "S"') + tail)


def test_exercise_with_whole_yuan():
    blob = exercise("""currency = "CNY"
        [rounding]
        to = 1
        rule = "nearest"
        @
        [[flagfall]]
        amount = 6
        distance_m = 2000
        @
        [[distance]]
        amount = "0.80"
        step = "0.01"
        @
        [[distance]]
        from_m = 8000
        amount = "1.20"
        step = "0.01"
        @
        [[time]]
        amount = "0.25"
        @
        """)
    cases = VECTORS["exercises"][0]["cases"]
    trips = [Trip(blob).drive(c["distance_m"]).wait(c["wait_s"]) for c in cases]
    assert fares(*trips) == [c["expected_minor_units"] for c in cases]


def test_exercise_with_an_entry_that_covers_nothing():
    # In that exercise a step is complete before it is charged; its fees stand beside the fare.
    blob = exercise("""currency = "USD"
        [[flagfall]]
        amount = 3
        @
        [[distance]]
        amount = "0.35"
        per_m = 321.8688
        @
        [[time]]
        amount = "0.35"
        @
        [windows.peak]
        from = "16:00"
        to = "20:00"
        days = ["mon", "tue", "wed", "thu", "fri"]
        @
        [[fee]]
        amount = "0.50"
        @
        [[fee]]
        amount = 1
        when = ["peak"]
        @
        """)
    case = VECTORS["exercises"][1]["cases"][0]
    start = datetime.datetime.fromisoformat(case["time"]) - datetime.datetime(2000, 1, 1)
    # k = 15625 / 2: a mile is 12,573 pulses at 7812.5/km; twice that is whole.
    trip = Trip(blob, 15625, int(start.total_seconds()))
    trip.drive(Fraction(str(case["distance_m"])), 60).wait(case["wait_s"])
    assert fares(trip) == [case["expected_minor_units"]]


def test_exercise_counted_in_hops_and_continuously():
    def tariff(step_km, step_min):
        return exercise(f"""currency = "CNY"
        [windows.night]
        from = "22:00"
        to = "06:00"
        @
        [[flagfall]]
        amount = 11
        distance_m = 3000
        @
        [[distance]]
        amount = "2.50"
        step = "{step_km}"
        @
        [[time]]
        amount = "0.80"
        step = "{step_min}"
        @
        [[surcharge]]
        when = ["night"]
        percent = 20
        @
        """)

    noon, night = 12 * 3600, 23 * 3600
    hops, even = tariff("2.50", "0.80"), tariff("0.01", "0.01")
    cases = VECTORS["exercises"][2]["cases"]
    trips = [
        Trip(blob, 1000, when).drive(c["distance_m"]).wait(c["slow_s"])
        for blob, when, c in zip((hops, even, even), (noon, noon, night), cases, strict=True)
    ]
    assert fares(*trips) == [c["expected_minor_units"] for c in cases]


def test_seoul_singapore_taipei_and_ulsan_as_their_rules_say():
    """No worked fare is published for these: computed here by hand from the rules in the files."""

    def trip(name, metres, wait_s=0, hour=12, option=None):
        tariff = load(name)
        options = 1 << tariff.options.index(option) if option else 0
        blob = compile_tariff(name)
        return Trip(blob, 1000, local(tariff, hour), options).drive(metres).wait(wait_s)

    assert fares(
        trip("ulsan", 2000 + 1250, 60),  # 10 steps, 2 steps
        trip("ulsan", 4000, 0, 12, "outside-city"),  # 16 steps at 130 %: 20.8
        trip("seoul-2023", 1600 + 1310),  # 10 steps
        trip("seoul-2023", 1600 + 1310, 0, 23),  # 140 %: 6720 + 14 steps, to the nearest 100
        trip("singapore-2022", 10000),  # 22.5 steps, begun: 23
        trip("singapore-2022", 10000, 45),
        trip("taipei-2023", 1250 + 400, 120),  # 2 and 2 steps
        trip("taipei-2023", 1250, 0, 23),
        trip("new-york-2012", 3218),  # 10 units less the first, the last one begun
    ) == [4500 + 1200, 4500 + 2000, 5800, 8100, 390 + 23 * 24, 390 + 24 * 24, 105, 105, 700]
