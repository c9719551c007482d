"""Reports against sums counted while the records were made, and as a person reads them."""

import json
import re
import sys
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flagfall.clock import from_unix, seconds_from_civil
from flagfall_host.cli import report as command
from flagfall_host.ledger import Ledger
from flagfall_host.reports.figures import Figures
from flagfall_host.reports.span import ReportError, Span, day, zone
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))

from fleet_week import DAY, FleetWeek  # noqa: E402
from recorded_unit import CARD, RecordedUnit  # noqa: E402

MIDNIGHT = seconds_from_civil(2026, 3, 2) - 8 * 3600  # of 2 March 2026 in Shanghai
NOW = MIDNIGHT + 22 * 3600
SHANGHAI = zone("Asia/Shanghai")


@pytest.fixture(scope="module")
def week():
    return FleetWeek(MIDNIGHT, units=3, days=13, trips=6)


@pytest.fixture(scope="module")
def trouble(week):
    return week.trouble()


@pytest.fixture(scope="module")
def path(week, trouble, tmp_path_factory):
    path = tmp_path_factory.mktemp("reports") / "ledger.sqlite"
    with Ledger.open(path, now=lambda: NOW) as ledger:
        week.book(ledger, trouble)
        week.settle(ledger, MIDNIGHT - 11 * DAY)
    return path


def figures(path, first="2026-03-02", last="2026-03-02", unit=None, now=NOW):
    with Ledger.open(path, now=lambda: now) as ledger:
        days = [day(text, SHANGHAI, now) for text in (first, last)]
        return Figures(ledger, Span(*days, SHANGHAI), unit).collect()


def test_a_days_sums_are_those_counted_while_driving(path, week):
    found = figures(path)
    last = week.due[week.days - 1]
    totals = found["totals"]
    assert totals["cash"] == last["cash"] and totals["card"] == last["card"]
    assert totals["unpaid"] == 900  # the trip in `trouble`
    assert totals["trips"] == last["trips"] + 1
    assert sum(sum(h.values()) for h in found["hours"]) == totals["fares"] + totals["supplements"]
    by_unit = {u["unit"]: u["fares"] + u["supplements"] for u in found["units"]}
    assert by_unit == {u: due + 900 * (u == "TAXI-1") for u, due in week.by_unit.items()}
    assert (found["currency"], found["minor_digits"]) == ("CNY", 2)


def test_days_of_a_fleet_begin_at_its_own_midnight(path, week):
    found = figures(path, "2026-02-18", "2026-03-02")
    assert [d["cash"] for d in found["days"]] == [week.due[n]["cash"] for n in range(13)]
    assert found["days"][0]["date"] == "2026-02-18"


def test_each_shift_stands_with_its_driver_and_agrees_with_the_unit(path, week):
    shifts = figures(path)["shifts"]
    assert [(s["unit"], s["shift"], s["driver"]) for s in shifts] == [
        (f"TAXI-{n}", 13, f"D{n}") for n in (1, 2, 3)
    ]
    assert all(s["unit_agrees"] and s["end"] for s in shifts)
    assert sum(s["fares"] for s in shifts) == sum(week.by_unit.values())


def test_money_that_waits_is_sorted_by_calendar_days(path, week):
    found = figures(path)["unsettled"]
    ages = {row["age"]: row for row in found["ages"]}
    card = [week.due[day]["card"] for day in range(13)]  # day 12 is today, day 0 twelve days ago
    assert ages["1 to 3 days"]["to_upload"] == sum(card[9:12])
    assert ages["4 to 7 days"]["to_upload"] == sum(card[5:9])
    assert ages["8 to 10 days"]["to_upload"] == sum(card[2:5])
    assert ages["over 10 days"]["to_upload"] == card[1]  # day 0 is settled
    assert found["late"] == card[1] and found["next_deadline"] == "2026-03-01"
    # Of the trouble one torn payment was debited, one repeat stays good.
    assert ages["today"]["to_upload"] == card[12] + 1460 + 2200


def test_every_exception_stands_with_the_records_behind_it(path, trouble):
    found = figures(path)["exceptions"]
    matters = {m["kind"]: m for m in found["matters"]}
    assert set(matters) == {"torn", "disputed", "refused-money", "gap", "refused"}
    assert found["count"] == 5
    for kind in ("torn", "disputed", "refused-money", "gap"):
        assert matters[kind]["first_seq"] == trouble[kind]
    both = [r["seq"] for r in matters["disputed"]["records"]]
    assert both == [trouble["disputed"] - 1, trouble["disputed"]]  # the debit and its repeat
    around = [r["seq"] for r in matters["gap"]["records"]]
    assert around == [trouble["gap"] - 1, trouble["gap"] + 1]
    assert [m["state"] for m in matters["refused-money"]["moves"]] == ["queued", "sent", "refused"]
    assert "CNY 31.00" in matters["refused-money"]["records"][0]["text"]


def test_taps_by_outcome(path):
    found = figures(path)
    by = {}
    for row in found["taps"]:
        by[row["outcome"]] = by.get(row["outcome"], 0) + row["taps"]
    assert by["torn: its answer was not read"] == 3 and by["torn, found debited"] == 1
    assert sum(by.values()) == found["totals"]["taps"]
    money = sum(r["amount"] for r in found["taps"] if r["is_money"])
    assert money == found["totals"]["tap_amount"]


