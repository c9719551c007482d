"""The demo as a person runs it: the books agree, a seed repeats, no card number leaks."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flagfall_host.bench.cards import catalogue

FLAGFALL = Path(sys.executable).with_name("flagfall")
CARDS = ("ecash", "ecash-8-reads", "expired", "ecash-low")


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        [FLAGFALL, "demo", "--folder", folder, *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run


@pytest.mark.parametrize("seed", ["11", "12", "13"])
def test_three_books_agree(tmp_path: Path, seed: str) -> None:
    run = run_demo(tmp_path / "demo", "--json", "--seed", seed)
    lines = run.stdout.splitlines()
    assert len(lines) == 1, "one JSON object and nothing else"
    figures = json.loads(lines[0])
    fares = sum(t["fare_minor"] for t in figures["trips"])
    taps = [t["fare_minor"] for t in figures["trips"] if t["paid"] == "card"]
    assert [t["paid"] for t in figures["trips"]] == ["card", "cash", "card"]
    assert figures["unit"]["fares"] == figures["ledger"]["fares"] == fares
    assert figures["acquirer"] == {
        "payments": 2,
        "amount": sum(taps),
        "settled_payments": 2,
        "settled_amount": sum(taps),
    }
    assert figures["unit"]["card_amount"] == figures["ledger"]["settled_amount"] == sum(taps)
    assert figures["journal_used_bytes"][1] < figures["journal_used_bytes"][0]
    assert figures["freed_sectors"] >= 1
    # Every trip covers at least the flagfall of the Hefei tariff.
    assert all(t["fare_minor"] >= 1000 for t in figures["trips"])


def test_the_shift_by_4g_comes_to_the_same(tmp_path: Path) -> None:
    run = run_demo(tmp_path / "demo", "--uplink", "--seed", "11")
    assert "the carrier is lost in the middle of the call" in run.stdout
    assert run.stdout.splitlines()[-1].endswith("unit, ledger and acquirer agree")
    # The same shift to the fen as on the cable: only the way of the records is another.
    cable = run_demo(tmp_path / "cable", "--seed", "11")
    assert run.stdout.splitlines()[-1] == cable.stdout.splitlines()[-1]


def test_a_shift_in_chinese_comes_to_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    run = run_demo(folder, "--language", "zh-CN", "--seed", "11")
    slips = [p.read_text() for p in sorted((folder / "taxi" / "receipts").glob("*.txt"))]
    assert [("出租汽车小票" in slip, "交班小结" in slip) for slip in slips] == [
        (True, False)
    ] * 3 + [(False, True)]
    english = run_demo(tmp_path / "english", "--seed", "11")
    assert run.stdout.splitlines()[-1] == english.stdout.splitlines()[-1]


def test_a_seed_repeats_exactly(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = json.loads(run_demo(folder, "--json", "--seed", "21").stdout)
    texts = {p.name: p.read_text() for p in (folder / "taxi" / "receipts").glob("*.txt")}
    second = json.loads(run_demo(folder, "--json", "--seed", "21").stdout)
    assert texts == {p.name: p.read_text() for p in (folder / "taxi" / "receipts").glob("*.txt")}
    assert len(texts) == 4
    for figures in (first, second):
        figures.pop("heap_peak_bytes")  # what the collector left, not what the shift came to
    assert first == second


def test_a_relative_and_a_long_folder(tmp_path: Path) -> None:
    for folder in (Path("here"), tmp_path / ("deep-" * 20) / ("deeper-" * 12)):
        run = subprocess.run(
            [FLAGFALL, "demo", "--json", "--folder", folder],
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            cwd=tmp_path,
        )
        assert run.returncode == 0, run.stderr[-2000:]


def test_what_it_leaves_and_the_last_line(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    run = run_demo(folder, "--seed", "31")
    assert re.fullmatch(
        r"settled: 3 trips, 2 taps, CNY \d+\.\d\d; unit, ledger and acquirer agree",
        run.stdout.splitlines()[-1],
    )
    receipts = folder / "taxi" / "receipts"
    assert sorted(p.name for p in receipts.iterdir()) == sorted(
        f"receipt-{n:02d}.{kind}" for n in (1, 2, 3, 4) for kind in ("png", "txt")
    )
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in receipts.glob("*.png"))
    for name in ("taxi/journal.flash", "ledger.sqlite", "acquirer.sqlite"):
        assert (folder / name).stat().st_size > 0
    assert (folder / "taxi" / "unit.log").read_text() == "", "the unit printed an error"
    for text in receipts.glob("*.txt"):
        if "RECEIPT" in text.read_text():
            assert "UNCERTIFIED REFERENCE DESIGN" in text.read_text()
    _no_card_number_in(folder, run.stdout + run.stderr)


def _no_card_number_in(folder: Path, printed: str) -> None:
    """No PAN in any file or line, as text or as BCD. Track 2 begins with the PAN."""
    pans = [pan for name in CARDS for pan in _pans(name)]
    assert len(pans) >= len(CARDS)
    everything = {"printed": printed.encode()}
    for path in folder.rglob("*"):
        if path.is_file():
            everything[str(path)] = path.read_bytes()
    for name, data in everything.items():
        for pan in pans:
            assert pan.encode() not in data, f"a PAN as text in {name}"
            packed = bytes.fromhex(pan + "f" * (len(pan) % 2))
            assert packed not in data, f"a PAN as BCD in {name}"


def _pans(name: str) -> list[str]:
    """The card's PAN, from the catalogue's personalisation."""
    pans = [person.pan for person in catalogue.persons(name)]
    assert all(re.fullmatch(r"62\d{14,17}", pan) for pan in pans)
    return pans
