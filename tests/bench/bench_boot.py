"""From the power to FOR HIRE, with a full journal of 4 MiB and a full ring of checkpoints; and on
to the moment at which cards, cable and office are there too, while the meter runs.

Modelled time of the device: instructions of the interpreter that callgrind counts on the unix
port, at the assumed speed of an ESP32 (flagfall_host/bench/rf_time.py), and flash time by the NOR
model (boards/bench/nor_flash.py) for journal, checkpoints and the program's own files. MicroPython
looks up each name of a module in its table of all names: a short loop that stays in the cache, and
so counts at the speed of loops. The chip's own start (boot loaders, MicroPython, the test of the
PSRAM) and its displays are assumed: nothing here can count them. What a board must show is in
docs/hardware.md, section 8.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OUT = ROOT / "build" / "bench" / "boot.json"
sys.path[:0] = [str(ROOT / "boards" / "bench"), str(ROOT / "tests"), str(HERE)]

from bench_taxi import Garage, ride  # noqa: E402
from flagfall.journal import schema  # noqa: E402
from flagfall.journal.ring import Journal, JournalFull  # noqa: E402
from flagfall.link.proof import journal_key  # noqa: E402
from flagfall.seal import sealed_size  # noqa: E402
from flagfall_host.bench.install import UNIT_ID  # noqa: E402
from flagfall_host.bench.rf_time import LOOPS_PER_S, Unit  # noqa: E402
from flagfall_host.bench.unit_process import MICROPYTHON  # noqa: E402
from flagfall_host.flashing.board_folder import REFERENCE, read_board  # noqa: E402
from flagfall_host.flashing.program_files import unit_files  # noqa: E402
from flagfall_host.flashing.program_image import pack  # noqa: E402
from nor_flash import NorFlash  # noqa: E402

BOARD = read_board(REFERENCE)
GOAL_MS = 2_000
CHIP_MS = 500  # assumed: both boot loaders, MicroPython's start, 8 MiB of PSRAM tested
BOARD_MS = 150  # assumed: two I2C scans, two SSD1306 of 1 KiB at 400 kHz written twice, a TM1637
_CARD_DATA = 240  # bytes of the card data of a tap, before sealing
_TIME_LIMIT_S = 120
# Count nothing but MicroPython's search through its table of names.
_NAMES = ("--collect-atstart=no", "--toggle-collect=qstr_find_strn")


def fill(flash: NorFlash, key: bytes) -> int:
    """Trips with taps and receipts until cards are refused; the records there are then."""
    journal = Journal(flash, key)
    journal.mount(1)
    trip = schema.pack(
        schema.TRIP, trip=1, shift=1, start_time=1, end_time=1, distance_mm=1, pulses=1, slow_ms=1,
        hired_ms=1, fare=1, supplements=1, currency=156, paid=schema.CARD, flags=0,
        tariff_version=1, tariff="Hefei, day and night",
    )  # fmt: skip
    payment = schema.pack(
        schema.PAYMENT, trip=1, shift=1, outcome=schema.APPROVED, profile=schema.ECASH, amount=1,
        currency=156, last_digits="0011", atc=1, balance_after=1, torn_seq=0, card_tag=bytes(8),
        reason="", sealed=bytes(sealed_size(_CARD_DATA)),
    )  # fmt: skip
    receipt = schema.pack(schema.EVENT, code=schema.RECEIPT_PRINTED, text="1")
    try:
        while journal.room_for_card():
            journal.append(schema.TRIP, trip, 1)
            journal.append(schema.PAYMENT, payment, 1)
            journal.append(schema.EVENT, receipt, 1)
    except JournalFull:
        pass
    return int(journal.last_seq)


def refill(path: Path, key: bytes) -> None:
    """Write the newest checkpoint again and again until its ring has come round."""
    flash = NorFlash(path=str(path))
    ring = Journal(flash, key, keep_unacked=False)
    ring.mount(1)
    newest = next(iter(ring.read(ring.last_seq)))
    body = bytes(newest.body)
    for i in range(flash.blocks * (4_064 // (32 * ((len(body) + 36 + 31) // 32))) + 100):
        ring.append(schema.CHECKPOINT, body, i)
        ring.idle()
    flash.close()


def prepare(folder: Path) -> tuple[Path, int]:
    """A unit's flash and files as they are after a long week, and how many records it holds."""
    garage = Garage(folder / "garage")
    key = journal_key(garage.fleet.unit_key(UNIT_ID))
    unit = folder / "unit"
    taxi = garage.taxi(unit)
    for name in ("journal", "trips"):
        path = unit / f"{name}.flash"
        path.unlink()
        flash = NorFlash(BOARD.partition(name).size, path=str(path))
        if name == "journal":
            records = fill(flash, key)
        flash.close()
    with taxi:
        taxi.unit.power_on()
        taxi.press("SIGN", "1234", what="the sign-in", driver="1234")
        ride(taxi, seconds=10)
        taxi.press("CASH", what="the payment", paid=schema.CASH)
        taxi.press("FOR_HIRE", what="the end", position="FOR HIRE")
        taxi.stand(2)
    refill(unit / "trips.flash", key)
    program = unit_files(REFERENCE)
    (unit / "program.flash").write_bytes(pack(program, BOARD.partition("vfs").size))
    small = {path.name: path.read_bytes() for path in (unit / "files").glob("*.*")}
    (unit / "config.flash").write_bytes(pack(small, BOARD.partition("config").size))
    (unit / "lists.flash").write_bytes(pack({}, BOARD.partition("lists").size))
    for name, content in program.items():
        path = folder / "program" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return unit, records


