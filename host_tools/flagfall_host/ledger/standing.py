"""Where a unit stands in the ledger: what the next pull starts from, and what a receipt says."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Receipt(NamedTuple):
    """Everything of a unit up to and with `seq` is on the host's disk; `link` is 4 bytes."""

    epoch: int
    seq: int
    link: bytes


class Standing(NamedTuple):
    """All up to `last_seq` is booked, or lost and accepted as lost; 0: none."""

    last_seq: int
    receipt: Receipt | None


def standing_of(row: Mapping[str, Any] | None) -> Standing:
    """What a `units` row says; None: the unit has none."""
    if row is None:
        return Standing(0, None)
    receipt = None
    if row["receipt_seq"]:
        receipt = Receipt(row["receipt_epoch"], row["receipt_seq"], bytes(row["receipt_link"]))
    return Standing(row["upto_seq"], receipt)
