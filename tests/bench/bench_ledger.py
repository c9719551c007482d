"""How fast the ledger books: SQLite and PostgreSQL, beside a naive insert, and when it is large.

Records are a taxi's: one card payment with 300 sealed bytes, one trip, one totals and two events
in five, in batches as a pull makes them. FLAGFALL_SOAK=1 fills the ledger with ten million records
before the last figure, else with one million.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/host_tools/ledger")]

from flagfall_host.ledger import Ledger  # noqa: E402
from postgresql_server import PostgresServer  # noqa: E402
from recorded_unit import RecordedUnit  # noqa: E402

OUT = ROOT / "build" / "bench" / "ledger.json"
GOAL = 20_000  # records a second
LARGE = 10_000_000 if os.environ.get("FLAGFALL_SOAK") else 1_000_000
RECORDS = 20_000  # a run; the best of three counts, since others use the machine too
BATCH = 1_000
NAIVE = 500

_FILL = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n) "
    "INSERT INTO records (unit_id, seq, epoch, type, time, booked_at, raw) "
    "SELECT 'OLD-' || (i % 200), i, 1, 5, i, i, zeroblob(90) FROM n",
    "postgresql": "INSERT INTO records (unit_id, seq, epoch, type, time, booked_at, raw) "
    "SELECT 'OLD-' || (i % 200), i, 1, 5, i, i, decode(repeat('00', 90), 'hex') "
    "FROM generate_series(1, :n) AS i",
}


def taxi(name: str, records: int) -> RecordedUnit:
    unit = RecordedUnit(name)
    sealed = bytes(300)
    while unit.seq < records:
        unit.event()
        unit.payment(1000, sealed=sealed)
        unit.trip(1000, 0, 2)
        unit.totals()
        unit.event("receipt", 10)
    return unit


def booking_rate(ledger: Ledger, unit: RecordedUnit) -> float:
    started = time.perf_counter()
    for i in range(0, len(unit.raws), BATCH):
        ledger.book(unit.unit_id, unit.raws[i : i + BATCH], unit.key)
    seconds = time.perf_counter() - started
    if ledger.last_seq(unit.unit_id) != unit.seq:
        raise SystemExit("the ledger has not booked what it was given")
    return len(unit.raws) / seconds


def naive_rate(engine: sa.Engine, unit: RecordedUnit) -> float:
    """One INSERT and one commit a record, nothing verified, nothing derived."""
    insert = sa.text("INSERT INTO naive VALUES (:unit, :seq, :raw)")
    blob = "BYTEA" if engine.dialect.name == "postgresql" else "BLOB"
    with engine.begin() as connection:
        connection.execute(
            sa.text(f"CREATE TABLE naive (unit TEXT, seq BIGINT, raw {blob}, UNIQUE (unit, seq))")
        )
    started = time.perf_counter()
    for seq, raw in enumerate(unit.raws[:NAIVE]):
        with engine.begin() as connection:
            connection.execute(insert, {"unit": unit.unit_id, "seq": seq, "raw": raw})
    return NAIVE / (time.perf_counter() - started)


def measure(place: str) -> tuple[float, float, float]:
    """Records a second: booked, naive, booked into a large ledger."""
    with Ledger.open(place) as ledger:
        booking_rate(ledger, taxi("WARM-UP", 2 * BATCH))
        naive = naive_rate(ledger.engine, taxi("NAIVE", NAIVE))
        empty = max(booking_rate(ledger, taxi(f"FIRST-{i}", RECORDS)) for i in range(3))
        with ledger.writing() as connection:
            connection.execute(sa.text(_FILL[ledger.engine.dialect.name]), {"n": LARGE})
        if ledger.engine.dialect.name == "postgresql":
            with ledger.engine.connect() as connection:
                quiet = connection.execution_options(isolation_level="AUTOCOMMIT")
                quiet.execute(sa.text("VACUUM ANALYZE records"))  # else it comes while we measure
                quiet.execute(sa.text("CHECKPOINT"))
        large = max(booking_rate(ledger, taxi(f"SECOND-{i}", RECORDS)) for i in range(3))
    return empty, naive, large


def rows_of(name: str, empty: float, naive: float, large: float) -> list[dict]:
    return [
        {
            "name": f"ledger on {name}: records booked",
            "goal": f"{GOAL:,} a second",
            "figure": f"{empty:,.0f} a second; one insert a row: {naive:,.0f}",
            "met": empty >= GOAL,
        },
        {
            "name": f"ledger on {name}: with {LARGE:,} records in it",
            "goal": "at least four fifths of that",
            "figure": f"{large:,.0f} a second ({100 * large / empty:.0f} %)",
            "met": large >= 0.8 * empty,
        },
    ]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="flagfall-bench-") as folder:
        rows = rows_of("SQLite", *measure(str(Path(folder) / "ledger.sqlite")))
    with PostgresServer(durable=True) as server:
        rows += rows_of("PostgreSQL", *measure(server.empty_database()))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['name']}: {row['figure']} (goal: {row['goal']})")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
