"""`flagfall ledger` as a person types it."""

import csv
import json

import pytest
from flagfall.hmac_sha256 import hmac_sha256
from flagfall_host.cli.ledger import app
from flagfall_host.depot.fleet import Fleet
from flagfall_host.ledger import Ledger, LedgerError
from flagfall_host.ledger.listing import LISTS
from recorded_unit import RecordedUnit, a_day
from typer.testing import CliRunner


@pytest.fixture
def path(tmp_path, unit):
    a_day(unit, 6)
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        ledger.book(unit.unit_id, unit.raws, unit.key)
    return path


def run(path, *words, code=0):
    done = CliRunner().invoke(app, [*map(str, words), "--ledger", str(path)])
    if isinstance(done.exception, LedgerError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_status(path):
    text = run(path, "status")
    assert "captured" in text and "trips" in text
    data = json.loads(run(path, "status", "--json"))
    assert data["trips"] == 6 and data["states"]["captured"][0] == 4
    assert data["by_unit"][0]["complete_up_to"] == data["records"]


def test_a_days_rows(path):
    days = {row["end_time"][:10] for row in json.loads(run(path, "list", "trips", "--json"))}
    assert days == {"2026-01-01"}
    assert len(run(path, "list", "trips", "--day", "2026-01-01").splitlines()) == 7
    assert run(path, "list", "trips", "--day", "2025-12-31") == "no trips\n"
    for what in LISTS:
        run(path, "list", what, "--day", "today", "--timezone", "Asia/Shanghai")
    out = path.with_name("day.csv")
    run(path, "export", "trips", out, "--day", "2026-01-01")
    assert len(out.read_text().splitlines()) == 7


def test_status_says_what_is_missing(tmp_path, unit):
    a_day(unit, 2)
    with Ledger.open(tmp_path / "l.sqlite") as ledger:
        ledger.book(unit.unit_id, unit.raws[:2] + unit.raws[3:], unit.key)
    assert f"complete up to record 2 of {unit.seq}: pull it" in run(
        tmp_path / "l.sqlite", "status"
    )


def test_list(path):
    trips = run(path, "list", "trips").splitlines()
    assert len(trips) == 7 and "cash" in trips[1] and "10.00" in trips[1]
    for what in LISTS:
        run(path, "list", what)
    assert len(json.loads(run(path, "list", "payments", "--json"))) == 4
    assert len(json.loads(run(path, "list", "payments", "--json", "--limit", 3))) == 3
    assert "and more" in run(path, "list", "payments", "--limit", 3)
    assert run(path, "list", "refusals") == "no refusals\n"
    with pytest.raises(LedgerError, match="one of trips"):
        run(path, "list", "cards")


def test_show(path, unit):
    assert "PAYMENT" in run(path, "show", unit.unit_id, 4)
    record = json.loads(run(path, "show", unit.unit_id, 4, "--json"))[0]
    assert record["fields"]["last_digits"] == "0011" and record["money"]["state"] == "captured"
    assert "sealed" not in record["fields"] and record["moves"] == []
    with pytest.raises(LedgerError, match="record 999: not in the ledger"):
        run(path, "show", unit.unit_id, 999)


def test_export(path, tmp_path):
    out = tmp_path / "trips.csv"
    assert "6 trips" in run(path, "export", "trips", out)
    with out.open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 6 and rows[0]["start_time"].endswith("Z")
    assert run(path, "export", "trips", "-").replace("\r", "").count("\n") == 7
    with pytest.raises(LedgerError, match="cannot be made"):
        run(path, "export", "trips", out)


def test_check(path):
    assert "nothing is missing" in run(path, "check")
    with Ledger.open(path) as ledger:
        stranger = RecordedUnit("TAXI-2")
        stranger.event()
        ledger.book("TAXI-2", [stranger.raws[0][:-1]], stranger.key)
    assert "TAXI-2 record 1: refused" in run(path, "check", code=1)
    assert json.loads(run(path, "check", "--json", code=1))[0]["kind"] == "refused"
    assert "nothing is missing" in run(path, "check", "--unit", "TAXI-1")


def test_check_with_the_fleets_keys(path, tmp_path):
    fleet = Fleet.create(tmp_path / "fleet")
    true = RecordedUnit("TAXI-3", key=hmac_sha256(fleet.unit_key("TAXI-3"), b"journal"))
    true.event()
    with Ledger.open(path) as ledger:
        ledger.book("TAXI-3", true.raws, true.key)
    words = ("check", "--fleet", tmp_path / "fleet", "--unit")
    assert "nothing is missing" in run(path, *words, "TAXI-3")
    assert "not of this unit's key" in run(path, *words, "TAXI-1", code=1)


@pytest.mark.parametrize("words", [("status",), ("list",), ("check",), ("show", "A", 1)])
def test_a_mistyped_name_is_an_error_and_makes_no_file(tmp_path, words):
    with pytest.raises(LedgerError, match="no ledger there"):
        run(tmp_path / "leger.sqlite", *words)
    assert list(tmp_path.iterdir()) == []
