"""`flagfall unit` against a unit in MicroPython on a simulated cable, as processes."""

import json
import random
import signal
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from flagfall_host.bench.cable import Cable
from flagfall_host.bench.cards import catalogue
from flagfall_host.depot.fleet import Fleet
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.tables import RECORDS

sys.path.insert(0, str(Path(__file__).parent))

from unit_on_cable import finish, flagfall, unit_on  # noqa: E402

UNIT = "TEST-1"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet.create(tmp_path_factory.mktemp("keys") / "fleet", "test fleet")


def booked(ledger: Path) -> list[int]:
    question = sa.select(RECORDS.c.seq).where(RECORDS.c.unit_id == UNIT).order_by(RECORDS.c.seq)
    with Ledger.open(ledger) as book, book.reading() as connection:
        return list(connection.execute(question).scalars())


def test_info_says_what_the_unit_is(fleet: Fleet):
    with Cable(baud=921_600) as cable, unit_on(cable.unit, fleet.unit_key(UNIT), 10):
        words = ("unit", "info", "--port", cable.host, "--fleet", fleet.folder)
        code, out, err = finish(flagfall(*words, "--json"))
        assert (code, err) == (0, "")
        fields = json.loads(out)
        assert (fields["unit"], fields["state"]) == (UNIT, "provisioned")
        assert fields["last_seq"] == 10
        code, out, _ = finish(flagfall(*words))
        assert code == 0 and "TEST-1" in out and "provisioned" in out


def test_a_pull_books_everything_and_a_second_one_what_is_new(fleet: Fleet, tmp_path: Path):
    ledger = tmp_path / "ledger.sqlite"
    with Cable(baud=921_600) as cable, unit_on(cable.unit, fleet.unit_key(UNIT), 300):
        words = ("unit", "pull", "--port", cable.host, "--fleet", fleet.folder)
        code, out, err = finish(flagfall(*words, "--ledger", ledger, "--json"))
        assert (code, err) == (0, "")
        fields = json.loads(out)
        assert (fields["records"], fields["receipt_up_to"]) == (300, 300)
        assert fields["sectors_freed"] > 0
        code, out, _ = finish(flagfall(*words, "--ledger", ledger, "--json"))
        assert json.loads(out)["records"] == 1  # the receipt's own record
    assert booked(ledger) == list(range(1, 302))


def test_a_pull_killed_at_ten_points_then_run_whole_books_each_record_once(
    fleet: Fleet, tmp_path: Path
):
    chance = random.Random(2)
    ledger = tmp_path / "ledger.sqlite"
    records = 1_500
    kills = 0
    with Cable(baud=921_600) as cable, unit_on(cable.unit, fleet.unit_key(UNIT), records):
        words = ("unit", "pull", "--port", cable.host, "--fleet", fleet.folder)
        words += ("--ledger", ledger, "--json")
        while kills < 10:
            process = flagfall(*words)
            # From the first byte of the greeting to somewhat more than a batch of records.
            at = cable.to_host.carried + chance.choice((1, 60, 150, 2_000, 70_000, 80_000))
            assert cable.wait_carried(at, 60)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += process.returncode == -signal.SIGKILL
        assert 0 < len(booked(ledger)) < records
        code, out, err = finish(flagfall(*words))
        assert (code, err) == (0, "")
        receipts = json.loads(out)["newest"] - records
    # A pull that goes on begins with the receipt that the one before it owes: a record too.
    assert 0 < receipts <= 10
    assert booked(ledger) == list(range(1, records + receipts + 1))


def test_a_cable_pulled_in_the_middle_then_plugged_in_again(fleet: Fleet, tmp_path: Path):
    ledger = tmp_path / "ledger.sqlite"
    pull_after = 50_000
    with (
        Cable(baud=921_600, pull_after=pull_after) as cable,
        unit_on(cable.unit, fleet.unit_key(UNIT), 700),
    ):
        words = ("unit", "pull", "--fleet", fleet.folder, "--ledger", ledger)
        code, out, err = finish(flagfall(*words, "--port", cable.host))
        assert code == 1 and out == ""
        assert "the port went away" in err and "run the same command again" in err
        assert "Traceback" not in err
        before = booked(ledger)
        assert before == list(range(1, len(before) + 1)) and len(before) > 100
        cable.plug_in()
        code, out, _ = finish(flagfall(*words, "--port", cable.host, "--json"))
        assert code == 0
        assert json.loads(out)["records"] == 700 - len(before) + 1  # and the receipt for those
    assert booked(ledger) == list(range(1, 702))


def test_bit_errors_cost_time_and_nothing_else(fleet: Fleet, tmp_path: Path):
    ledger = tmp_path / "ledger.sqlite"
    with (
        Cable(baud=921_600, bit_errors=1e-5, drops=2e-6, seed=4) as cable,
        unit_on(cable.unit, fleet.unit_key(UNIT), 700),
    ):
        words = ("unit", "pull", "--port", cable.host, "--fleet", fleet.folder)
        code, _, err = finish(flagfall(*words, "--ledger", ledger))
        assert (code, err) == (0, "")
        assert cable.to_host.flipped + cable.to_host.dropped > 0
    assert booked(ledger) == list(range(1, 701))
    with Ledger.open(ledger) as book:
        assert book.check(UNIT) == []


