"""`flagfall close`: the office's evening in one command, repeated, interrupted, with trouble."""

import os
import subprocess
import sys

import pytest
from flagfall_host.depot.fleet import Fleet
from flagfall_host.ledger import Ledger
from office import PANS, TERMINAL, Host, TapUnit, agree

DATE = "2026-01-01"


@pytest.fixture
def office(tmp_path):
    """A fleet folder, a ledger with four taps under its key, and a configuration file."""
    fleet = Fleet.create(tmp_path / "fleet")
    unit = TapUnit("TAXI-1")
    amounts = [1000 + 311 * i for i in range(4)]
    for n, amount in enumerate(amounts):
        if unit.data_key is None:
            unit.key_record(fleet.private_key.public_key())
        unit.tap(amount, PANS[n % 3])
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.book(unit.unit_id, unit.raws, unit.key)
    return tmp_path, unit, sum(amounts)


def configure(folder, host_port):
    (folder / "flagfall.toml").write_text(
        f'fleet = "fleet"\nledger = "ledger.sqlite"\nacquirer = "127.0.0.1:{host_port}"\n'
        f'terminal = "{TERMINAL.terminal_id}"\nmerchant = "{TERMINAL.merchant_id}"\n'
        'timezone = "Asia/Shanghai"\ncompany = "Example Taxi"\n'
    )


def close(folder):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLAGFALL_")}
    done = subprocess.run(
        [sys.executable, "-m", "flagfall_host.cli.main", "close", DATE, "-o", "day.html"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_day_is_closed_and_closing_it_again_changes_nothing(office):
    folder, _, amount = office
    with Host(folder / "host") as host:
        configure(folder, host.port)
        code, out, err = close(folder)
        assert (code, err) == (0, ""), out + err
        assert "accepted: 4 taps" in out and "settled: batch 1, 4 taps" in out
        assert "day.html: 4 trips, 4 taps, nothing to look into" in out
        page = (folder / "day.html").read_text()
        assert "Example Taxi" in page and "every approved tap is settled" in page
        with Ledger.open(folder / "ledger.sqlite") as ledger:
            agree(ledger, host, 4, amount)
        code, out, _ = close(folder)
        assert code == 0 and "nothing to settle" in out


def test_without_the_acquirer_the_page_is_written_all_the_same(office):
    folder, _, _ = office
    with Host(folder / "host") as host:
        configure(folder, host.port)
    code, out, err = close(folder)
    assert code == 1 and err.startswith("flagfall: ") and "day.html: 4 trips" in out
    assert "past the upload deadline" in (folder / "day.html").read_text()


def test_what_waits_for_a_person_is_said_and_ends_with_1(office):
    folder, unit, _ = office
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        atc = unit.atc
        unit.atc -= 1
        unit.tap(1000 + 311 * 3, PANS[0])  # the debit of the last tap, once more
        ledger.book(unit.unit_id, unit.raws, unit.key)
        assert unit.atc == atc
    with Host(folder / "host") as host:
        configure(folder, host.port)
        code, out, _ = close(folder)
    assert code == 1 and "to look into: TAXI-1 record" in out and "disputed" in out
