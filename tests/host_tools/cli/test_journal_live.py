"""`flagfall journal ... --port`: the journal of a unit on the cable, while it meters."""

import json
import subprocess
import sys
import threading
from pathlib import Path

from bench_taxi import Garage
from flagfall.link.proof import journal_key
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.shift import DRIVER
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.wheel import read_trace
from flagfall_host.depot.journal_image import read_image
from flagfall_host.ledger import Ledger
from PIL import Image

FLAGFALL = Path(sys.executable).with_name("flagfall")


def journal(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FLAGFALL, "journal", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def where(taxi: Taxi, garage: Garage) -> tuple[str, ...]:
    return "--port", taxi.port, "--fleet", str(garage.fleet_folder)


def fill(taxi: Taxi, shifts: int) -> None:
    for _ in range(shifts):
        taxi.press("SIGN", what="the sign-out", driver="")
        taxi.press("SIGN", DRIVER, what="the sign-in", driver=DRIVER)


def test_a_live_unit_tells_what_its_image_tells(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        fill(taxi, 40)
        live = journal("inspect", *where(taxi, garage), "--json", "--last", 0)
        assert live.returncode == 0, live.stderr
        short = journal("inspect", *where(taxi, garage), "--last", 3)
        map_at = tmp_path / "map.png"
        drawn = journal("map", *where(taxi, garage), "-o", map_at)
        assert drawn.returncode == 0, drawn.stderr
        taxi.unit.power_off()
        image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    told = json.loads(live.stdout)
    assert [item["seq"] for item in told["items"]] == [r.seq for r in image.records]
    assert told["findings"] == [] and told["macs_checked"]
    uses = [image.use_of(sector) for sector in image.sectors]
    assert told["sectors"] == {use: uses.count(use) for use in sorted(set(uses))}
    assert told["free_bytes"] == image.free > 0
    assert told["erases_a_sector"] == 1
    assert short.returncode == 0 and short.stdout.count("SHIFT") == 3
    assert "free bytes" in short.stdout
    with Image.open(map_at) as picture:
        assert (27, 108, 168) in {c for _, c in picture.convert("RGB").getcolors(1 << 20)}


def test_the_meter_runs_on_while_it_is_looked_into(garage: Garage, tmp_path: Path) -> None:
    faces = []
    for name, watched in (("alone", False), ("watched", True)):
        with garage.taxi(tmp_path / name) as taxi:
            taxi.unit.power_on()
            taxi.press("HIRED", what="the hire", position="HIRED")
            done: list[int] = []

            def look(words: tuple[str, ...] = where(taxi, garage), done: list[int] = done) -> None:
                done.append(journal("verify", *words).returncode)

            looker = threading.Thread(target=look)
            if watched:
                taxi.world.factor = 60  # slow enough for the look to fall into the drive
                looker.start()
            taxi.drive(read_trace()[1_023:1_203])
            if watched:
                looker.join()
                assert done == [0]
            taxi.press("STOP", what="the stop", position="STOPPED")
            faces.append((taxi.face["fare"], taxi.face["distance_mm"], taxi.face["waiting_s"]))
    assert faces[0] == faces[1]


def test_what_was_taken_from_the_unit_is_named(garage: Garage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        fill(taxi, 4)
        taxi.unit.power_off()
        before = taxi.unit.journal.read_bytes()
        taxi.unit.power_on()
        fill(taxi, 4)
        words = ("unit", "pull", *where(taxi, garage), "--ledger", str(ledger))
        pulled = subprocess.run([FLAGFALL, *words], capture_output=True, timeout=100, check=False)
        assert pulled.returncode == 0, pulled.stderr
        sound = journal("verify", *where(taxi, garage), "--ledger", ledger)
        assert sound.returncode == 0, sound.stdout + sound.stderr
        taxi.unit.power_off()
        # Somebody puts back the flash as it was before the last rides.
        taxi.unit.journal.write_bytes(before)
        unit = ("--fleet", garage.fleet_folder, "--unit", UNIT_ID)
        cut = journal("verify", taxi.unit.journal, *unit, "--ledger", ledger)
        assert cut.returncode == 1 and "truncated: seq" in cut.stdout, cut.stdout + cut.stderr
        assert journal("verify", taxi.unit.journal, *unit).returncode == 0
    with Ledger.open(ledger) as book:
        assert book.last_seq(UNIT_ID) > 10


def test_neither_image_nor_port() -> None:
    run = journal("inspect")
    assert run.returncode == 1 and "--port" in run.stderr
    assert "Traceback" not in run.stderr
