"""How many units a gateway serves, how soon, and what a connection costs while nothing is said.

Simulated units (the firmware's Session and Journal in CPython) bring 20 payments each through TLS
to gateways that book into a PostgreSQL pair with synchronous replication. All of it shares this
machine, so what is held against a goal is CPU time of the gateway's process and memory; units a
second are what came out here. FLAGFALL_SOAK=1 goes up to 10,000 connections.
"""

import contextlib
import json
import os
import ssl
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / p) for p in ("tests/host_tools/gateway", "boards/bench")]

from dialling_unit import client_context  # noqa: E402
from flagfall_host.gateway.keys_folder import GatewayKeys  # noqa: E402
from fleet_on_host import Fleet, haproxy  # noqa: E402
from gateway_on_host import GatewayProcess, Office, gateways  # noqa: E402
from postgresql_pair import Pair  # noqa: E402

OUT = ROOT / "build" / "bench" / "gateway.json"
UNITS = 300
RECORDS = 20
IDLE = (100, 1_000, 10_000) if os.environ.get("FLAGFALL_SOAK") else (100, 1_000)
FRESH = 40  # units that dial while the others stand
KIB_EACH = 60  # goal: memory of an idle connection
HANDSHAKES = 400
_TICK = os.sysconf("SC_CLK_TCK")


def cpu_s(gateway: GatewayProcess) -> float:
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def rss_kib(gateway: GatewayProcess) -> int:
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def handshake_ms(office: Office) -> float:
    """CPU milliseconds of the gateway's half of a mutual P-256 handshake, in memory."""
    server = GatewayKeys.open(office.folder / "gateway").tls()
    client = client_context(office.authority, office.certificate("U-00000"))
    spent = 0.0
    for _ in range(HANDSHAKES):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        theirs = client.wrap_bio(to_client, to_server, server_hostname="localhost")
        ours = server.wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for end in (theirs, ours):
                began = time.process_time()
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
                if end is ours:
                    spent += time.process_time() - began
    return 1_000 * spent / HANDSHAKES


def quantiles(fleet: Fleet) -> tuple[float, float]:
    took = sorted(unit["last"] for unit in fleet.units)
    return took[len(took) // 2], took[int(len(took) * 0.99)]


def crowd(
    office: Office, running: list[GatewayProcess], port: int, first: int, ramp_s: float = 0.0
) -> tuple[float, float, float, float]:
    """Units a second, gateway CPU ms a unit, p50 and p99 from connect to receipt in seconds."""
    fleet = Fleet(office, port, UNITS, records=RECORDS, processes=2, ramp_s=ramp_s, first=first)
    try:
        before = sum(map(cpu_s, running))
        began = time.monotonic()
        fleet.go()
        fleet.wait(200)
        took = time.monotonic() - began
        spent = sum(map(cpu_s, running)) - before
    finally:
        fleet.close()
    return UNITS / took, 1_000 * spent / UNITS, *quantiles(fleet)


def idle(office: Office, url: str) -> list[dict[str, object]]:
    """Memory of a connection that only stands, and what it does to those that come."""
    rows: list[dict[str, object]] = []
    first = 10_000
    with gateways(office, url, 1, "--connections", "20000") as (gateway,):
        warm = Fleet(office, gateway.port, 20, records=1, processes=1, first=9_000)
        warm.go()
        warm.wait(60)
        warm.close()
        empty = rss_kib(gateway)
        for count in IDLE:
            processes = 2 if count > 500 else 1
            crowd_ = Fleet(
                office,
                gateway.port,
                count,
                records=1,
                processes=processes,
                first=first,
                seconds=600,
                stay=True,
            )
            fresh = None
            try:
                crowd_.go()
                crowd_.wait(900)
                each = (rss_kib(gateway) - empty) / count
                before = cpu_s(gateway)
                fresh = Fleet(
                    office,
                    gateway.port,
                    FRESH,
                    records=RECORDS,
                    processes=1,
                    ramp_s=4.0,
                    first=first + count,
                )
                fresh.go()
                fresh.wait(120)
                spent = 1_000 * (cpu_s(gateway) - before) / FRESH
                p50, p99 = quantiles(fresh)
            finally:
                crowd_.close()
                if fresh is not None:
                    fresh.close()
            first += count + FRESH
            rows.append(
                {
                    "name": f"gateway: memory of one of {count:,} idle TLS connections",
                    "goal": f"<= {KIB_EACH} KiB",
                    "figure": f"{each:.1f} KiB",
                    "kib": round(each, 1),
                    "met": each <= KIB_EACH,
                }
            )
            rows.append(
                {
                    "name": f"gateway: connect to receipt while {count:,} connections stand",
                    "goal": "every unit has its receipt",
                    "figure": f"p50 {p50:.2f} s, p99 {p99:.2f} s, {spent:.1f} ms CPU a unit",
                    "p50_s": round(p50, 3),
                    "p99_s": round(p99, 3),
                    "cpu_ms": round(spent, 1),
                    "met": len(fresh.units) == FRESH and all(u["done"] for u in fresh.units),
                }
            )
    return rows


def main() -> int:
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="flagfall-bench-") as folder, Pair() as pair:
        office = Office(Path(folder))
        floor = handshake_ms(office)
        rows.append(
            {
                "name": "gateway: the TLS handshake alone (the floor), its half",
                "goal": "-",
                "figure": f"{floor:.2f} ms CPU",
                "cpu_ms": round(floor, 2),
                "met": True,
            }
        )
        first = 0
        for count in (1, 3):
            with gateways(office, pair.url, count) as running, haproxy(office, running) as port:
                rate, cpu, _, _ = crowd(office, running, port, first)
                first += UNITS
                # And at half of that rate, as on an ordinary day: how soon is the receipt there?
                _, _, p50, p99 = crowd(office, running, port, first, 2 * UNITS / rate)
                first += UNITS
            words = f"{rate:.0f} units/s here, {cpu:.1f} ms CPU a unit; at half the rate p50 "
            rows.append(
                {
                    "name": f"gateway: {count} at once, {RECORDS} payments a unit",
                    "goal": "every unit has its receipt",
                    "figure": words + f"{p50:.2f} s, p99 {p99:.2f} s",
                    "units_s": round(rate, 1),
                    "cpu_ms": round(cpu, 1),
                    "times_handshake": round(cpu / floor, 1),
                    "p50_s": round(p50, 3),
                    "p99_s": round(p99, 3),
                    "met": True,
                }
            )
        rows += idle(office, pair.url)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['name']}: {row['figure']} (goal {row['goal']})")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
