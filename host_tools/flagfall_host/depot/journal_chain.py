"""Checking a unit's records against each other: MAC, seq, link and epoch (docs/formats.md 2.2).

What is told apart: a record that was **forged** (its MAC is not the unit's), **deleted**,
**reordered**, **replayed** (it comes a second time, or from an older epoch), **exchanged** (the
record before is not the one that this one was chained to), or cut off the end (**truncated**).
A **damaged** record is not an attack: its remains are still there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flagfall.journal import schema
from flagfall.journal.record import NO_LINK, Damage, Record, mac_good

FORGED = "forged"
DELETED = "deleted"
REORDERED = "reordered"
REPLAYED = "replayed"
EXCHANGED = "exchanged"
TRUNCATED = "truncated"
DAMAGED = "damaged"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, the seqs that it is about, and a sentence."""

    kind: str
    first_seq: int
    last_seq: int
    text: str


@dataclass(frozen=True)
class Link:
    """A record as others know it: epoch, seq and the first 4 bytes of its MAC."""

    epoch: int
    seq: int
    mac: bytes


def link_of(record: Record) -> Link:
    return Link(record.epoch, record.seq, record.mac[:4])


def verify(
    items: Iterable[Record | Damage],
    journal_key: bytes | None,
    after: Link | None = None,
    head: Link | None = None,
    booked: int | None = None,
) -> list[Finding]:
    """Check `items` in the order in which they stand or came; return what is wrong.

    `journal_key` None leaves the MACs unchecked. `after` is the record that the first must follow
    (None: any start is taken, as older ones may be erased). `head` is a record known to have
    been written, from the ledger or from the unit: the journal may not end before it. `booked`:
    a receipt covers all up to this seq, which may be gone, and nothing after it.
    """
    check = _Check(journal_key, after)
    for item in items:
        check.take(item)
    return check.finish(head, booked)


class _Check:
    def __init__(self, journal_key: bytes | None, after: Link | None):
        self.key = journal_key
        self.findings: list[Finding] = []
        self.seen: dict[int, Link] = {}
        self.last: Link | None = after  # the record with the highest seq
        self.missing: set[int] = set()
        self.damaged: set[int] = set()
        self.receipts: list[tuple[int, Link]] = []
        if after:
            self.seen[after.seq] = after

    def say(self, kind: str, first: int, last: int, text: str) -> None:
        which = f"seq {first}" if first == last else f"seq {first} to {last}"
        self.findings.append(Finding(kind, first, last, f"{which}: {text}"))

    def take(self, item: Record | Damage) -> None:
        if isinstance(item, Damage):
            self.damaged.update(range(item.first_seq, item.last_seq + 1))
            place = f"at 0x{item.address:x}" if item.address >= 0 else "in the unit's flash"
            self.say(DAMAGED, item.first_seq, item.last_seq, f"damaged {place}")
            return
        if self.key is not None and not mac_good(self.key, item.raw):
            self.say(FORGED, item.seq, item.seq, "the MAC is not this unit's")
            # Its seq and link are an attacker's words: they must not excuse or accuse others.
            self.damaged.add(item.seq)
            return
        here = link_of(item)
        if item.seq in self.seen:
            same = self.seen[item.seq] == here
            text = "the same record again" if same else "a second record with this seq"
            self.say(REPLAYED, item.seq, item.seq, text)
            return
        self.seen[item.seq] = here
        if self.last is not None and item.seq < self.last.seq:
            self.missing.discard(item.seq)
            if item.epoch > self.last.epoch:
                self.say(REPLAYED, item.seq, item.seq, "older than what stands before it")
            else:
                self.say(REORDERED, item.seq, item.seq, f"stands after seq {self.last.seq}")
            return
        self._follow(item, here)
        if item.type == schema.ACK:
            self._receipt(item)
        self.last = here

    def _follow(self, item: Record, here: Link) -> None:
        if self.last is None:
            if item.seq == 1 and item.link != NO_LINK:
                self.say(EXCHANGED, 1, 1, "the first record is chained to another")
            return
        if item.epoch < self.last.epoch:
            self.say(
                REPLAYED,
                item.seq,
                item.seq,
                f"epoch {item.epoch} after epoch {self.last.epoch}: an older state was put back",
            )
        if item.seq > self.last.seq + 1:
            self.missing.update(range(self.last.seq + 1, item.seq))
        elif item.link != self.last.mac and not (item.link == NO_LINK and self._lost(item.seq)):
            self.say(
                EXCHANGED,
                self.last.seq,
                self.last.seq,
                f"not the record that seq {item.seq} was chained to",
            )

    def _lost(self, seq: int) -> bool:
        return seq - 1 in self.damaged

    def _receipt(self, item: Record) -> None:
        try:
            fields = schema.unpack(schema.ACK, item.body)
        except schema.SchemaError:
            return
        link = Link(fields["epoch"], fields["upto_seq"], fields["link"])
        self.receipts.append((item.seq, link))

    def finish(self, head: Link | None, booked: int | None) -> list[Finding]:
        missing = self.missing - self.damaged
        if booked is not None:
            first_seen = min(self.seen, default=booked + 1)
            missing |= set(range(booked + 1, first_seen)) - self.damaged
            missing = {seq for seq in missing if seq > booked}
        for first, last in _runs(missing):
            self.say(DELETED, first, last, "gone without remains")
        for seq, link in self.receipts:
            if link.seq in self.seen and self.seen[link.seq] != link:
                self.say(
                    EXCHANGED, link.seq, link.seq, f"not the record that receipt {seq} was for"
                )
        if head is not None:
            end = self.last.seq if self.last else 0
            if end < head.seq:
                self.say(TRUNCATED, end + 1, head.seq, "cut off the end")
            elif head.seq in self.seen and self.seen[head.seq] != head:
                self.say(EXCHANGED, head.seq, head.seq, "not the record that was known before")
        return self.findings


def _runs(seqs: set[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs
