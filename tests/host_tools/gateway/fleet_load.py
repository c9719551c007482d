"""Many simulated units in one process: fleet_load.py JSON. Says "ready", waits for a line, runs.

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

from dialling_unit import SimUnit, client_context, drive  # noqa: E402


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


async def run(units: list[SimUnit], words: dict) -> None:
    results: list[bool] = []
    await asyncio.gather(*(one(unit, words, results) for unit in units))
    print(json.dumps({"end": results.count(False)}), flush=True)


def main() -> None:
    words = json.loads(sys.argv[1])
    units = []
    for unit_id, key in words["keys"].items():
        unit = SimUnit(unit_id, bytes.fromhex(key), sectors=words["records"] // 20 + 6)
        unit.append(words["records"])
        units.append(unit)
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(run(units, words))


main()
