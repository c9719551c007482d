"""Many simulated units in one process: a line of JSON in, "ready" out, a line in: they run.

One JSON line for each unit that has all its receipts, then {"end": failures}. The words of JSON:
office (folder), first, count, records, host, port, ramp_s, seconds; keys: unit id -> key in hex.
"""

import asyncio
import json
import random
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / p) for p in ("boards/bench", "firmware/lib", "host_tools")]
sys.path.insert(0, str(Path(__file__).parent))

from dialling_unit import SimUnit, client_context, dial, drive, talk  # noqa: E402


async def one(unit: SimUnit, words: dict, results: list[bool]) -> None:
    folder = Path(words["office"])
    tls = client_context(folder / "fleet/authority.pem", folder / f"{unit.unit_id}.pem")
    await asyncio.sleep(random.random() * words["ramp_s"])
    try:
        took = await drive(unit, words["host"], words["port"], tls, words["seconds"])
    except TimeoutError:
        took = {"dials": 0, "seconds": words["seconds"], "last": None}
    results.append(unit.done)
    facts = {
        "unit": unit.unit_id,
        "done": unit.done,
        "wanted": unit.wanted,
        "digest": unit.digest(1, unit.wanted),
        "receipts": unit.receipts,
        "asked_again": unit.asked_again,
    }
    print(json.dumps(facts | took), flush=True)


async def stand(unit: SimUnit, words: dict, few: asyncio.Semaphore, leave: asyncio.Event) -> None:
    """Dial, be pulled, and stay connected without a word until it is time to leave."""
    folder = Path(words["office"])
    async with few:
        tls = client_context(folder / "fleet/authority.pem", folder / f"{unit.unit_id}.pem")
        wire = await dial(words["host"], words["port"], tls, words["seconds"])
        talking = asyncio.create_task(talk(unit, wire, leave, ping_s=3_600))
        while not unit.done and not talking.done():
            await asyncio.sleep(0.05)
    await talking


async def run_standing(units: list[SimUnit], words: dict) -> None:
    """As many connections as there are units; says so when all stand, leaves at the next line."""
    few, leave = asyncio.Semaphore(20), asyncio.Event()
    tasks = [asyncio.create_task(stand(unit, words, few, leave)) for unit in units]
    while not all(unit.done for unit in units):
        await asyncio.sleep(0.05)
        for task in tasks:
            if task.done():
                await task
    print(json.dumps({"standing": len(units)}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()


async def run(units: list[SimUnit], words: dict) -> None:
    results: list[bool] = []
    await asyncio.gather(*(one(unit, words, results) for unit in units))
    print(json.dumps({"end": results.count(False)}), flush=True)


def main() -> None:
    words = json.loads(sys.stdin.readline())
    units = []
    for unit_id, key in words["keys"].items():
        unit = SimUnit(unit_id, bytes.fromhex(key), sectors=words["records"] // 20 + 4)
        unit.append(words["records"])
        units.append(unit)
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run((run_standing if words.get("stay") else run)(units, words))


main()