def test_the_speed_goes_up_for_a_pull_and_back_after_it(fleet: Fleet, tmp_path: Path):
    with Cable() as cable, unit_on(cable.unit, fleet.unit_key(UNIT), 300):
        words = ("unit", "pull", "--port", cable.host, "--fleet", fleet.folder)
        code, out, err = finish(flagfall(*words, "--ledger", tmp_path / "a", "--json"))
        assert (code, err) == (0, "")
        assert json.loads(out)["seconds"] < 40_000 * 10 / 115_200  # faster than the base speed
        words = ("unit", "info", "--port", cable.host, "--fleet", fleet.folder)
        assert finish(flagfall(*words))[0] == 0


def test_a_line_that_does_not_carry_the_high_speed_is_used_at_the_low_one(
    fleet: Fleet, tmp_path: Path
):
    ledger = tmp_path / "ledger.sqlite"
    with Cable(good_to=460_800) as cable, unit_on(cable.unit, fleet.unit_key(UNIT), 60):
        words = ("unit", "pull", "--port", cable.host, "--fleet", fleet.folder)
        code, _, err = finish(flagfall(*words, "--ledger", ledger))
        assert (code, err) == (0, "")
        assert cable.to_host.garbled + cable.to_unit.garbled > 0
    assert booked(ledger) == list(range(1, 61))


def test_a_unit_left_at_the_high_speed_is_found(fleet: Fleet, tmp_path: Path):
    ledger = tmp_path / "ledger.sqlite"
    with Cable() as cable, unit_on(cable.unit, fleet.unit_key(UNIT), 900):
        words = ("unit", "pull", "--port", cable.host, "--fleet", fleet.folder)
        process = flagfall(*words, "--ledger", ledger)
        assert cable.wait_carried(30_000, 60)
        process.kill()
        process.communicate()
        code, _, err = finish(flagfall(*words, "--ledger", ledger))
        assert (code, err) == (0, "")
    assert booked(ledger)[:900] == list(range(1, 901))


def test_two_units_at_once_and_one_that_is_not_there(fleet: Fleet, tmp_path: Path):
    ledger = tmp_path / "ledger.sqlite"
    key = fleet.unit_key(UNIT)
    with Cable(baud=921_600) as one, Cable(baud=921_600) as dead, unit_on(one.unit, key, 50):
        words = ("unit", "pull", "--fleet", fleet.folder, "--ledger", ledger, "--json")
        code, out, err = finish(flagfall(*words, "--port", one.host, "--port", dead.host))
        good, bad = json.loads(out)
        if "error" in good:
            good, bad = bad, good
        assert code == 1
        assert good["records"] == 50 and good["port"] == one.host
        assert "no bytes came" in bad["error"]
        assert err.startswith(f"flagfall: {dead.host}: no answer from a unit")
    assert booked(ledger) == list(range(1, 51))


def test_provision_push_time_and_info_of_a_new_unit(fleet: Fleet, tmp_path: Path):
    capk = tmp_path / "keys.txt"
    capk.write_text(catalogue.capk_tlvs()[0].hex())
    with Cable(baud=921_600) as cable, unit_on(cable.unit, None):
        port = ("--port", cable.host, "--fleet", fleet.folder)
        code, out, err = finish(flagfall("unit", "info", *port))
        assert code == 0 and "factory" in out
        code, _, err = finish(flagfall("unit", "pull", *port, "--ledger", tmp_path / "x"))
        assert code == 1 and "flagfall unit provision" in err
        words = ("unit", "provision", *port, "--unit", "NEW-7", "--json")
        code, out, err = finish(flagfall(*words, "--ledger", tmp_path / "none"))
        assert (code, err) == (0, "") and json.loads(out)["epoch"] == 1
        code, _, err = finish(flagfall("unit", "provision", *port, "--unit", "NEW-8"))
        assert code == 1 and "provisioned already, as NEW-7" in err
        assert finish(flagfall("unit", "push", "capk", capk, *port))[0] == 0
        code, out, err = finish(flagfall("unit", "time", *port, "--json"))
        assert code == 0 and json.loads(out)["unit"] == "NEW-7"


def test_another_fleets_key_opens_nothing(fleet: Fleet, tmp_path: Path):
    other = Fleet.create(tmp_path / "other")
    with Cable(baud=921_600) as cable, unit_on(cable.unit, fleet.unit_key(UNIT), 10):
        words = ("unit", "pull", "--port", cable.host, "--ledger", tmp_path / "x")
        code, out, err = finish(flagfall(*words, "--fleet", other.folder))
        assert (code, out) == (1, "")
        assert "does not hold the key" in err and "--fleet" in err and len(err.splitlines()) == 1
        code, out, _ = finish(flagfall("unit", "info", "--port", cable.host))
        assert code == 0 and "TEST-1" in out


def test_ports_that_cannot_be_opened_are_described(fleet: Fleet, tmp_path: Path):
    words = ("unit", "info", "--fleet", fleet.folder, "--port")
    code, _, err = finish(flagfall(*words, "/dev/ttyNONE"))
    assert code == 1 and "no such port" in err
    with Cable() as cable:
        import serial

        with serial.Serial(cable.host, exclusive=True):
            code, _, err = finish(flagfall(*words, cable.host))
        assert code == 1 and "another program is using the port" in err
