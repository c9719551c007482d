"""The commands `fare`, `tariff` and `verify` as people call them."""

import json

import pytest
import typer
from flagfall_host.cli import fare, tariff
from flagfall_host.errors import FlagfallError
from flagfall_host.metering import verification
from flagfall_host.metering.report import write_report
from typer.testing import CliRunner

app = typer.Typer()
app.command("fare")(fare.fare)
app.add_typer(tariff.app, name="tariff")


def run(*words):
    return CliRunner().invoke(app, list(words))


def fare_json(*words):
    result = run("fare", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.mark.parametrize("runtime", ["micropython", "cpython"])
def test_fare_as_json(runtime):
    told = fare_json("hefei", "--distance-m", "10000", "--wait-s", "300", "--runtime", runtime)
    assert told["fare_minor"] == 2580 and told["currency"] == "CNY"
    assert told["distance_m"] == 10000 and told["slow_ms"] == 300_000
    assert told["hired_ms"] == 1_020_000 and told["jumps"] == 158
    assert told["surcharges"] == [] and told["supplements_minor"] == 0
    assert told["runtime"] == runtime


def test_fare_with_options_supplements_and_a_start():
    told = fare_json(
        "beijing-2013", "--distance-m", "20000", "--wait-s", "300", "--option", "one-way",
        "--supplement", "booking",
    )  # fmt: skip
    assert told["fare_minor"] == 6115 and told["supplements_minor"] == 500
    assert told["total_minor"] == 6615 and told["options"] == ["one-way"]
    night = fare_json("hefei", "--distance-m", "10000", "--start", "2026-06-03T23:30")
    assert night["fare_minor"] == 3000
    assert night["surcharges"] == [
        {"percent": 20, "on": ["flagfall", "distance"], "why": ["night"]}
    ]
    assert night == fare_json("hefei", "--distance-m", "10000", "--start", "2026-06-03T15:30Z")


def test_fare_of_a_trace(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("t_s,speed_kmh\n0,0\n10,36\n110,36\n120,0\n240,0\n")
    told = fare_json("hefei", "--trace", str(trace))
    assert 1_099 <= told["distance_m"] <= 1_100 and told["hired_ms"] == 240_000
    assert 126_000 <= told["slow_ms"] <= 127_200


def test_fare_for_people():
    result = run("fare", "hefei", "--distance-m", "10000", "--wait-s", "300")
    assert "CNY 25.80" in result.output and "micropython" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("atlantis",),
        ("huangshan",),
        ("hefei", "--distance-m", "far"),
        ("hefei", "--distance-m", "-1"),
        ("hefei", "--wait-s", "90000"),
        ("hefei", "--k", "99"),
        ("hefei", "--start", "noon"),
        ("hefei", "--option", "one-way"),
        ("hefei", "--supplement", "dog"),
        ("hefei", "--runtime", "jython"),
        ("hefei", "--trace", "/nonexistent.csv"),
    ],
)
def test_a_fare_that_cannot_be_asked_for(words):
    result = run("fare", *words)
    assert isinstance(result.exception, FlagfallError)
    assert "\n" not in str(result.exception)


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "t_s,speed_kmh\n0,0\n", "t_s,speed_kmh\n0,0\n0,1\n",
     "t_s,speed_kmh\n0,0\n1,251\n", "t_s,speed_kmh\n0,0\n1,x\n", "t_s,speed_kmh\n0,0\n1\n"],
)  # fmt: skip
def test_a_trace_that_makes_no_sense(text, tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text(text)
    result = run("fare", "hefei", "--trace", str(trace))
    assert isinstance(result.exception, FlagfallError)


def test_tariff_list():
    rows = json.loads(run("tariff", "list", "--json").output)
    assert {"hefei", "tokyo-2022", "huangshan"} <= {row["name"] for row in rows}
    assert "Hefei" in run("tariff", "list").output


def test_tariff_check(tmp_path):
    assert run("tariff", "check", "hefei").exit_code == 0
    bad = tmp_path / "bad.toml"
    bad.write_text('format = 1\nmode = "X"\n')
    result = run("tariff", "check", str(bad))
    assert result.exit_code == 1 and f"{bad}:2:" in result.output and "[T05]" in result.output


def test_tariff_compile_and_chart(tmp_path):
    form, chart = tmp_path / "hefei.bin", tmp_path / "hefei.png"
    assert run("tariff", "compile", "hefei", "-o", str(form)).exit_code == 0
    assert form.read_bytes()[:4] == b"FFT1"
    assert run("tariff", "chart", "hefei", "-o", str(chart)).exit_code == 0
    assert chart.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_verification_and_its_report(tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "CONSTANTS", (1000,))
    monkeypatch.setattr(verification, "SPEEDS_KMH", (30, 120))
    monkeypatch.setattr(verification, "names", lambda: ["hefei"])
    monkeypatch.setattr(verification, "WLTC", tmp_path / "short.csv")
    (tmp_path / "short.csv").write_text("t_s,speed_kmh\n0,0\n20,50\n60,50\n80,0\n100,0\n")
    outcome = verification.verify()
    assert outcome["passed"] and outcome["sampling_independent"]
    sections = {s["section"]: s["share_of_limit"] for s in outcome["sections"]}
    assert list(sections) == ["distance", "time", "clock", "threshold", "fare"]
    assert max(sections.values()) < 0.5
    report = tmp_path / "report.html"
    write_report(outcome, report)
    assert "maximum permissible" in report.read_text()
    json.dumps(outcome)
