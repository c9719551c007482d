"""What somebody must still look into, each matter with the records behind it."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema
from flagfall.journal.record import RecordError, parse

from flagfall_host.ledger import period
from flagfall_host.ledger.findings import Finding
from flagfall_host.ledger.matters import open_matters
from flagfall_host.record_words import words

MOST = 200  # shown in one report
_TITLES = {
    "torn": "torn payment, open",
    "disputed": "disputed money",
    "refused-money": "refused by the acquirer",
    "refused": "record refused",
    "damaged": "records lost",
    "gap": "records missing",
}
_DO = {
    "torn": "Pull the unit again: when the card comes back it says whether it was debited.",
    "disputed": "Look into it, then `flagfall ledger resolve {unit} {seq} --to ...`.",
    "refused-money": "Ask the acquirer, then `flagfall ledger acknowledge {unit} {seq}`.",
    "refused": "Find out where it came from, then `flagfall ledger acknowledge {unit} {seq}`.",
    "damaged": "When it has been looked into: `flagfall unit pull --accept-damaged`.",
    "gap": "Pull the unit again.",
}
_LOST = "When the loss was accepted: `flagfall ledger acknowledge {unit} {seq}`."
_BESIDE = ("gap", "damaged")  # shown by the records around them


def exceptions(
    connection: sa.Connection, unit_id: str | None, time_text: Callable[[int], str]
) -> dict[str, Any]:
    """`count` of open matters, `by_kind`, and `matters`: the first MOST with their records."""
    found = open_matters(connection, unit_id)
    kinds: dict[str, int] = {}
    for finding in found:
        title = _TITLES.get(finding.kind, finding.kind)
        kinds[title] = kinds.get(title, 0) + 1
    return {
        "count": len(found),
        "by_kind": kinds,
        "matters": [_matter(connection, f, time_text) for f in found[:MOST]],
    }


def _matter(
    connection: sa.Connection, finding: Finding, time_text: Callable[[int], str]
) -> dict[str, Any]:
    unit, first, last = finding.unit_id, finding.first_seq, finding.last_seq
    advice = _DO.get(finding.kind, "")
    if finding.kind == "damaged" and "accepted as lost" in finding.text:
        advice = _LOST
    if finding.kind in _BESIDE:
        rows = [
            *period.behind(connection, unit, first - 1, first - 1),
            *period.behind(connection, unit, last + 1, last + 1),
        ]
    else:
        seqs = [*period.same_debit(connection, unit, first), first]
        if finding.kind != "disputed":
            seqs = [first]
        rows = [row for seq in seqs for row in period.behind(connection, unit, seq, seq)]
    return {
        "kind": finding.kind,
        "title": _TITLES.get(finding.kind, finding.kind),
        "unit": unit,
        "first_seq": first,
        "last_seq": last,
        "text": finding.text,
        "do": advice.format(unit=unit, seq=first),
        "records": [_shown(row, time_text) for row in rows],
        "moves": _moves(connection, finding, time_text),
    }


def _shown(row: dict[str, Any], time_text: Callable[[int], str]) -> dict[str, Any]:
    try:
        record = parse(bytes(row["raw"]))
        text = words(record.type, schema.unpack(record.type, record.body))
    except (RecordError, schema.SchemaError) as e:
        text = f"cannot be read: {e}"
    return {
        "seq": row["seq"],
        "epoch": row["epoch"],
        "type": schema.type_name(row["type"]),
        "time": time_text(row["time"]),
        "text": text,
    }


def _moves(
    connection: sa.Connection, finding: Finding, time_text: Callable[[int], str]
) -> list[dict[str, Any]]:
    """How the money of the record in question has moved; if it never did, how it stands."""
    if finding.kind not in ("disputed", "refused-money"):
        return []
    rows = [
        {**row, "at": time_text(row["at"])}
        for row in period.moves(connection, finding.unit_id, finding.first_seq)
    ]
    if rows:
        return rows
    return [
        {"at": time_text(row["changed_at"]), "was": None, "state": row["state"], "why": row["why"]}
        for row in period.standing(connection, finding.unit_id, finding.first_seq)
    ]
