"""Maintenance staff with the real command, on a cable to the real firmware."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from bench_taxi import Garage, ride
from flagfall.journal.record import length_at, seq_at, slot_bytes
from flagfall_host.bench.cable import Cable
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.shift import DRIVER
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.wheel import read_trace
from flagfall_host.depot.fleet import Fleet
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.tables import RECORDS

FLAGFALL = Path(sys.executable).with_name("flagfall")
KILLS = 10


def flagfall(*arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FLAGFALL, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        **settings,  # type: ignore[call-overload]
    )


def pull_arguments(taxi: Taxi, garage: Garage, ledger: Path) -> list[str]:
    return [
        "unit",
        "pull",
        "--port",
        taxi.port,
        "--fleet",
        str(garage.fleet_folder),
        "--ledger",
        str(ledger),
    ]


def fill(taxi: Taxi, shifts: int) -> None:
    """Write many records: the driver signs out and in again."""
    for _ in range(shifts):
        taxi.press("SIGN", what="the sign-out", driver="")
        taxi.press("SIGN", DRIVER, what="the sign-in", driver=DRIVER)


def rows(ledger: Path) -> list[tuple[int, int]]:
    with Ledger.open(ledger) as book, book.reading() as db:
        return [(r.epoch, r.seq) for r in db.execute(sa.select(RECORDS.c.epoch, RECORDS.c.seq))]


def one_line(run: subprocess.CompletedProcess[str]) -> str:
    """The last line of stderr, after checking that it is a message and no traceback."""
    assert "Traceback" not in run.stderr, run.stderr
    lines = [line for line in run.stderr.splitlines() if line.startswith("flagfall: ")]
    assert len(lines) == 1, run.stderr
    return lines[0]


def test_a_pull_killed_at_ten_points_books_each_record_once(
    garage: Garage, tmp_path: Path
) -> None:
    chance = random.Random(7)
    ledger = tmp_path / "ledger.sqlite"
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        fill(taxi, 60)
        arguments = pull_arguments(taxi, garage, ledger)
        killed = 0
        for _ in range(KILLS):
            start = taxi.cable.to_host.carried
            pull = subprocess.Popen(
                [FLAGFALL, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            # Anywhere from the greeting to the middle of the records.
            taxi.cable.wait_carried(start + chance.randrange(20, 9_000), 30)
            if pull.poll() is None:
                killed += 1
            pull.send_signal(signal.SIGKILL)
            pull.wait()
        assert killed >= KILLS // 2, "the kills came too late to mean anything"
        run = flagfall(*arguments, "--json")
        assert run.returncode == 0, run.stderr
        newest = json.loads(run.stdout)["newest"]
        again = flagfall(*arguments, "--json")
        assert again.returncode == 0
    booked = rows(ledger)
    assert len(booked) == len(set(booked))
    assert {seq for _, seq in booked} >= set(range(1, newest + 1))
    with Ledger.open(ledger) as book:
        assert book.last_seq(UNIT_ID) >= newest
        assert book.check() == []


def test_the_meter_runs_on_while_it_is_pulled(garage: Garage, tmp_path: Path) -> None:
    """The same drive with and without somebody on the cable: the same fare."""
    faces = []
    for name, pulled in (("alone", False), ("pulled", True)):
        with garage.taxi(tmp_path / name) as taxi:
            taxi.unit.power_on()
            fill(taxi, 20)
            taxi.press("HIRED", what="the hire", position="HIRED")
            arguments = pull_arguments(taxi, garage, tmp_path / f"{name}.sqlite")
            done: list[int] = []
            puller = threading.Thread(
                target=lambda a=arguments, d=done: d.append(flagfall(*a).returncode)  # type: ignore[misc]
            )
            if pulled:
                taxi.world.factor = 60  # slow enough for the pull to fall into the drive
                puller.start()
            taxi.drive(read_trace()[1_023:1_263])
            if pulled:
                puller.join()
                assert done == [0]
            taxi.press("STOP", what="the stop", position="STOPPED")
            faces.append((taxi.face["fare"], taxi.face["distance_mm"], taxi.face["waiting_s"]))
    assert faces[0] == faces[1]


def test_a_damaged_record_is_named_and_all_others_are_booked(
    garage: Garage, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        fill(taxi, 5)
        taxi.unit.power_off()
        address = _flip_a_bit_of(taxi.unit.journal, seq=6)
        taxi.unit.power_on()
        arguments = pull_arguments(taxi, garage, ledger)
        run = flagfall(*arguments)
        assert run.returncode not in (0, 1, 2)
        message = one_line(run)
        assert "record 6" in message and f"{address:X}" in message.upper()
        assert "--accept-damaged" in message
        booked = {seq for _, seq in rows(ledger)}
        assert 6 not in booked and set(range(1, 6)) | set(range(7, 12)) <= booked
        with Ledger.open(ledger) as book:
            assert book.last_seq(UNIT_ID) == 5, "no receipt may go past the damage"
        run = flagfall(*arguments, "--accept-damaged", "--json")
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout)["receipt_up_to"] > 6


def _flip_a_bit_of(image: Path, seq: int) -> int:
    data = bytearray(image.read_bytes())
    offset = 32
    while seq_at(data, offset) != seq:
        n = length_at(data, offset, 4096)
        assert n, "the record is in the first sector"
        offset += slot_bytes(n - 36)
    data[offset + 22] ^= 0x10
    image.write_bytes(data)
    return offset


def test_another_fleets_key_changes_nothing(garage: Garage, tmp_path: Path) -> None:
    other = tmp_path / "other"
    Fleet.create(other, "other")
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        before = taxi.unit.journal.read_bytes()
        ledger = tmp_path / "ledger.sqlite"
        for command in (
            ["pull", "--ledger", ledger],
            ["time"],
            ["push", "tariff", "hong-kong-urban-2022"],
        ):
            name, *rest = command
            run = flagfall("unit", name, *rest, "--port", taxi.port, "--fleet", other)
            assert run.returncode != 0
            assert "key" in one_line(run)
        # All that may be new is the audit trail of the wrong key.
        after = taxi.unit.journal.read_bytes()
        assert not ledger.exists() or rows(ledger) == []
        changed = [i for i in range(len(before)) if before[i] != after[i]]
        assert all(before[i] == 0xFF for i in changed)
        run = flagfall("unit", "info", "--port", taxi.port, "--fleet", other)
        assert UNIT_ID in run.stdout + run.stderr


def test_a_tariff_that_makes_no_sense_leaves_the_old_one(garage: Garage, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.bin"
    garbage.write_bytes(random.Random(1).randbytes(300))
    nonsense = tmp_path / "nonsense.toml"
    nonsense.write_text("name = 'x'\nflagfall = 'much'\n")
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        common = ["--port", taxi.port, "--fleet", garage.fleet_folder]
        for file in (garbage, nonsense):
            run = flagfall("unit", "push", "tariff", file, *common)
            assert run.returncode != 0
            assert one_line(run)
        info = json.loads(flagfall("unit", "info", *common, "--json").stdout)
        assert info["tariff"] == "hefei"
        run = flagfall("unit", "push", "tariff", "hong-kong-urban-2022", *common)
        assert run.returncode == 0, run.stderr
        info = json.loads(flagfall("unit", "info", *common, "--json").stdout)
        assert info["tariff"].startswith("hong-kong")


def test_garbage_on_the_cable_is_ignored(garage: Garage, tmp_path: Path) -> None:
    chance = random.Random(3)
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.press("HIRED", what="the hire", position="HIRED")
        fd = os.open(taxi.port, os.O_RDWR | os.O_NOCTTY)
        try:
            for _ in range(40):
                os.write(fd, chance.randbytes(200))
                os.write(fd, b"\xa5\x5a\x01\x04" + chance.randbytes(20))
                taxi.world.run(200)
        finally:
            os.close(fd)
        assert taxi.face["position"] == "HIRED"
        common = ["--port", taxi.port, "--fleet", garage.fleet_folder]
        run = flagfall("unit", "info", *common, "--json")
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout)["unit_id"] == UNIT_ID
        assert taxi.unit.log() == ""


@pytest.mark.parametrize("at", [30, 700, 2_500])
def test_the_cable_pulled_in_the_middle(garage: Garage, tmp_path: Path, at: int) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        fill(taxi, 25)
        arguments = pull_arguments(taxi, garage, ledger)
        start = taxi.cable.to_host.carried
        pull = subprocess.Popen(
            [FLAGFALL, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert taxi.cable.wait_carried(start + at, 30)
        taxi.cable.pull()
        _, words = pull.communicate(timeout=100)
        assert pull.returncode != 0 and "Traceback" not in words
        taxi.cable.plug_in()
        run = flagfall(*pull_arguments(taxi, garage, ledger), "--json")
        assert run.returncode == 0, run.stderr
        booked = rows(ledger)
        assert len(booked) == len(set(booked))
        assert ride(taxi) >= 1_000, "the meter is as alive as before"


def test_a_cable_to_nobody() -> None:
    with Cable() as cable:
        run = flagfall("unit", "info", "--port", cable.host)
        assert run.returncode != 0
        assert cable.host in one_line(run)
    run = flagfall("unit", "info", "--port", "/dev/no-such-port")
    assert run.returncode != 0
    assert "/dev/no-such-port" in one_line(run)
