"""Tariff files: the catalogue compiles, every mistake is named with its line and rule."""

import re

import pytest
from flagfall.meter.tariff import MAX_SIZE, Tariff, TariffError
from flagfall_host.tariffs import catalogue
from flagfall_host.tariffs.compiler import compile_text, load
from flagfall_host.tariffs.errors import TariffFileError, UnknownTariffError
from flagfall_host.tariffs.lines import find_lines
from flagfall_host.tariffs.schema import read_tariff
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = [name for name in catalogue.names() if name != "huangshan"]
HEFEI = catalogue.tariff_text("hefei")[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_city_compiles_and_loads(name):
    _, text = catalogue.tariff_text(name)
    blob = compile_text(text, name)
    tariff = Tariff(blob)
    assert len(blob) <= MAX_SIZE and tariff.name == name
    file = read_tariff(text, name)
    assert tariff.title == file.title and tariff.version == file.version
    assert tariff.windows == file.windows and tariff.distances == file.distances


def test_every_city_that_is_promised():
    cities = {re.sub(r"-\d{4}$", "", name) for name in catalogue.names()}
    assert cities >= {
        "beijing", "hefei", "huangshan", "hong-kong-urban", "hong-kong-new-territories",
        "hong-kong-lantau", "london", "new-york", "netherlands", "seoul", "shanghai", "shenzhen",
        "singapore", "taipei", "tokyo", "ulsan",
    }  # fmt: skip


def test_huangshan_is_a_template_that_says_what_is_missing():
    _, text = catalogue.tariff_text("huangshan")
    with pytest.raises(TariffFileError) as caught:
        compile_text(text, "huangshan")
    lines = text.splitlines()
    problems = caught.value.problems
    assert [p for p in problems if p.rule == "T08"]
    named = {p.line for p in problems}
    assert named >= {i for i, line in enumerate(lines, 1) if re.search(r'^\w+ = "FILL IN"', line)}


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("format = 1", "format = 2", "T07"),
        ('mode = "partial-D"', 'mode = "P"', "T05"),
        ('currency = "CNY"', 'currency = "XXX"', "T05"),
        ('utc_offset = "+08:00"', 'utc_offset = "8"', "T11"),
        ("threshold_kmh = 12\n", "threshold_kmh = 101\n", "T10"),
        ("threshold_kmh = 12\n", 'threshold_kmh = "fast"\n', "T03"),
        ('from = "23:00"', 'from = "23:60"', "T12"),
        ('amount = "10.00"', 'amount = "10.005"', "T04"),
        ('amount = "10.00"', 'amount = "-1"', "T03"),
        ('amount = "10.00"\n', "", "T02"),
        ("distance_m = 2500", "distance_km = 2.5", "T06"),
        ('when = ["peak-morning", "peak-evening"]', 'when = ["rush"]', "T13"),
        ('step = "0.10"', 'step = "0.001"', "T04"),
        ('step = "0.10"', 'step = "0"', "T15"),
        ("percent = 20", "percent = 301", "T10"),
        ('on = ["flagfall", "distance"]', 'on = ["tip"]', "T05"),
        ('source = "pcauto"', 'source = "hearsay"', "T16"),
        ('certainty = "S"', 'certainty = "A"', "T16"),
        ("per_s = 60", "per_s = 0", "T15"),
        ("distance_m = 2500", "distance_m = 2500\ntime_s = 60", "T18"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_rule(before, after, rule):
    assert before in HEFEI
    text = HEFEI.replace(before, after, 1)
    with pytest.raises(TariffFileError) as caught:
        compile_text(text, "hefei")
    found = [p for p in caught.value.problems if p.rule == rule]
    assert found, caught.value.problems
    at = HEFEI[: HEFEI.index(before)].count("\n") + 1
    assert min(abs(p.line - at) for p in found) <= 4
    assert "Traceback" not in str(caught.value)


def test_text_that_is_not_toml():
    with pytest.raises(TariffFileError) as caught:
        compile_text("format = 1\nname = ", "x")
    (problem,) = caught.value.problems
    assert problem.rule == "T01" and problem.line == 2


def test_a_tariff_that_is_too_large():
    many = "".join(
        f'[[fee]]\namount = {i % 50}\nsource = "pcauto"\ncertainty = "S"\n' for i in range(240)
    )
    with pytest.raises(TariffFileError) as caught:
        compile_text(HEFEI.replace("[sources", many + "[sources"), "x")
    assert caught.value.problems[0].rule == "T19"


def test_an_unknown_name():
    with pytest.raises(UnknownTariffError, match="flagfall tariff list"):
        catalogue.tariff_text("atlantis")


def test_lines_of_keys():
    lines = find_lines('a = 1\n[[row]]\nb = 2\n[[row]]\nb = 3\n[t.u] # x\n"c" = 4\n')
    assert lines[("a",)] == 1 and lines[("row", 1, "b")] == 5 and lines[("t", "u", "c")] == 7


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_garbled_files_get_a_typed_error(data):
    cut = data.draw(st.integers(0, len(HEFEI) - 1))
    length = data.draw(st.integers(0, 40))
    junk = data.draw(st.text(alphabet='ab=[]"\n0.-#', max_size=8))
    text = HEFEI[:cut] + junk + HEFEI[cut + length :]
    try:
        compile_text(text, "x")
    except TariffFileError as e:
        assert e.problems


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.data())
def test_garbled_forms_get_a_typed_error(data):
    """Damage that keeps the CRC right, as a wrong compiler would make it."""
    import struct
    from binascii import crc32

    blob = bytearray(compile_text(HEFEI, "hefei"))
    for _ in range(data.draw(st.integers(1, 3))):
        blob[data.draw(st.integers(0, len(blob) - 5))] = data.draw(st.integers(0, 255))
    blob[-4:] = struct.pack("<I", crc32(bytes(blob[:-4])))
    try:
        tariff = Tariff(bytes(blob))
    except TariffError:
        return
    from flagfall.meter.taximeter import Taximeter
    from flagfall.meter.totals import Totals

    meter = Taximeter(tariff, 1000, Totals())
    meter.advance(0, 0)
    meter.hire(0, 800_000_000)
    for i in range(50):
        meter.advance(i * 3, i * 500)
    meter.stop(25_000)
    assert meter.fare >= 0


def test_dates_are_local_summer_time_too():
    text = catalogue.tariff_text("london-2013")[1]
    tariff = load("london-2013")
    assert tariff.valid_from == read_seconds(2013, 4, 5, 23)  # midnight of 6 April, BST
    assert "valid_from = 2013-04-06" in text


def read_seconds(*when):
    from flagfall.clock import seconds_from_civil

    return seconds_from_civil(*when)
