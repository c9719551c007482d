"""The ledger's tables. Every row comes from a record that a unit wrote, or from an answer of the
acquirer; nothing here is typed in.

A record is known by (unit, epoch, seq). `records.raw` are the very bytes that are in the unit's
flash: the evidence that every other row is derived from. Times are UTC seconds since 2000, money
is in minor units.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

# Between which states money moves (docs/ledger.md).
CAPTURED = "captured"  # approved on the unit, booked here
QUEUED = "queued"  # has a batch and a STAN, not yet sent
SENT = "sent"  # the question is out; a crash now leaves an unknown
UNKNOWN = "unknown"  # no answer: the same question is asked again
ACCEPTED = "accepted"  # the acquirer has it
REFUSED = "refused"  # the acquirer said no, for good
SETTLED = "settled"  # in a batch that balanced
DISPUTED = "disputed"
STATES = (CAPTURED, QUEUED, SENT, UNKNOWN, ACCEPTED, REFUSED, SETTLED, DISPUTED)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _known_by() -> list[Column]:
    return [
        Column("unit_id", String(16), primary_key=True),
        Column("epoch", BigInteger, primary_key=True),
        Column("seq", BigInteger, primary_key=True),
    ]


def _of_record() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["unit_id", "epoch", "seq"], ["records.unit_id", "records.epoch", "records.seq"]
    )


units = Table(
    "units",
    metadata,
    Column("unit_id", String(16), primary_key=True),
    # Everything up to here is booked, or its loss was accepted: what a receipt may say.
    Column("upto_seq", BigInteger, nullable=False),
    Column("upto_epoch", BigInteger, nullable=False),
    Column("upto_link", LargeBinary(4), nullable=False),
)

records = Table(
    "records",
    metadata,
    *_known_by(),
    Column("type", Integer, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("link", LargeBinary(4), nullable=False),
    Column("mac", LargeBinary(12), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Index(None, "unit_id", "seq"),
)

trips = Table(
    "trips",
    metadata,
    *_known_by(),
    Column("trip", BigInteger, nullable=False),
    Column("shift", BigInteger, nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger, nullable=False),
    Column("distance_mm", BigInteger, nullable=False),
    Column("pulses", BigInteger, nullable=False),
    Column("slow_ms", BigInteger, nullable=False),
    Column("hired_ms", BigInteger, nullable=False),
    Column("fare", BigInteger, nullable=False),
    Column("supplements", BigInteger, nullable=False),
    Column("currency", Integer, nullable=False),
    Column("paid", Integer, nullable=False),
    Column("flags", Integer, nullable=False),
    Column("tariff_version", BigInteger, nullable=False),
    Column("tariff", String(255), nullable=False),
    _of_record(),
)

payments = Table(
    "payments",
    metadata,
    *_known_by(),
    Column("trip", BigInteger, nullable=False),
    Column("shift", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("outcome", Integer, nullable=False),
    Column("profile", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Integer, nullable=False),
    Column("last_digits", String(4), nullable=False),
    Column("atc", Integer, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("torn_seq", BigInteger, nullable=False),
    Column("reason", String(255), nullable=False),
    Column("state", String(10)),  # of an approved payment's money; null for any other
    _of_record(),
    CheckConstraint(
        "state is null or state in ({})".format(", ".join(f"'{s}'" for s in STATES)), name="state"
    ),
    Index(None, "state"),
)

shifts = Table(
    "shifts",
    metadata,
    *_known_by(),
    Column("shift", BigInteger, nullable=False),
    Column("event", Integer, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("trips", BigInteger, nullable=False),
    Column("fares", BigInteger, nullable=False),
    Column("card_payments", BigInteger, nullable=False),
    Column("card_amount", BigInteger, nullable=False),
    Column("driver", String(255), nullable=False),
    _of_record(),
)

totals = Table(
    "totals",
    metadata,
    *_known_by(),
    Column("distance_mm", BigInteger, nullable=False),
    Column("hired_distance_mm", BigInteger, nullable=False),
    Column("hirings", BigInteger, nullable=False),
    Column("supplements", BigInteger, nullable=False),
    Column("fares", BigInteger, nullable=False),
    Column("card_payments", BigInteger, nullable=False),
    Column("card_amount", BigInteger, nullable=False),
    _of_record(),
)

events = Table(
    "events",
    metadata,
    *_known_by(),
    Column("time", BigInteger, nullable=False),
    Column("code", Integer, nullable=False),
    Column("text", String(255), nullable=False),
    _of_record(),
)

keys = Table(
    "keys",
    metadata,
    *_known_by(),
    Column("key_number", Integer, nullable=False),
    Column("fleet_key_id", LargeBinary(8), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    _of_record(),
)

# Records that a unit's flash has lost. Accepted: the office lets the unit free their space.
damage = Table(
    "damage",
    metadata,
    Column("unit_id", String(16), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, primary_key=True),
    Column("address", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("accepted", Boolean, nullable=False),
)

# What does not fit: a record refused, a link that does not match. Never deleted.
findings = Table(
    "findings",
    metadata,
    Column("unit_id", String(16), primary_key=True),
    Column("epoch", BigInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("text", String(255), nullable=False),
    Column("raw", LargeBinary),
)

terminals = Table(
    "terminals",
    metadata,
    Column("terminal_id", String(8), primary_key=True),
    Column("batch", Integer, nullable=False),  # 0: never signed in
    Column("next_stan", Integer, nullable=False),
    Column("wrapped_keys", LargeBinary, nullable=False),  # as DE62 brought them, under the TMK
)

# One row a question to the acquirer. What was asked stays the same until it is answered.
uploads = Table(
    "uploads",
    metadata,
    *_known_by(),
    Column("terminal_id", String(8), nullable=False),
    Column("batch", Integer, nullable=False),
    Column("stan", Integer, nullable=False),
    Column("asked", Integer, nullable=False),  # how often the question was sent
    Column("response", String(2)),  # DE39
    Column("reference", String(12)),  # DE37
    _of_record(),
    UniqueConstraint("terminal_id", "batch", "stan"),
)

settlements = Table(
    "settlements",
    metadata,
    Column("terminal_id", String(8), primary_key=True),
    Column("batch", Integer, primary_key=True),
    Column("stan", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("result", Integer),  # DE48: 1 balanced, 2 unbalanced, 3 error; null: not answered
)
