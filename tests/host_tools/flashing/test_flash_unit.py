"""Flashing by the real esptool: written, read back by esptool, compared; broken off; refused."""

import hashlib
import json
import os
import pty
import subprocess
import tty

import pytest
import typer
from flagfall_host.cli.flash import flash
from flagfall_host.flashing import esptool_program
from flagfall_host.flashing.board_folder import read_board
from flagfall_host.flashing.errors import (
    FlashError,
    InputError,
    NoAnswer,
    NotVerified,
    WrongChip,
)
from flagfall_host.flashing.flash_unit import plan, write
from made_images import CHIP_ESP32, application, combined
from mock_chip import powered
from typer.testing import CliRunner

BOARD = read_board("esp32s3_taxi")
MIB = 1 << 20


def flagfall(*arguments):
    """`flagfall flash` as a process would run it, its error not yet put in words."""
    app = typer.Typer()
    app.command()(flash)
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def firmware(tmp_path):
    path = tmp_path / "firmware.bin"
    whole, boot_loader, app = combined()
    path.write_bytes(whole)
    return path, boot_loader, app


def holds(flash_content: bytes, regions) -> bool:
    return all(flash_content[r.offset : r.offset + len(r.data)] == r.data for r in regions)


def esptool_verifies(port: str, regions: dict[int, bytes], folder) -> None:
    """A second run of esptool compares what the chip holds."""
    command = [esptool_program.ESPTOOL, "--chip", "esp32s3", "--port", port, "verify-flash"]
    for offset, data in regions.items():
        path = folder / f"{offset:x}.bin"
        path.write_bytes(data)
        command += [hex(offset), path]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_new_unit_from_the_command_line(tmp_path, firmware):
    path, boot_loader, app = firmware
    with powered(tmp_path) as chip:
        run = flagfall("--port", chip.url, "--firmware", path, "--json")
        assert run.exit_code == 0, run.output
        said = json.loads(run.stdout.strip().splitlines()[-1])
        assert said["chip"] == "esp32s3"
        assert len(said["mac"]) == 17
        assert [r["name"] for r in said["regions"]] == [
            "program",
            "micropython",
            "blank otadata",
            "partition table",
            "boot loader",
        ]
        chip.power_off()
        chip.power_on()
        esptool_verifies(chip.url, {0x20000: app, 0x8000: BOARD.table}, tmp_path)
        content = chip.flash()
    assert content[0x20000 : 0x20000 + len(app)] == app
    vfs = BOARD.partition("vfs")
    program = hashlib.sha256(content[vfs.offset : vfs.end]).hexdigest()
    assert said["regions"][0]["sha256"] == program
    # esptool writes the size of the flash into the boot loader's header and renews its digest.
    assert content[4 : len(boot_loader) - 32] == boot_loader[4:-32]
    assert content[3] >> 4 == 4  # 16 MB
    assert content[BOARD.partition("journal").offset :][:4096] == b"\xff" * 4096