def boot(unit: Path, what: str, prefix: list[str], folder: Path) -> dict[str, Any]:
    """One start on a copy of the unit."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(unit, copy)
    program = folder / "program"
    places = (".frozen", program / "a", program, ROOT / "boards" / "bench")
    run = subprocess.run(
        [*prefix, MICROPYTHON, "-X", "heapsize=4M", HERE / "boot_load.py", copy, what],
        env={**os.environ, "MICROPYPATH": ":".join(map(str, places))},
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"boot_load.py stopped:\n{run.stdout}\n{run.stderr}")
    said: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return said


def counted(unit: Path, folder: Path, *options: str) -> tuple[dict[str, Any], dict[str, int]]:
    """What the start says, and instructions by label; `options` of callgrind."""
    for old in folder.glob("cg*"):
        old.unlink()
    prefix = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'cg'}", *options]
    prefix += ["--dump-before=mp_micropython_stack_use", "--compress-strings=yes"]
    said = boot(unit, "count", prefix, folder)
    counts = []
    for path in sorted(folder.glob("cg.*"), key=lambda p: int(p.suffix[1:])):
        found = re.search(r"^totals: (\d+)", path.read_text(encoding="latin-1"), re.M)
        counts.append(int(found.group(1)) if found else 0)
    out: dict[str, int] = {}
    # The first dump is all before the first mark; what lies between two marks is the first's.
    pairs = list(zip(said["labels"], counts[1:], strict=False))
    marking = min((n for label, n in pairs if label == "nothing"), default=0)
    for label, n in pairs:
        out[label] = out.get(label, 0) + max(0, n - marking)
    return said, out


def row(name: str, goal: str, figure: str, met: bool = True) -> dict[str, Any]:
    return {"name": "boot: " + name, "goal": goal, "figure": figure, "met": met}


def main() -> int:
    speed = Unit()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unit, records = prepare(folder)
        said, counts = counted(unit, folder)
        names = counted(unit, folder, *_NAMES)[1]
    print(said | {"labels": len(said["labels"])}, counts, names)
    lookup = names["import"] / LOOPS_PER_S * 1000
    imports = speed.us(counts["import"] - names["import"]) / 1000
    start = speed.us(counts["start"]) / 1000
    rings = said["rings_us"] / 1000
    small = said["config_us"] / 1000
    program = said["program_us"] / 1000
    frozen = CHIP_MS + BOARD_MS + imports + start + rings + small
    total = frozen + lookup + program
    rsa = speed.rsa_us(counts["rsa"]) / 1000
    rest = speed.us(counts["later"] - names["later"]) / 1000 + rsa
    rest += names["later"] / LOOPS_PER_S * 1000 + said["later_us"] / 1000
    rows = [
        row(
            f"power to FOR HIRE, {records:,} records in 4 MiB, modelled",
            f"< {GOAL_MS} ms",
            f"{total:.0f} ms",
            total < GOAL_MS,
        ),
        row(
            "from FOR HIRE, with the meter running, until cards, cable and office are there",
            "for comparison",
            f"{rest:.0f} ms, of it {rsa:.0f} ms for wrapping the data key (RSA)",
        ),
        row(
            "to FOR HIRE if the program were in ROMFS (run from flash, names still looked up)",
            "for comparison",
            f"{total - program:.0f} ms",
        ),
        row("to FOR HIRE if the program were frozen", "for comparison", f"{frozen:.0f} ms"),
        row("the chip's own start", "assumed", f"{CHIP_MS} ms"),
        row("displays set up and lit", "assumed", f"{BOARD_MS} ms"),
        row(
            f"reading {said['files']} of {said['all_files']} files of the program "
            f"({said['program_bytes']:,} bytes) from littlefs, flash time",
            "for comparison",
            f"{program:.0f} ms",
        ),
        row("names looked up", "for comparison", f"{lookup:.0f} ms ({names['import']:,} instr.)"),
        row(
            "importing the modules, but for their names",
            "for comparison",
            f"{imports:.0f} ms ({counts['import'] - names['import']:,})",
        ),
        row("bringing the meter up", "for comparison", f"{start:.0f} ms ({counts['start']:,})"),
        row(
            "journal and checkpoints, flash time",
            "< 200 ms",
            f"{rings:.0f} ms",
            rings < 200,
        ),
        row("the three file systems and small files", "for comparison", f"{small:.0f} ms"),
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(r["met"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