class Outline(HTMLParser):
    """Tags that are open, text, and everything that would be fetched from elsewhere."""

    VOID = frozenset(("meta", "br", "img", "link", "hr"))

    def __init__(self):
        super().__init__()
        self.open, self.text, self.fetched, self.bad = [], [], [], []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.fetched.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.bad.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def typed(path, tmp_path, *words):
    out = tmp_path / "page.html"
    words = [*words, "--ledger", str(path), "--timezone", "Asia/Shanghai"]
    done = CliRunner().invoke(command.app, [*words, "-o", str(out), "--company", "A & <B>"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output, out.read_text()


@pytest.mark.parametrize(
    "words", [("day", "2026-03-02"), ("shift", "TAXI-1", "13"), ("unit", "TAXI-2", "--from",
                                                                  "2026-02-20", "--to",
                                                                  "2026-03-02")]
)  # fmt: skip
def test_a_page_holds_all_it_needs_and_is_well_formed(path, tmp_path, words):
    said, page = typed(path, tmp_path, *words)
    outline = Outline()
    outline.feed(page)
    assert not outline.bad and not outline.open and not outline.fetched
    assert "page.html: " in said and " trips, " in said
    assert "A &amp; &lt;B&gt;" in page and "<B>" not in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        ET.fromstring(svg)  # noqa: S314 - our own page
    assert page.count("<svg") >= 1
    assert not re.search(r"\d{13,19}", "".join(outline.text))  # no PAN, nothing like one


def test_a_page_says_what_the_figures_say(path, tmp_path, week):
    _, page = typed(path, tmp_path, "day", "2026-03-02")
    cash = week.due[12]["cash"]
    assert f"{cash // 100:,}.{cash % 100:02d}" in page
    assert "past the upload deadline" in page and "<code>flagfall ledger resolve TAXI-1" in page
    assert "records are missing in the ledger" in page and "card **** 4711" in page
    assert "Monday, 2 March 2026" in page


def test_as_json(path, tmp_path):
    words = ["day", "2026-03-02", "--json", "--ledger", str(path), "--timezone", "Asia/Shanghai"]
    done = CliRunner().invoke(command.app, words)
    assert json.loads(done.output)["totals"]["trips"] == 19
    assert not list(tmp_path.iterdir())


def test_a_shift_that_goes_on_is_shown_though_the_units_clock_is_ahead(tmp_path):
    unit = RecordedUnit("TAXI-1", time=from_unix(time.time()) + 600)
    unit.event()
    unit.shift(1, shift=4, driver="D4")
    unit.trip(1500, shift=4)
    with Ledger.open(tmp_path / "open.sqlite") as ledger:
        ledger.book(unit.unit_id, unit.raws, unit.key)
    said, page = typed(tmp_path / "open.sqlite", tmp_path, "shift", "TAXI-1")
    assert "1 trips" in said and "still open" in page and "driver D4" in page


def test_each_campaign_stands_apart(tmp_path):
    unit = RecordedUnit("TAXI-1", time=NOW - 3_600)
    unit.event()
    unit.shift(1)
    for fare, discount, campaign in (
        (2000, 500, 7),
        (3000, 600, 12),
        (1000, 250, 7),
        (4000, 0, 0),
    ):
        unit.payment(fare - discount)
        unit.trip(fare, 0, CARD, discount=discount, campaign=campaign)
    with Ledger.open(tmp_path / "ledger.sqlite", now=lambda: NOW) as ledger:
        ledger.book(unit.unit_id, unit.raws, unit.key)
    found = figures(tmp_path / "ledger.sqlite")
    assert found["campaigns"] == [
        {"campaign": 7, "trips": 2, "fares": 3000, "discounts": 750},
        {"campaign": 12, "trips": 1, "fares": 3000, "discounts": 600},
    ]
    assert found["totals"]["discounts"] == 1350
    assert found["totals"]["tap_amount"] == 10_000 - 1350
    _, page = typed(tmp_path / "ledger.sqlite", tmp_path, "day", "2026-03-02")
    assert "Tap campaigns" in page and "7.50" in page and "6.00" in page


def test_an_empty_day_and_an_empty_ledger_say_so(path, tmp_path):
    _, page = typed(path, tmp_path, "day", "2025-01-01")
    assert "No trip and no tap in this period" in page
    with Ledger.open(tmp_path / "empty.sqlite"):
        pass
    _, page = typed(tmp_path / "empty.sqlite", tmp_path, "day")
    assert "Nothing to look into" in page


def test_what_cannot_be_reported_is_said(path, tmp_path):
    for words, match in (
        (("day", "2 March"), "a date is YYYY-MM-DD"),
        (("unit", "TAXI-9"), "there are: TAXI-1, TAXI-2, TAXI-3"),
        (("shift", "TAXI-1", "99"), "no such shift in the ledger; the last ones: 1, 2"),
        (("unit", "TAXI-1", "--from", "2026-03-02", "--to", "2026-03-01"), "is after"),
    ):
        with pytest.raises(ReportError, match=match):
            typed(path, tmp_path, *words)
    with pytest.raises(ReportError, match="cannot be written"):
        typed(path, tmp_path / "no" / "such", "day")
