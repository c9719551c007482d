"""How long a tap takes, and what it costs the unit.

Time is modelled (flagfall_host/bench/rf_time.py): the air at 106 kbit/s, assumed card times, and
the unit's own work as instructions that callgrind counts on the unix port, at an assumed speed
of an ESP32. A tap is recorded on the bench first, then played to the driver and the kernel in
MicroPython, so that only their own work is counted.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from flagfall_host.bench import install
from flagfall_host.bench import tap as bench_tap
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.rf_time import LOOPS_PER_S, TERMINAL_COSTS, Linear, TerminalCost, Unit
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
        bench = Bench(chip, profile, works_ahead=False)  # type: ignore[arg-type]
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
        port = bench.reader._bus
        real = port.read

        async def read(n: int, timeout_ms: int) -> bytes:
            data = await real(n, timeout_ms)
            self.said.append(bytes(data))
            return data

        port.read = read

    def _listen_to_registers(self, bench: Bench) -> None:
        spi = bench.reader._bus._spi
        real = spi.write_readinto

        def heard(data: bytes, buffer: bytearray) -> None:
            real(data, buffer)
            self.said.append(bytes(buffer))

        spi.write_readinto = heard


def environment() -> dict[str, str]:
    places = ("firmware", "firmware/lib", "boards/bench", "boards/esp32", "tests/bench")
    path = ":".join([".frozen", *(str(ROOT / p) for p in places)])
    return {**os.environ, "MICROPYPATH": path}


def load(what: str, file: Path, prefix: list[str], program: str = "tap_load.py") -> dict[str, Any]:
    words = [*prefix, micropython_program(), "-X", "heapsize=8M", str(HERE / program)]
    run = subprocess.run(
        [*words, what, str(file)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT_S,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"{program} stopped:\n{run.stdout}\n{run.stderr}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def count(
    what: str, file: Path, folder: Path, program: str = "tap_load.py"
) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """What the load says, and instructions by label in order."""
    for old in folder.glob("cg*"):
        old.unlink()
    prefix = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'cg'}"]
    prefix += ["--dump-before=mp_micropython_stack_use", "--compress-strings=yes"]
    said = load(what, file, prefix, program)
    counts = []
    files = sorted(folder.glob("cg.*"), key=lambda p: int(p.suffix[1:]))
    for path in [*files, folder / "cg"]:
        found = re.search(r"^totals: (\d+)", path.read_text(encoding="latin-1"), re.M)
        counts.append(int(found.group(1)) if found else 0)
    # The first dump is all before the first mark.
    pairs = list(zip(said["labels"], counts[1:], strict=False))
    marking = min(n for label, n in pairs if label == "nothing")
    return said, [(label, max(0, n - marking)) for label, n in pairs]


def fit(points: list[tuple[int, int]]) -> Linear:
    """Least squares of instructions over bytes; flat if all points are of one size."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    each = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    each = max(each, 0.0)
    return Linear(round(mean_y - each * mean_x), round(each, 1))


