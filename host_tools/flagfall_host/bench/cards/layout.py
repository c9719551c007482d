"""Which data object stands in which record, and the AFL that says so (EMV Book 3, 10.2)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """One AFL entry: records `first`, `first` + 1, ... of a file, each a tuple of tags.

    The first `signed` of them hold the static data to be authenticated.
    """

    sfi: int
    first: int
    records: tuple[tuple[str, ...], ...]
    signed: int = 0


Layout = tuple[Group, ...]

_DATES = ("5F24", "5F25")
_USE = ("9F07", "9F08", "5F28", "9F4A")
_ACTIONS = ("8E", "9F0D", "9F0E", "9F0F", "8C", "8D")

# The last record holds 9F74 alone: the shorter it is, the smaller the window in which a card
# can be torn (payment guidance of UnionPay's personalisation).

# 4 reads; 3 if the signature stands in the GPO answer. Wants a CA of at most 1408 bit.
SHORT: Layout = (
    Group(
        2,
        1,
        (
            (*_DATES, "5A", *_USE, "8F", "9F32", "90", "92"),
            ("9F46", "9F47", "9F48"),
            ("9F4B",),
        ),
        signed=1,
    ),
    Group(5, 1, (("9F74",),)),
)

# 6 reads, for keys whose certificates fill a record each.
WIDE: Layout = (
    Group(
        2,
        1,
        (
            (*_DATES, "5A", *_USE, *_ACTIONS),
            ("90",),
            ("8F", "9F32", "92", "9F47", "9F48"),
            ("9F46",),
            ("9F4B",),
        ),
        signed=1,
    ),
    Group(5, 1, (("9F74",),)),
)

# 8 reads, AFL 10010200 38010501 28010100, as one issuer's personalisation of 2015 has it.
EIGHT: Layout = (
    Group(2, 1, (("5F30", "9F42"), ("8F", "9F32", "92"))),
    Group(
        7,
        1,
        (
            (*_DATES, "5A", *_USE, *_ACTIONS),
            ("90",),
            ("9F46",),
            ("9F47", "9F48"),
            ("9F4B", "9F5D"),
        ),
        signed=1,
    ),
    Group(5, 1, (("9F74",),)),
)

# 5 reads: SM2 certificates have no remainders and no exponents.
SM2: Layout = (
    Group(8, 1, ((*_DATES, "5A", *_USE, *_ACTIONS),), signed=1),
    Group(9, 1, (("8F", "90"), ("9F46", "9F49"), ("9F4B",))),
    Group(5, 1, (("9F74",),)),
)

# 3 reads, Kernel 3: the signature comes last, with 9F69 behind it.
VISITOR: Layout = (
    Group(
        2,
        1,
        ((*_DATES, "5A", *_USE, "90"), ("8F", "9F32", "92", "9F46", "9F47", "9F48")),
        signed=1,
    ),
    Group(3, 1, (("9F4B",),)),
)


def without(layout: Layout, *tags: str) -> Layout:
    """The layout less some tags; records that become empty go, and later ones move up."""
    groups = []
    for group in layout:
        kept = [tuple(t for t in record if t not in tags) for record in group.records]
        records = tuple(record for record in kept if record)
        if records:
            groups.append(Group(group.sfi, group.first, records, min(group.signed, len(records))))
    return tuple(groups)


def afl(layout: Layout) -> bytes:
    """Tag 94: SFI * 8, first, last and the number of signed records, for each group."""
    return b"".join(
        bytes([g.sfi << 3, g.first, g.first + len(g.records) - 1, g.signed]) for g in layout
    )
