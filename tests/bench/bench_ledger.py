"""How fast the ledger books: SQLite and PostgreSQL, beside a naive insert, and when it is large.

Records are a taxi's: one card payment with 300 sealed bytes, one trip, one totals and two events
in five, in batches as a pull makes them. FLAGFALL_SOAK=1 fills the ledger with ten million records
(and their payments, money, trips) before the last figure, else with one million.
"""

import contextlib
import json
import os
import sqlite3
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
RECORDS = 20_000  # a run
RUNS = 4  # the best one counts, since others use the machine too
BATCH = 1_000
NAIVE = 500

CHUNK = 500_000  # records filled in by one transaction

# What years of other taxis leave: the same five records, with everything that follows from them.
_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT :a UNION ALL SELECT i + 1 FROM n WHERE i < :b) ",
    "postgresql": "WITH n(i) AS (SELECT generate_series(CAST(:a AS bigint), :b)) ",
}
_BLOB = {"sqlite": "zeroblob({})", "postgresql": "decode(repeat('00', {}), 'hex')"}
_OLD = "'OLD-' || (i % 200), i, 1"
_FILL = (
    "INSERT INTO records (unit_id, seq, epoch, type, time, booked_at, raw) NUMBERS SELECT KEY, "
    "CASE i % 5 WHEN 1 THEN 2 WHEN 2 THEN 1 WHEN 3 THEN 4 ELSE 5 END, i, i, "
    "CASE i % 5 WHEN 1 THEN blob(390) ELSE blob(90) END FROM n",
    "INSERT INTO payments (unit_id, seq, epoch, time, trip, shift, outcome, profile, amount, "
    "currency, last_digits, atc, balance_after, torn_seq, card_tag, reason, sealed) NUMBERS "
    "SELECT KEY, i, i, 1, 1, 1, 1000, 156, '0011', i % 60000, 0, 0, blob(8), 'approved', "
    "blob(300) FROM n WHERE i % 5 = 1",
    "INSERT INTO money (unit_id, seq, epoch, amount, currency, state, changed_at, why) NUMBERS "
    "SELECT KEY, 1000, 156, 'settled', i, 'batch balanced' FROM n WHERE i % 5 = 1",
    "INSERT INTO trips (unit_id, seq, epoch, trip, shift, start_time, end_time, distance_mm, "
    "pulses, slow_ms, hired_ms, fare, supplements, currency, paid, flags, tariff_version, tariff) "
    "NUMBERS SELECT KEY, i, 1, i, i, 9, 9, 9, 9, 1000, 0, 156, 2, 0, 7, 'hefei' FROM n "
    "WHERE i % 5 = 2",
    "INSERT INTO totals (unit_id, seq, epoch, time, distance_mm, hired_distance_mm, hirings, "
    "supplements, fares, card_payments, card_amount) NUMBERS SELECT KEY, i, 9, 9, 9, 0, 9, 9, 9 "
    "FROM n WHERE i % 5 = 3",
    "INSERT INTO events (unit_id, seq, epoch, time, code, text) NUMBERS SELECT KEY, i, 1, 'start' "
    "FROM n WHERE i % 5 IN (0, 4)",
)


def fill(ledger: Ledger, records: int) -> None:
    """Put so many records of other taxis into the ledger."""
    name = ledger.engine.dialect.name
    for first in range(1, records + 1, CHUNK):
        span = {"a": first, "b": min(records, first + CHUNK - 1)}
        with ledger.writing() as connection:
            for statement in _FILL:
                for size in (390, 300, 90, 8):
                    statement = statement.replace(f"blob({size})", _BLOB[name].format(size))
                whole = statement.replace("NUMBERS", _NUMBERS[name]).replace("KEY", _OLD)
                connection.execute(sa.text(whole), span)
    with ledger.engine.connect() as connection:
        quiet = connection.execution_options(isolation_level="AUTOCOMMIT")
        if name == "postgresql":
            quiet.execute(sa.text("VACUUM ANALYZE"))  # else it comes while we measure
            quiet.execute(sa.text("CHECKPOINT"))
    if name == "sqlite":
        with contextlib.closing(sqlite3.connect(str(ledger.engine.url.database))) as own:
            own.execute("PRAGMA wal_checkpoint(TRUNCATE)")


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


def measure(small: str, large: str) -> tuple[float, float, float]:
    """Records a second: booked, naive, booked into a large ledger, the last two in turn."""
    with Ledger.open(small) as empty, Ledger.open(large) as full:
        for ledger in (empty, full):
            booking_rate(ledger, taxi("WARM-UP", 2 * BATCH))
        naive = naive_rate(empty.engine, taxi("NAIVE", NAIVE))
        fill(full, LARGE)
        rates: dict[Ledger, list[float]] = {empty: [], full: []}
        for i in range(RUNS):
            for ledger, seen in rates.items():
                seen.append(booking_rate(ledger, taxi(f"TAXI-{i}", RECORDS)))
    return max(rates[empty]), naive, max(rates[full])


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
            "goal": "at least four fifths of a small one, 10,000,000 in soak",
            "figure": f"{large:,.0f} a second ({100 * large / empty:.0f} %)",
            "met": large >= 0.8 * empty,
        },
    ]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="flagfall-bench-") as folder:
        places = [str(Path(folder) / name) for name in ("small.sqlite", "large.sqlite")]
        rows = rows_of("SQLite", *measure(*places))
    with PostgresServer(durable=True) as server:
        large = server.empty_database()
        engine = Ledger.open(large).engine
        with engine.connect() as connection:
            own = connection.execution_options(isolation_level="AUTOCOMMIT")
            own.execute(sa.text("CREATE DATABASE small"))
        rows += rows_of("PostgreSQL", *measure(large.replace("/postgres?", "/small?"), large))
        engine.dispose()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(f"{row['name']}: {row['figure']} (goal: {row['goal']})")
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
