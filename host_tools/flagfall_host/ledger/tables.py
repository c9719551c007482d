"""The ledger's tables.

Times are UTC seconds since 2000, money minor units of the row's currency, distances mm, as in
docs/formats.md. A record is (unit_id, epoch, seq), in the index by seq first; its typed row has
the same key and was made in the same transaction. All integers are BIGINT, since a u32 does not
fit PostgreSQL's INTEGER.
"""

import sqlalchemy as sa

METADATA = sa.MetaData()

_UNIT_ID = sa.String(16)


def _key() -> list[sa.Column]:
    return [
        sa.Column("unit_id", _UNIT_ID, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
    ]


def _number(name: str, **options: bool) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=False, **options)  # type: ignore[arg-type]


def _text(name: str, length: int | None = None) -> sa.Column:
    return sa.Column(name, sa.String(length) if length else sa.Text, nullable=False)


def _bytes(name: str) -> sa.Column:
    return sa.Column(name, sa.LargeBinary, nullable=False)


# A life of a unit begins with its provisioning at `first_epoch`; its seqs count from 1.
# `upto_seq`: all of this life's records up to it are booked, or lost and accepted as lost.
# `receipt_*`: the newest booked record at or below `upto_seq`. `max_seq`: the newest booked.
UNITS = sa.Table(
    "units",
    METADATA,
    sa.Column("unit_id", _UNIT_ID, primary_key=True),
    _number("first_epoch"),
    _number("upto_seq"),
    _number("receipt_epoch"),
    _number("receipt_seq"),
    _bytes("receipt_link"),
    _number("max_epoch"),
    _number("max_seq"),
)

RECORDS = sa.Table(
    "records",
    METADATA,
    *_key(),
    _number("type"),
    _number("time"),
    _number("booked_at"),
    _bytes("raw"),
)

DAMAGES = sa.Table(
    "damages",
    METADATA,
    sa.Column("unit_id", _UNIT_ID, primary_key=True),
    sa.Column("life", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("first_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("last_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _number("address"),
    _number("accepted"),
    _number("booked_at"),
    _bytes("raw"),
)

REFUSALS = sa.Table(
    "refusals",
    METADATA,
    sa.Column("unit_id", _UNIT_ID, primary_key=True),
    sa.Column("sha256", sa.String(64), primary_key=True),
    _number("epoch"),
    _number("seq"),
    _text("reason", 20),
    _number("refused_at"),
    _bytes("raw"),
)

TRIPS = sa.Table(
    "trips",
    METADATA,
    *_key(),
    _number("trip"),
    _number("shift"),
    _number("start_time"),
    _number("end_time"),
    _number("distance_mm"),
    _number("pulses"),
    _number("slow_ms"),
    _number("hired_ms"),
    _number("fare"),
    _number("supplements"),
    _number("currency"),
    _number("paid"),
    _number("flags"),
    _number("tariff_version"),
    _text("tariff"),
    _number("discount"),
    _number("campaign"),
)

PAYMENTS = sa.Table(
    "payments",
    METADATA,
    *_key(),
    _number("time"),
    _number("trip"),
    _number("shift"),
    _number("outcome"),
    _number("profile"),
    _number("amount"),
    _number("currency"),
    _text("last_digits", 4),
    _number("atc"),
    _number("balance_after"),
    _number("torn_seq"),
    _bytes("card_tag"),
    _text("reason"),
    _bytes("sealed"),
    sa.Index("payments_card", "unit_id", "card_tag", "atc"),
)

SHIFTS = sa.Table(
    "shifts",
    METADATA,
    *_key(),
    _number("time"),
    _number("shift"),
    _number("event"),
    _number("trips"),
    _number("fares"),
    _number("card_payments"),
    _number("card_amount"),
    _text("driver"),
)

TOTALS = sa.Table(
    "totals",
    METADATA,
    *_key(),
    _number("time"),
    _number("distance_mm"),
    _number("hired_distance_mm"),
    _number("hirings"),
    _number("supplements"),
    _number("fares"),
    _number("card_payments"),
    _number("card_amount"),
)

EVENTS = sa.Table("events", METADATA, *_key(), _number("time"), _number("code"), _text("text"))

KEYS = sa.Table(
    "keys",
    METADATA,
    *_key(),
    _number("key_number"),
    _bytes("fleet_key_id"),
    _bytes("wrapped"),
)

# One row for each approved payment, and for each debit that is disputed. `state` is one of
# money.STATES. Terminal, batch and STAN are those of the message in which it is uploaded.
MONEY = sa.Table(
    "money",
    METADATA,
    *_key(),
    _number("amount"),
    _number("currency"),
    _text("state", 10),
    _number("changed_at"),
    _text("why"),
    sa.Column("terminal_id", sa.String(8)),
    sa.Column("batch", sa.BigInteger),
    sa.Column("stan", sa.BigInteger),
    sa.Column("message_sha256", sa.String(64)),
    sa.UniqueConstraint("terminal_id", "batch", "stan", name="money_once"),
    sa.Index("money_state", "state"),
)

# Each change of a money row's state, in order.
MOVES = sa.Table(
    "moves",
    METADATA,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("unit_id", _UNIT_ID, nullable=False),
    _number("epoch"),
    _number("seq"),
    _text("was", 10),
    _text("state", 10),
    _number("at"),
    _text("why"),
)

# What a person has decided, in order: see decisions.py.
DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    _number("at"),
    _text("who"),
    _text("decision", 20),
    _text("kind", 20),
    sa.Column("unit_id", _UNIT_ID, nullable=False),
    _number("first_seq"),
    _number("last_seq"),
    _text("about"),
    _text("why"),
)

# What the acquirer side must not forget: one row a terminal. Working keys as they came, under
# the terminal master key.
TERMINALS = sa.Table(
    "terminals",
    METADATA,
    sa.Column("terminal_id", sa.String(8), primary_key=True),
    _text("merchant_id", 15),
    _number("batch"),
    _number("next_stan"),
    _number("signed_in"),
    _bytes("working_keys"),
)

# A row for each terminal, only to be locked by the program that works for it: see `claims`.
CLAIMS = sa.Table("claims", METADATA, sa.Column("terminal_id", sa.String(8), primary_key=True))

# One settlement of one batch, begun before its first question is sent.
SETTLEMENTS = sa.Table(
    "settlements",
    METADATA,
    sa.Column("terminal_id", sa.String(8), primary_key=True),
    sa.Column("batch", sa.BigInteger, primary_key=True, autoincrement=False),
    _number("stan"),
    _number("payments"),
    _number("amount"),
    _number("currency"),
    _text("state", 10),
    _number("uploaded"),
    _number("end_stan"),
    _number("changed_at"),
)

# Units that no gateway speaks to any more.
REVOCATIONS = sa.Table(
    "revocations",
    METADATA,
    sa.Column("unit_id", _UNIT_ID, primary_key=True),
    _number("at"),
    _text("why"),
)

# The bytes of what is placed for units, once however many units wait for them.
FILES = sa.Table(
    "files",
    METADATA,
    sa.Column("sha256", sa.String(64), primary_key=True),
    _bytes("content"),
)

# The newest file of each kind that the office has placed for a unit. `state` is one of
# placements.STATES; `why` is the unit's reason where it was refused.
PLACEMENTS = sa.Table(
    "placements",
    METADATA,
    sa.Column("unit_id", _UNIT_ID, primary_key=True),
    sa.Column("kind", sa.String(20), primary_key=True),
    _text("sha256", 64),
    _text("state", 10),
    _number("placed_at"),
    _number("changed_at"),
    _text("why"),
    sa.Index("placements_state", "state"),
)
