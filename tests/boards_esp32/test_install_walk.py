"""docs/install.md walked line by line, twice.

The mock boot loader is flashed, and what its flash then holds is started on the fake chip and
taken through the page over a pseudo-terminal; the car stands still there. Then the bench unit is
taken through it, which drives.
"""

import contextlib
import os
import pty
import re
import shlex
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path
from typing import IO

import pytest
from boards_esp32 import on_the_fake
from flagfall.clock import from_unix
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.unit_process import RESTART_CODE
from flagfall_host.flashing.board_folder import read_board
from passing_world import PassingWorld

sys.path.insert(0, str(Path(__file__).parents[1] / "host_tools" / "flashing"))
from made_images import combined  # noqa: E402
from mock_chip import powered  # noqa: E402

PAGE = (on_the_fake.ROOT / "docs" / "install.md").read_text(encoding="utf-8")
START = Path(__file__).with_name("start_from_image.py")
FLAGFALL = Path(sys.executable).with_name("flagfall")
PORT = "/dev/ttyACM0"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line]


@contextlib.contextmanager
def started(image: Path, folder: Path):
    """The unit runs, anew whenever it asks for a reset; yields the port of its cable."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    over = threading.Event()

    def power() -> None:
        with (folder / "unit.log").open("ab") as log:
            while not over.is_set():
                unit = subprocess.Popen(
                    [on_the_fake.MICROPYTHON, "-X", f"heapsize={on_the_fake.HEAP}", START, image],
                    env=on_the_fake.environment(folder, []),
                    cwd=folder,
                    stdin=master,
                    stdout=master,
                    stderr=log,
                )
                while unit.poll() is None and not over.wait(0.05):
                    pass
                if unit.poll() is None:
                    unit.kill()
                if unit.wait() != RESTART_CODE:
                    return

    thread = threading.Thread(target=power)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        over.set()
        thread.join()
        os.close(slave)
        os.close(master)


def walk(line: str, port: str, folder: Path) -> str:
    run = subprocess.run(
        [FLAGFALL, *shlex.split(line.replace(PORT, port))[1:]],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, f"{line}\n{run.stdout}{run.stderr}"
    return run.stdout


def test_the_page_has_the_steps():
    verbs = [" ".join(c.split()[1:3]) for c in commands()]
    assert verbs[:3] == ["fleet init", "flash --port", "unit info"]
    for verb in ("unit provision", "unit calibrate", "unit pull", "ledger list", "unit update"):
        assert verb in verbs
    assert all(c.startswith("flagfall ") for c in commands())


def test_a_newcomer_walks_the_page_on_the_chip(tmp_path):
    (tmp_path / "firmware.bin").write_bytes(combined()[0])
    (tmp_path / "taxi-7.toml").write_text(blocks("toml")[0], encoding="utf-8")
    lines = commands()
    walk(lines[0], PORT, tmp_path)
    with powered(tmp_path) as chip:
        said = walk(lines[1], chip.url, tmp_path)
        content = chip.flash()
    assert "flashed: esp32s3_taxi" in said
    vfs = read_board("esp32s3_taxi").partition("vfs")
    image = tmp_path / "vfs.flash"
    image.write_bytes(content[vfs.offset : vfs.end])
    said = {}
    with started(image, tmp_path) as port:
        for line in lines[2:]:
            if "calibrate" not in line:  # this car stands still
                said.setdefault(" ".join(line.split()[1:3]), []).append(walk(line, port, tmp_path))
        last = walk(f"flagfall unit info --port {PORT}", port, tmp_path)
    first, provisioned, _ = said["unit info"]
    assert "esp32s3_taxi" in first and "factory" in first
    assert re.search(r"^unit +TAXI-7$", provisioned, re.MULTILINE)
    assert re.search(r"^tariff +hefei", provisioned, re.MULTILINE | re.IGNORECASE)
    assert re.search(r"^program +from the workshop's cable, slot a$", provisioned, re.MULTILINE)
    assert re.search(r"[1-9][0-9]* new records", said["unit pull"][0])
    assert re.search(r"^state +in force$", said["unit update"][0], re.MULTILINE)
    assert re.search(r"^program +release 1, slot b$", last, re.MULTILINE)


def test_a_newcomer_drives_calibrates_pulls_and_updates_on_the_bench(tmp_path):
    (tmp_path / "taxi-7.toml").write_text(blocks("toml")[0], encoding="utf-8")
    # Another wheel than the settings say: calibration finds it out.
    with Taxi(tmp_path / "taxi", k=1_200, utc_s=from_unix(int(time.time())), slots=True) as taxi:
        taxi.unit.power_on()
        said = {}
        for line in commands():
            verb = " ".join(line.split()[1:3])
            if verb == "flash --port":
                continue
            if verb == "unit calibrate":
                said[verb] = calibrated(line, taxi, tmp_path)
                continue
            if verb == "unit pull":
                trip(taxi)
            if verb == "update build":
                line += " --board bench"
            with PassingWorld(taxi):
                said[verb] = walk(line, taxi.port, tmp_path)
    assert re.search(r"^k +12\d\d$", said["unit info"], re.MULTILINE)
    assert "changes under the seal  1" in said["unit info"]
    assert re.search(r"^metrology +flagfall-meter", said["unit info"], re.MULTILINE)
    assert re.search(r"[1-9][0-9]* new records", said["unit pull"])
    assert re.search(r"TAXI-7 .* 59\d000 .* cash ", said["ledger list"])
    assert len(list((tmp_path / "taxi" / "receipts").glob("*"))) >= 1
    assert re.search(r"^state +in force$", said["unit update"], re.MULTILINE)


def calibrated(line: str, taxi: Taxi, folder: Path) -> str:
    """Answer the command as one does in the car, driving the stretch in between."""
    words = [FLAGFALL, *shlex.split(line.replace(PORT, taxi.port))[1:]]
    with subprocess.Popen(
        words,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as command:
        assert command.stdin is not None and command.stdout is not None
        heard = until(command.stdout, "start of the stretch, then press Enter. ")
        command.stdin.write("\n")
        command.stdin.flush()
        heard += until(command.stdout, "at its end, then press Enter. ")
        taxi.drive([360] * 100)  # 36 km/h for 100 s: a kilometre
        command.stdin.write("\ny\n")
        command.stdin.flush()
        with PassingWorld(taxi):
            heard += command.stdout.read()
    assert command.wait() == 0, heard
    return heard


def until(stream: IO[str], words: str) -> str:
    heard = ""
    while not heard.endswith(words):
        more = stream.read(1)
        assert more, heard
        heard += more
    return heard


def trip(taxi: Taxi) -> None:
    """A trip, paid in cash, with its receipt."""
    taxi.press("SIGN", "1234", what="the sign-in", driver="1234")
    taxi.press("HIRED", what="the hire", position="HIRED")
    taxi.drive([360] * 60)
    taxi.press("STOP", what="the stop", position="STOPPED")
    taxi.press("CASH", what="the payment", paid=1)
    receipts = taxi.unit.folder / "receipts"
    taxi.world.wait(lambda: any(receipts.glob("*")), "the receipt")
    taxi.press("FOR_HIRE", what="the end", position="FOR HIRE")


@pytest.mark.parametrize("name", ["hardware", "install", "update"])
def test_the_pages_name_files_that_exist(name):
    text = (on_the_fake.ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for path in re.findall(r"\b(?:boards|docs|firmware)/[\w/.]+\w", text):
        assert (on_the_fake.ROOT / path).exists(), path
