"""The image that is flashed: it mounts in the real MicroPython, holds everything, and starts."""

import os
import pty
import subprocess
import tty
from pathlib import Path

import pytest
from boards_esp32 import on_the_fake
from flagfall.hmac_sha256 import hmac_sha256
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import FactoryState
from flagfall_host.depot.provision import Identity, provision
from flagfall_host.depot.serial_wire import SerialWire
from flagfall_host.flashing import budget
from flagfall_host.flashing.board_folder import known_boards, read_board
from flagfall_host.flashing.errors import InputError
from flagfall_host.flashing.program_image import GEOMETRY, compile_program, pack
from littlefs import LittleFS

START = Path(__file__).with_name("start_from_image.py")
BOARD = read_board("esp32s3_taxi")
# The whole program takes less than this, so that the partition holds it twice (docs/update.md).
BUDGET_BYTES = 768 * 1024
SLACK = 64 * 1024  # folders and what littlefs keeps for itself


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "vfs.bin"
    path.write_bytes(pack(compile_program(BOARD), BOARD.partition("vfs").size))
    return path


def start(image, folder, *modules, **streams):
    """MicroPython with the fakes and nothing of the source tree: all else comes from the image."""
    return subprocess.Popen(
        [on_the_fake.MICROPYTHON, "-X", f"heapsize={on_the_fake.HEAP}", START, image, *modules],
        env=on_the_fake.environment(folder, []),
        cwd=folder,
        **streams,
    )


def test_every_module_is_found_in_the_image(image, tmp_path):
    modules = ["unit", "board", "app.meter", "app.payment", "drivers.pn532", "flagfall.clock"]
    modules += ["drivers.pn532_hsu", "flagfall.journal.ring", "flagfall.meter.taximeter"]
    run = start(image, tmp_path, *modules, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = run.communicate(timeout=60)[0].decode()
    assert run.returncode == 0, said
    places = dict(line.split(" ", 1) for line in said.splitlines())
    # All of it from the slot that is in force.
    assert places == {name: "/unit/a/" + name.replace(".", "/") + ".mpy" for name in modules}


def test_the_image_holds_the_program_and_nothing_else(image):
    size = BOARD.partition("vfs").size
    fs = LittleFS(block_size=4096, block_count=size // 4096, mount=False, **GEOMETRY)
    fs.context.buffer[:] = image.read_bytes()
    fs.mount()
    found = set()
    for folder, _, names in fs.walk("/"):
        found |= {f"{folder.rstrip('/')}/{name}".lstrip("/") for name in names}
    assert found == set(compile_program(BOARD))
    assert {n for n in found if not n.endswith(".mpy")} == {"main.py", "a/program.json"}
    assert {n for n in found if not n.startswith("a/")} == {"main.py", "chooser.mpy"}
    assert not any("manifest" in name for name in found)
    assert fs.used_block_count * 4096 < BUDGET_BYTES


@pytest.mark.parametrize("name", known_boards())
def test_flash_and_ram_suffice_and_are_printed(name):
    board = read_board(name)
    rows = {what: (there, used) for what, there, used in budget.flash_rows(board)}
    there, used = rows["vfs"]
    assert used + SLACK // 1024 < there  # an update writes the second beside the first
    assert rows["no partition's"][0] >= 0
    meter, whole = budget.code_bytes(board)
    assert 0 < meter < whole
    printed = "\n".join(budget.lines(board))
    assert all(f"\n  {p.label} " in printed for p in board.partitions)
    assert "with PSRAM" in printed and "K left" in printed


def test_a_program_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="does not fit 32768 bytes"):
        pack({"a.mpy": bytes(range(256)) * 200}, 32768)


def test_a_flashed_unit_starts_and_is_provisioned_over_its_cable(image, tmp_path):
    """From the image to a provisioned unit, by the host's own code, on the fake chip."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    log = (tmp_path / "errors").open("wb")
    unit = start(image, tmp_path, stdin=master, stdout=master, stderr=log)
    port = os.ttyname(slave)
    key = hmac_sha256(b"test key", b"TAXI-1")
    identity = Identity("TAXI-1", key, bytes(64))
    try:
        with Link(SerialWire(port), lambda _: key) as link, pytest.raises(FactoryState):
            link.open()
        assert link.unit.model == "esp32s3_taxi"
        assert not link.unit.provisioned
        with Link(SerialWire(port), lambda _: key) as link:
            provision(link, identity)
        with Link(SerialWire(port), lambda _: key) as link:
            link.open()
            assert link.unit.unit_id == "TAXI-1"
    finally:
        unit.kill()
        unit.wait()
        log.close()
        os.close(slave)
        os.close(master)
    # The identity is in the config partition, not in the program's.
    assert b"TAXI-1" in (tmp_path / "config.flash").read_bytes()