class Counted:
    """Instructions of one recorded tap, cold and warm, by what they were spent on."""

    def __init__(self, said: dict[str, Any], pairs: list[tuple[str, int]]) -> None:
        labels = [label for label, _ in pairs]
        cold, warm = labels.index("cold"), labels.index("warm")
        self.said = said
        self.taps = {"cold": self._tap(pairs[cold:warm]), "warm": self._tap(pairs[warm:])}
        self.journal = dict(pairs)["journal"]

    @staticmethod
    def _tap(pairs: list[tuple[str, int]]) -> list[tuple[str, int]]:
        labels = [label for label, _ in pairs]
        start = labels.index("kernel start")
        ends = [at for at in range(start, len(labels)) if labels[at] == "-"]
        return [(label, n) for label, n in pairs[start : ends[1]] if label not in ("wait", "-")]

    def phases(self, which: str) -> dict[str, int]:
        """Driver, RSA and each phase of the kernel."""
        out: dict[str, int] = {}
        for label, n in self.taps[which]:
            words = label.split()
            name = words[0] if words[0] in ("driver", "rsa") else "kernel " + words[1]
            out[name] = out.get(name, 0) + n
        return out

    def steps(self) -> list[tuple[str, int, int]]:
        """(phase, bytes, instructions) of each piece of the kernel's work, both taps."""
        out: list[tuple[str, int, int]] = []
        for which in ("cold", "warm"):
            open_: dict[tuple[str, int], int] = {}
            for label, n in [*self.taps[which], ("driver", 0)]:
                words = label.split()
                if words[0] == "kernel":
                    key = (words[1], int(words[2]) if len(words) > 2 else 0)
                    open_[key] = open_.get(key, 0) + n
                elif words[0] == "driver":
                    out += [(phase, size, n) for (phase, size), n in open_.items()]
                    open_.clear()
        return out

    def operations(self) -> int:
        """RSA operations of both taps."""
        return sum(label[:3] == "rsa" for which in self.taps for label, _ in self.taps[which])


class SlowChip:
    """Answers whatever it hears, after the listener has gone to sleep."""

    def feed(self, data: bytes) -> bytes:
        time.sleep(3 * 0.1)
        return bytes(60)

    def idle(self) -> bytes:
        return b""


def port_costs(folder: Path) -> dict[str, int]:
    """Instructions to wake the task that waits for a port, and of a look in vain."""
    with PtyPort(SlowChip()) as port:
        said, pairs = count("port", Path(port.path), folder)
    if said["read"] != 60:
        raise SystemExit("tap_load.py did not read what the port said")
    return dict(pairs)  # of the second time: later pairs stand


def cost_of(
    pn532: list[Counted], bare: Counted, yielding: Counted, port: dict[str, int]
) -> TerminalCost:
    """The model's figures from what was counted."""
    kernel: dict[str, list[tuple[int, int]]] = {}
    rsa, send, receive, ack = [], [], [], []
    for counted in pn532:
        for phase, size, n in counted.steps():
            kernel.setdefault(phase, []).append((size, n))
        for which in ("cold", "warm"):
            before = 0
            for label, n in counted.taps[which]:
                words = label.split()
                if words[0] == "rsa":
                    size, exponent = int(words[1]), int(words[2])
                    times = exponent.bit_length() + bin(exponent).count("1") - 1
                    rsa.append(n / (size * size * times))
                elif label.startswith(("driver exchange", "driver activate")):
                    before = n
                elif label.startswith("driver sent"):
                    send.append((int(words[2]), before + n))
                    before = 30_000
                elif label.startswith("driver received"):
                    if words[2] == "6":
                        ack.append(n)
                    else:
                        receive.append((int(words[2]), n))
    auth = sum(n for _, n in kernel.pop("auth"))
    lines = {
        phase: fit(points) if phase == "take" else Linear(max(n for _, n in points), 0)
        for phase, points in kernel.items()
    }
    lines["other"] = TERMINAL_COSTS.kernel["other"]
    accesses, yields = bare.said["accesses"], bare.said["yields"]
    driver, yielded = bare.phases("warm")["driver"], yielding.phases("warm")["driver"]
    return TerminalCost(
        kernel=lines,
        rsa_each=round(sum(rsa) / len(rsa), 2),
        around_rsa=round(auth / sum(c.operations() for c in pn532)),
        send=fit(send),
        receive=fit(receive),
        ack=round(sum(ack) / len(ack)),
        wake=port["wake"],
        poll=port["poll"],
        access=round(driver / accesses),
        yields=round((yielded - driver) / yields),
        journal=max(c.journal for c in pn532),
    )


def row(name: str, goal: str, figure: str, met: bool = True) -> dict[str, Any]:
    return {"name": "tap: " + name, "goal": goal, "figure": figure, "met": met}


