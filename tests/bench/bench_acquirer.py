"""How fast taps go up: two hundred terminals over four connections, beside one at a time.

The host is the simulator in a process of its own, which checks every MAC and cryptogram, books
durably and answers after 50 ms. The ledger is SQLite with `synchronous = FULL`. Counted is the
whole of a worker's round: claims, queueing, opening the card data, messages, commits, answers.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/host_tools/acquirer")]

from flagfall_host.acquirer.message import Terminal  # noqa: E402
from flagfall_host.acquirer.served import Served  # noqa: E402
from flagfall_host.acquirer.worker import Worker  # noqa: E402
from flagfall_host.ledger import Ledger  # noqa: E402
from office import FLEET_KEY, PANS, TERMINAL, Host, TapUnit  # noqa: E402

OUT = ROOT / "build" / "bench" / "acquirer.json"
GOAL = 1_000  # uploads a second
TERMINALS = 200
TAPS = 40  # a terminal and run
RUNS = 3  # the best one counts, since others use the machine too
DELAY_S = 0.05
ALONE = 40  # uploads of one terminal at a time


def booked(ledger: Ledger, unit: TapUnit, taps: int) -> None:
    first = len(unit.raws)
    for n in range(taps):
        own = 100 * int(unit.unit_id.removeprefix("TAXI-"))  # no two cryptograms are the same
        unit.tap(1000 + own + n, PANS[n % 3], online=n % 2 == 1)
    ledger.book(unit.unit_id, unit.raws[first:], unit.key)


async def rate(
    ledger: Ledger, host: Host, terminals: list[Served], connections: int
) -> tuple[float, float]:
    """Uploads a second of one worker, and milliseconds of processor that it spent on each.

    Every terminal is signed in before the clock starts.
    """
    worker = Worker(ledger, FLEET_KEY, terminals, "127.0.0.1", host.port, connections=connections)
    try:
        for one in terminals:
            await worker._talk(one.terminal.terminal_id)
        started, busy = time.perf_counter(), time.process_time()
        done = await worker.until_done()
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
    finally:
        await worker.close()
    if done.failed or done.uploaded.refused or done.uploaded.unreadable:
        raise SystemExit(
            f"uploads went wrong: {done.failed}, {len(done.uploaded.refused)} refused, "
            f"{done.uploaded.unreadable[:1]}"
        )
    return done.uploaded.accepted / seconds, 1000 * busy / done.uploaded.accepted


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="flagfall-bench-") as folder,
        Ledger.open(Path(folder) / "ledger.sqlite") as ledger,
        Host(Path(folder) / "host", delay_s=DELAY_S) as host,
    ):
        units = [TapUnit(f"TAXI-{i}") for i in range(TERMINALS)]
        terminals = [
            Served(Terminal(f"1{i:07d}", TERMINAL.merchant_id), (unit.unit_id,))
            for i, unit in enumerate(units)
        ]
        booked(ledger, units[0], ALONE)
        alone, _ = asyncio.run(rate(ledger, host, terminals[:1], 1))
        runs = []
        for _ in range(RUNS):
            for unit in units:
                booked(ledger, unit, TAPS)
            runs.append(asyncio.run(rate(ledger, host, terminals, 4)))
        said, there = ledger.summary()["states"]["accepted"], host.everything()
        if said != (there["payments"], there["amount"]):
            raise SystemExit(f"ledger {said} and host {there} differ")
    many, busy = max(each for each, _ in runs), min(each for _, each in runs)
    row = {
        "name": f"acquirer: uploads from {TERMINALS} terminals, host answers after 50 ms",
        "goal": f"{GOAL:,} a second",
        "figure": f"{many:,.0f} a second, {busy:.2f} ms of processor each; "
        f"one terminal at a time: {alone:,.1f}",
        "met": many >= GOAL,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print(f"{row['name']}: {row['figure']} (goal: {row['goal']})")
    return 0 if row["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
