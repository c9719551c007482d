"""The books after a shift, and where two of them part.

Not compared, since it is random or says where it was made: sealed card data and wrapped keys (but
for their length), and what is chained to them (MACs, and a receipt's link); the acquirer's batches
and trace numbers.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema
from flagfall.journal.record import Record

from flagfall_host.acquirer.book import Book
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.tables import RECORDS
from flagfall_host.simulation.recorded_shift import Books

_RANDOM = ("sealed", "wrapped")
_CHAINED = ("link", "version")


def books_of(ledger: Ledger, unit_id: str, balances: dict[str, int], book: Book) -> Books:
    """What ledger, cards and acquirer say of one unit's shift. Nothing else is in `book`."""
    with ledger.reading() as db:
        query = sa.select(RECORDS.c.raw).where(RECORDS.c.unit_id == unit_id)
        raws = db.execute(query.order_by(RECORDS.c.seq, RECORDS.c.epoch)).scalars().all()
    return Books(
        records=[_plain(Record(raw)) for raw in raws],
        summary=json.loads(json.dumps(ledger.summary(unit_id))),
        balances=balances,
        sales=sorted((digits, atc, amount) for *_, amount, digits, atc in book.sales()),
    )


def _plain(record: Record) -> dict[str, Any]:
    """A record without what may differ."""
    out = {
        "seq": record.seq,
        "epoch": record.epoch,
        "time": record.time,
        "type": schema.type_name(record.type),
    }
    for name, value in schema.unpack(record.type, record.body).items():
        if name in _RANDOM:
            out[f"{name}_bytes"] = len(value)
        elif name not in _CHAINED:
            out[name] = value.hex() if isinstance(value, bytes) else value
    return out


def part(there: Books, here: Books) -> str:
    """Where the books `here` first differ from those `there`, in a line; empty: nowhere.

    Records that only came after the last pull there are not looked at.
    """
    for ours, theirs in zip(here.records, there.records, strict=False):
        if ours != theirs:
            return f"record {theirs['seq']}, {theirs['type']}: {_fields(theirs, ours)}"
    if len(here.records) < len(there.records):
        missing = there.records[len(here.records)]
        return f"record {missing['seq']}, {missing['type']}, is not there: {missing}"
    later = len(here.records) - len(there.records)
    summary = {**there.summary, "records": there.summary["records"] + later}
    for name, theirs_all, ours_all in (
        ("the ledger's summary", summary, here.summary),
        ("the cards' purses", there.balances, here.balances),
    ):
        if theirs_all != ours_all:
            return f"{name}: {_fields(theirs_all, ours_all)}"
    return _sales(there.sales, here.sales)


def _fields(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    names = [n for n in {**theirs, **ours} if theirs.get(n) != ours.get(n)]
    return ", ".join(f"{n} {ours.get(n)} instead of {theirs.get(n)}" for n in names)


def _sales(theirs: Iterable[tuple[str, int, int]], ours: Iterable[tuple[str, int, int]]) -> str:
    there, here = Counter(theirs), Counter(ours)
    lost, invented = there - here, here - there
    if lost or invented:
        return (
            "the acquirer's book (last digits, transaction, amount): "
            f"missing {sorted(lost)}, too many {sorted(invented)}"
        )
    return ""