def time_rows(name: str, result: TapResult, goal_ms: int) -> list[dict[str, Any]]:
    held, floor = result.card_us / 1000, result.floor_us / 1000
    share = 100 * (held - floor) / floor
    told = f"{held:.0f} ms, floor {floor:.0f}; verdict {result.total_us / 1000:.0f} (model)"
    return [
        row(f"{name}, field to card read", f"<= {goal_ms} ms", told, held <= goal_ms),
        row(f"{name}, unit's share", f"<= {_SHARE} % of floor", f"{share:.0f} %", share <= _SHARE),
    ]


def run_total(cost: TerminalCost) -> float:
    """What the unit adds to one tap with these figures, microseconds."""
    return bench_tap.run_tap("ecash", cost=cost).own_us


def main() -> int:
    taps = (("oda-debit", "oda"), ("ecash-8-reads", "ecash"), ("ecash", "ecash"))
    counted: dict[str, Counted] = {}
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "tap.json"
        for card, profile in taps:
            file.write_text(json.dumps(Recorder(card, "pn532", profile).tap))
            counted[card] = Counted(*count("count", file, folder))
            if card == "ecash-8-reads":
                memory = load("memory", file, [])
        file.write_text(json.dumps(Recorder("oda-debit", "mfrc522", "oda").tap))
        bare, yielding = (Counted(*count(what, file, folder)) for what in ("bare", "count"))
        port = port_costs(folder)
    cost = cost_of(list(counted.values()), bare, yielding, port)
    print(cost)
    stored, now = (run_total(c) for c in (TERMINAL_COSTS, cost))
    off = 100 * abs(stored - now) / now
    rows.append(row("what `flagfall bench tap` uses against what is counted now",
                    "within 10 %", f"{off:.1f} % off", off <= 10))  # fmt: skip
    for card, profile, goal in (
        ("oda-debit", "oda", _ODA_MS),
        ("ecash-8-reads", "ecash", _ECASH_MS),
    ):
        for chip, unit, said in (
            ("pn532", Unit(), "PN532 at 921600"),
            ("pn532", Unit(baud=115_200), "PN532 at 115200"),
            ("mfrc522", Unit(), "MFRC522"),
        ):
            result = bench_tap.run_tap(card, chip, profile, unit=unit, cost=cost)  # type: ignore[arg-type]
            rows += time_rows(f"{card}, {said}", result, goal)
    for said, unit in (
        ("at the speed of ESP32 in loops", Unit(interpreter_per_s=LOOPS_PER_S)),
        ("on PN532 if Python took no time", Unit(interpreter_per_s=1e15, arithmetic_per_s=1e15)),
    ):
        result = bench_tap.run_tap("oda-debit", "pn532", "oda", unit=unit, cost=cost)
        figure = f"{result.card_us / 1000:.0f} ms, {100 * result.own_us / result.floor_us:.0f} %"
        rows.append(row(f"oda-debit {said}", "for comparison", figure))
    for card, profile in taps:
        result = bench_tap.run_tap(card, "pn532", profile, cost=cost)  # type: ignore[arg-type]
        rows.append(row(f"{card}, APDUs", f"{3 + result.records}", str(result.apdus),
                        result.apdus == 3 + result.records))  # fmt: skip
    for which in ("cold", "warm"):
        for phase, n in counted["oda-debit"].phases(which).items():
            rows.append(row(f"oda-debit, {which} cache, instructions, {phase}", "for comparison",
                            f"{n:,}"))  # fmt: skip
    rows.append(row("8-read e-cash, most heap in use (64 bit)", "for comparison",
                    f"{memory['peak_live']:,} bytes"))  # fmt: skip
    rows.append(row("8-read e-cash, heap allocated without a collection", "for comparison",
                    f"{memory['allocated']:,} bytes"))  # fmt: skip
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(r["met"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
