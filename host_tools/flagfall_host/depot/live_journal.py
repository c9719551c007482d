"""Looking into the journal of a unit on the cable, while it meters.

What comes is what an image would give: the sector headers, the records from some seq on, the
chain check. Nothing is booked and no receipt is given, so the unit's journal stays as it is.
"""

from collections.abc import Sequence
from typing import Any

from flagfall.journal.medium import SECTOR
from flagfall.journal.record import Damage, Record, parse, slot_bytes
from flagfall.journal.sector import BLANK, GOOD, HEADER, RETIRED, Header, build_header
from flagfall.link import messages
from flagfall.link.proof import journal_key

from flagfall_host.depot import journal_chain
from flagfall_host.depot.journal_image import JournalImage, Placed, Sector
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import UnitFault
from flagfall_host.depot.pull import Progress, pull


class _Seen:
    """A ledger that remembers and books nothing: it never has a receipt to give."""

    def __init__(self, from_seq: int) -> None:
        self.items: list[Record | Damage] = []
        self._from = from_seq

    repeated = 0
    refused: Sequence[Any] = ()
    findings: Sequence[Any] = ()

    def last_seq(self, unit_id: str) -> int:
        return self._from - 1

    def book(self, unit_id: str, raws: list[bytes], key: bytes) -> "_Seen":
        self.items += [parse(raw) for raw in raws]
        return self

    def book_damage(self, unit_id: str, damage: Any, accepted: bool = False) -> None:
        if damage.raw or damage.address:  # else: a receipt has freed it
            self.items.append(
                Damage(damage.first_seq, damage.last_seq, damage.address, damage.raw)
            )

    def receipt(self, unit_id: str) -> None:
        return None


def read_live(
    link: Link,
    newest: int = 0,
    progress: Progress | None = None,
    head: journal_chain.Link | None = None,
) -> JournalImage:
    """The journal of the unit on an opened `link`: its newest records, or with 0 all it holds.

    `head` is a record known to have been written (journal_chain.verify). Raises LinkError.
    """
    if link.unit_key is None:
        raise ValueError("open the link first")
    told = link.ask(messages.INFO).get("journal")
    if not isinstance(told, dict):
        raise UnitFault(f"{link.wire.name}: the unit has no journal yet: provision it first")
    acked, last = int(told["acked_seq"]), int(told["last_seq"])
    sectors = _sectors(link)
    order = sorted(
        (s for s in sectors if s.header.state == GOOD), key=lambda s: s.header.generation
    )
    first = max(1, last - newest + 1) if newest else 1
    if order:
        first = min(first, order[-1].header.first_seq)  # how full the newest is, they tell
    seen = _Seen(first)
    pull(link, seen, progress, accept_damaged=True)
    for sector, after in zip(order, [*order[1:], None], strict=True):
        sector.last_seq = after.header.first_seq - 1 if after else max(last, 0)
    placed = _place(order, seen.items)
    findings = journal_chain.verify(
        seen.items, journal_key(link.unit_key), head=head, booked=None if newest else acked
    )
    return JournalImage(
        len(sectors) * SECTOR, sectors, order, placed, [], seen.items, acked, findings
    )


def _sectors(link: Link) -> list[Sector]:
    out: list[Sector] = []
    while True:
        answer = link.ask(messages.SECTORS, messages.pack_u32(len(out)))
        rows, count = answer.get("rows"), answer.get("sectors")
        if not isinstance(rows, list) or not isinstance(count, int) or not rows:
            raise UnitFault(f"{link.wire.name}: the unit's answer about its sectors is malformed")
        out += [_sector(len(out) + i, *row) for i, row in enumerate(rows)]
        if len(out) >= count:
            return out


def _sector(place: int, state: int, generation: int, first_seq: int) -> Sector:
    raw = bytearray(HEADER)
    build_header(raw, generation, first_seq, 0, 0, 0, False, state == RETIRED)
    header = Header(raw)
    header.state = state
    return Sector(place, header, erased=state == BLANK)


def _place(order: list[Sector], items: Sequence[Record | Damage]) -> list[Placed]:
    """Put each record into its sector. Where in it a record stands, its order tells."""
    out: list[Placed] = []
    at = 0
    offset = HEADER
    for item in items:
        if isinstance(item, Damage):
            continue
        while at + 1 < len(order) and order[at + 1].header.first_seq <= item.seq:
            at += 1
            offset = HEADER
        if not order:
            break
        placed = Placed(item, order[at].place * SECTOR + offset)
        offset += slot_bytes(len(item.body))
        order[at].placed.append(placed)
        out.append(placed)
    return out
