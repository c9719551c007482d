"""docs/install.md walked line by line: the mock boot loader is flashed, and what its flash then
holds is started on the fake chip and provisioned over a pseudo-terminal."""

import contextlib
import os
import pty
import re
import shlex
import subprocess
import sys
import tty
from pathlib import Path

import pytest
from boards_esp32 import on_the_fake
from flagfall_host.flashing.board_folder import read_board

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
    """The unit runs; yields the port at the other end of its cable."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    with (folder / "unit.log").open("wb") as log:
        unit = subprocess.Popen(
            [on_the_fake.MICROPYTHON, "-X", f"heapsize={on_the_fake.HEAP}", START, image],
            env=on_the_fake.environment(folder, []),
            cwd=folder,
            stdin=master,
            stdout=master,
            stderr=log,
        )
    try:
        yield os.ttyname(slave)
    finally:
        unit.kill()
        unit.wait()
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
    assert "unit provision" in verbs and verbs[-1] == "unit pull"
    assert all(c.startswith("flagfall ") for c in commands())


def test_a_newcomer_walks_the_page(tmp_path):
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
    said = []
    with started(image, tmp_path) as port:
        for line in lines[2:]:
            said.append(walk(line, port, tmp_path))
    assert "esp32s3_taxi" in said[0] and "factory" in said[0]
    assert re.search(r"^unit +TAXI-7$", said[4], re.MULTILINE)
    assert re.search(r"^tariff +hefei", said[4], re.MULTILINE | re.IGNORECASE)
    assert re.search(r"[1-9][0-9]* new records", said[-1])


@pytest.mark.parametrize("name", ["hardware", "install"])
def test_the_pages_name_files_that_exist(name):
    text = (on_the_fake.ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for path in re.findall(r"\b(?:boards|docs|firmware)/[\w/.]+\w", text):
        assert (on_the_fake.ROOT / path).exists(), path
