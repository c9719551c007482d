"""A ledger for the link's tests: it notes what it is given and checks that nothing comes twice."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flagfall.journal.record import parse


@dataclass
class Noted:
    """What the ledger says of a batch; here nothing is ever wrong with one."""

    repeated: int = 0
    refused: list[Any] = field(default_factory=list)
    findings: list[Any] = field(default_factory=list)


class NoteLedger:
    """Books in memory. `records` holds (seq, raw) in the order of booking."""

    def __init__(self) -> None:
        self.records: list[tuple[int, bytes]] = []
        self.damage: list[tuple[int, int, bool]] = []
        self.batches = 0
        self.alive: Callable[[], bool] = lambda: True

    def last_seq(self, unit_id: str) -> int:
        booked = [seq for seq, _ in self.records] + [last for _, last, _ in self.damage]
        return max(booked, default=0)

    def book(self, unit_id: str, raws: list[bytes], journal_key: bytes) -> Noted:
        result = Noted()
        if not self.alive():
            return result  # a process that was killed commits nothing
        self.batches += 1
        for raw in raws:
            record = parse(raw)
            assert record.seq > self.last_seq(unit_id), "booked twice or out of order"
            self.records.append((record.seq, raw))
        return result

    def book_damage(self, unit_id: str, damage: Any, accepted: bool = False) -> None:
        self.damage.append((damage.first_seq, damage.last_seq, accepted))

    def receipt(self, unit_id: str) -> tuple[int, int, bytes] | None:
        open_from = min((f for f, _, accepted in self.damage if not accepted), default=1 << 32)
        raws = [raw for seq, raw in self.records if seq < open_from]
        if not raws:
            return None
        record = parse(raws[-1])
        return record.epoch, record.seq, record.mac[:4]

    @property
    def seqs(self) -> list[int]:
        return [seq for seq, _ in self.records]