def test_a_new_program_leaves_journal_config_and_micropython_alone(tmp_path):
    with powered(tmp_path) as chip:
        before = bytearray(chip.flash())
        for label in ("journal", "trips", "config", "ota_0", "ota_1", "otadata", "nvs"):
            part = BOARD.partition(label)
            before[part.offset : part.end] = label.encode().ljust(16, b"!") * (part.size // 16)
        chip.power_off()
        (tmp_path / "flash.bin").write_bytes(before)
        chip.power_on()
        run = flagfall("--port", chip.url)
        assert run.exit_code == 0, run.output
        assert "MicroPython itself was not written" in run.output
        assert "verified: program" in run.output
        after = chip.flash()
    vfs = BOARD.partition("vfs")
    assert after[0x9000 : vfs.offset] == before[0x9000 : vfs.offset]
    assert after[vfs.end :] == before[vfs.end :]
    assert after[0x8000:0x8C00] == BOARD.table
    assert after[vfs.offset + 8 : vfs.offset + 16] == b"littlefs"


def test_blank_config_and_erase(tmp_path, firmware):
    config, journal = BOARD.partition("config"), BOARD.partition("journal")
    with powered(tmp_path) as chip:
        chip.power_off()
        (tmp_path / "flash.bin").write_bytes(b"\0" * (16 * MIB))
        chip.power_on()
        write(BOARD, chip.url, plan(BOARD, None, blank_config=True))
        content = chip.flash()
        assert content[config.offset :][:8192] == b"\xff" * 8192
        assert content[journal.offset : journal.end] == b"\0" * journal.size
        run = flagfall("--port", chip.url, "--firmware", firmware[0], "--erase")
        assert run.exit_code == 0, run.output
        content = chip.flash()
    assert content[journal.offset : journal.end] == b"\xff" * journal.size


def test_power_lost_halfway_and_repeated(tmp_path, firmware):
    regions = plan(BOARD, firmware[0])
    half = next(r.offset + len(r.data) // 2 for r in regions if r.name == "micropython")
    with powered(tmp_path, cut_at=half) as chip:
        with pytest.raises(FlashError) as failed:
            write(BOARD, chip.url, regions)
        assert "broke off halfway: check supply and cable, run again" in str(failed.value)
        assert "\n" not in str(failed.value)
        torn = chip.flash()
        assert not holds(torn, regions)
        assert torn[:0x9000] == b"\xff" * 0x9000  # no boot loader: nothing half-written starts
        chip.power_off()
        chip.power_on()
        seen = []
        flashed = write(
            BOARD, chip.url, regions, progress=lambda region, p: seen.append((region.name, p))
        )
        content = chip.flash()
    assert flashed.mac
    assert holds(content, regions[:-1])
    for region in regions:
        assert (region.name, 100.0) in seen


def test_the_host_program_killed_halfway_and_repeated(tmp_path, firmware):
    regions = plan(BOARD, firmware[0])

    class Stop(Exception):
        pass

    def halfway(region, percent):
        if region.name == "program" and percent > 10:
            raise Stop

    with powered(tmp_path) as chip:
        with pytest.raises(Stop):
            write(BOARD, chip.url, regions, progress=halfway)
        chip.power_off()  # RESET on the board
        chip.power_on()
        write(BOARD, chip.url, regions)
        assert holds(chip.flash(), regions[:-1])


def test_the_wrong_chip_is_named_and_untouched(tmp_path):
    with powered(tmp_path, chip="esp32") as chip:
        with pytest.raises(WrongChip, match="is an ESP32, this board has an esp32s3") as failed:
            write(BOARD, chip.url, plan(BOARD, None))
        assert failed.value.exit_code == 4
        assert set(chip.flash()) == {0xFF}


def test_a_module_with_less_flash_is_refused_and_untouched(tmp_path):
    with powered(tmp_path, mib=8) as chip:
        with pytest.raises(WrongChip, match="too little flash"):
            write(BOARD, chip.url, plan(BOARD, None))
        assert set(chip.flash()) == {0xFF}


def test_nobody_answers():
    master, slave = pty.openpty()
    tty.setraw(slave)
    port = os.ttyname(slave)
    try:
        with pytest.raises(NoAnswer) as failed:
            write(BOARD, port, plan(BOARD, None))
    finally:
        os.close(master)
        os.close(slave)
    assert str(failed.value) == (f"no answer at {port}: hold BOOT, press RESET, let go, run again")
    assert failed.value.exit_code == 3


def test_no_such_port():
    with pytest.raises(NoAnswer, match="no such port: /dev/ttyNothing"):
        write(BOARD, "/dev/ttyNothing", plan(BOARD, None))
    with pytest.raises(NoAnswer, match="cannot open socket"):
        write(BOARD, "socket://127.0.0.1:1", plan(BOARD, None))


def test_what_is_wrong_on_this_computer_is_said_before_the_port_is_opened(tmp_path):
    for firmware, content, error, words in (
        ("none.bin", None, InputError, "no firmware file .*none.bin"),
        ("text.bin", b"hello " * 100, InputError, "not a MicroPython build"),
        ("short.bin", b"\xe9\x01", InputError, "not a MicroPython build"),
        ("esp32.bin", application(CHIP_ESP32), WrongChip, "not made for the esp32s3"),
        ("large.bin", application(size=3 * MIB), InputError, "its partition 2621440"),
    ):
        path = tmp_path / firmware
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(error, match=words):
            plan(BOARD, path)
    run = flagfall("--port", "/dev/null", "--board", "nothing")
    assert isinstance(run.exception, InputError)
    assert run.exception.exit_code == 2
    run = flagfall("--port", "/dev/null", "--erase")
    assert isinstance(run.exception, InputError)


def test_the_application_alone_needs_no_boot_loader(tmp_path):
    path = tmp_path / "micropython.bin"
    path.write_bytes(application())
    regions = plan(BOARD, path)
    assert [r.name for r in regions][-1] == "partition table"
    assert regions[1].data == path.read_bytes()


def test_a_combined_build_with_a_damaged_table(tmp_path, firmware):
    whole = bytearray(firmware[0].read_bytes())
    whole[0x8000 + 8] ^= 1
    firmware[0].write_bytes(whole)
    with pytest.raises(InputError, match="checksum"):
        plan(BOARD, firmware[0])


def test_a_run_that_verified_less_than_it_wrote_fails(tmp_path, monkeypatch):
    """An esptool that ends well without saying that each part was read back."""
    program = tmp_path / "esptool"
    program.write_text("#!/bin/sh\necho 'MAC: 24:0a:c4:00:00:00'\necho 'Hash of data verified.'\n")
    program.chmod(0o755)
    monkeypatch.setattr(esptool_program, "ESPTOOL", program)
    with pytest.raises(NotVerified, match="only 1 of 2 parts") as failed:
        write(BOARD, "/dev/null", plan(BOARD, None))
    assert failed.value.exit_code == 5


def test_an_esptool_that_falls_silent_is_ended(tmp_path, monkeypatch):
    program = tmp_path / "esptool"
    program.write_text("#!/bin/sh\necho Connecting...\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(esptool_program, "ESPTOOL", program)
    monkeypatch.setattr(esptool_program, "_SILENCE_S", 0.3)
    with pytest.raises(FlashError, match="fell silent"):
        write(BOARD, "/dev/null", plan(BOARD, None))


def test_the_second_board_is_flashed_as_a_whole(tmp_path):
    """An ESP32 has its boot loader at another place, and this module half the flash."""
    board = read_board("esp32_taxi")
    application_alone = application(CHIP_ESP32)
    path = tmp_path / "micropython.bin"
    path.write_bytes(application_alone)
    with powered(tmp_path, "esp32", 8) as chip:
        run = flagfall("--port", chip.url, "--firmware", path, "--board", "esp32_taxi", "--json")
        assert run.exit_code == 0, run.output
        content = chip.flash()
    assert content[0x20000 : 0x20000 + len(application_alone)] == application_alone
    assert content[0x8000 : 0x8000 + len(board.table)] == board.table
    said = json.loads(run.stdout.strip().splitlines()[-1])
    vfs = board.partition("vfs")
    program = hashlib.sha256(content[vfs.offset : vfs.end]).hexdigest()
    assert said["regions"][0]["sha256"] == program
