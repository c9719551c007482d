"""How long a tap takes, and what it costs the unit.

Time is modelled (flagfall_host/bench/rf_time.py): the air at 106 kbit/s, assumed card times, and the
unit's own work as instructions that callgrind counts on the unix port, divided by an assumed speed
of an ESP32. A tap is recorded on the bench first, then played to the driver and the kernel in
MicroPython, so that only their own work is counted.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from flagfall_host.bench import install
from flagfall_host.bench import tap as bench_tap
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.rf_time import TERMINAL_COSTS, Linear, TerminalCost, Unit
from flagfall_host.bench.tap import Bench, TapResult
from flagfall_host.metering.trips import micropython_program

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OUT = ROOT / "build" / "bench" / "tap.json"
_TIME_LIMIT_S = 300
_ODA_MS, _ECASH_MS = 300, 500
_SHARE = 10  # percent of the floor


class Recorder:
    """A tap with everything that the reader's bus said."""

    def __init__(self, card: str, chip: str, profile: str) -> None:
        self.said: list[Any] = []
        bench = Bench(chip, profile)  # type: ignore[arg-type]
        if chip == "pn532":
            self._listen_to_port(bench)
        else:
            self._listen_to_registers(bench)
        bench.place(card)
        phases: list[str] = []
        real = bench_tap._phase

        def phase(command: bytes, tx: Any) -> str:
            phases.append(real(command, tx))
            return phases[-1]

        bench_tap._phase = phase
        import asyncio

        self.said.clear()
        asyncio.run(bench.reader.open())
        result = bench.tap(card)
        bench_tap._phase = real
        self.tap = {
            "chip": chip,
            "profile": {"ecash": 1, "oda": 2}[profile],
            "baud": bench.unit.baud,
            "aids": [install.aid_row(aid) for aid in bench_tap.AIDS],
            "capks": [row.hex() for row in catalogue.capk_tlvs()],
            "amount": result.amount,
            "un": bench_tap.UN.hex(),
            "date": bench_tap.DATE.hex(),
            "time": bench_tap.TIME.hex(),
            "reason": result.reason,
            "phases": phases,
            "said": [x.hex() if isinstance(x, bytes) else x for x in self.said],
        }

    def _listen_to_port(self, bench: Bench) -> None:
        port = bench.reader._bus._port
        real = port.read

        async def read(n: int, timeout_ms: int) -> bytes:
            data = await real(n, timeout_ms)
            self.said.append(bytes(data))
            return data

        port.read = read

    def _listen_to_registers(self, bench: Bench) -> None:
        bus = bench.reader._bus
        for name in ("read", "read_many"):
            real = getattr(bus, name)

            def heard(*arguments: int, real: Any = real) -> Any:
                value = real(*arguments)
                self.said.append(value)
                return value

            setattr(bus, name, heard)


def environment() -> dict[str, str]:
    import os

    places = ("firmware", "firmware/lib", "boards/bench")
    path = ":".join([".frozen", *(str(ROOT / p) for p in places)])
    return {**os.environ, "MICROPYPATH": path}


def load(what: str, file: Path, prefix: list[str]) -> dict[str, Any]:
    program = [*prefix, micropython_program(), "-X", "heapsize=8M", str(HERE / "tap_load.py")]
    run = subprocess.run(
        [*program, what, str(file)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"tap_load.py stopped:\n{run.stdout}\n{run.stderr}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def count(what: str, file: Path, folder: Path) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """What the load says, and instructions by label in order."""
    for old in folder.glob("cg*"):
        old.unlink()
    prefix = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'cg'}"]
    prefix += ["--dump-before=mp_micropython_stack_use", "--compress-strings=yes"]
    said = load(what, file, prefix)
    counts = []
    files = sorted(folder.glob("cg.*"), key=lambda p: int(p.suffix[1:]))
    for path in [*files, folder / "cg"]:
        found = re.search(r"^totals: (\d+)", path.read_text(encoding="latin-1"), re.M)
        counts.append(int(found.group(1)) if found else 0)
    # The first dump is all before the first mark.
    pairs = list(zip(said["labels"], counts[1:], strict=False))
    marking = min(n for label, n in pairs if label == "nothing")
    return said, [(label, max(0, n - marking)) for label, n in pairs]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for chip in ("pn532", "mfrc522"):
            file = folder / "tap.json"
            file.write_text(json.dumps(Recorder("ecash", chip, "ecash").tap))
            print(load("memory", file, []))
            said, pairs = count("count", file, folder)
            print({k: v for k, v in said.items() if k != "labels"})
            for p in pairs: print(*p)
