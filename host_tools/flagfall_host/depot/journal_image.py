"""Reading the image of a unit's journal partition: sectors, records, damage, chain.

It takes the bytes as they are and never changes them. docs/formats.md section 2.3 says in which
order sectors and records count.
"""

from dataclasses import dataclass, field
from pathlib import Path

from flagfall.journal import schema
from flagfall.journal.medium import SECTOR
from flagfall.journal.record import SLOT, Damage, Record, length_at, mac_good, slot_bytes
from flagfall.journal.sector import BLANK, DAMAGED, GOOD, HEADER, RETIRED, UNTOLD, Header

from flagfall_host.depot import journal_chain
from flagfall_host.errors import FlagfallError

_ROOM = SECTOR - HEADER  # bytes of a sector that take records
_REMAINS = 256  # bytes of damage that are kept
_STATES = {BLANK: "blank", GOOD: "good", DAMAGED: "damaged", RETIRED: "retired"}


class ImageError(FlagfallError):
    """A file that is not the image of a journal partition."""


@dataclass
class Placed:
    """A record and where it stands in the image."""

    record: Record
    address: int

    @property
    def end(self) -> int:
        return self.address + slot_bytes(len(self.record.body))


@dataclass
class Sector:
    """One sector: its place, what its header says, and the good records in it, all of them."""

    place: int
    header: Header
    placed: list[Placed] = field(default_factory=list)
    remains: list[tuple[int, int]] = field(default_factory=list)  # (address, end), not FF
    erased: bool = False  # all FF
    last_seq: int | None = None  # where that is known without the records

    @property
    def state(self) -> str:
        return _STATES[self.header.state]


@dataclass
class JournalImage:
    """What an image holds.

    `sectors` stand in the order of their place, `order` lists those that count by age. `placed`
    are the records that count by seq, `strays` good ones that do not, `items` the records with
    Damage in between, `findings` what the chain check says.
    """

    size: int
    sectors: list[Sector]
    order: list[Sector]
    placed: list[Placed]
    strays: list[Placed]
    items: list[Record | Damage]
    acked_seq: int
    findings: list[journal_chain.Finding]

    @property
    def records(self) -> list[Record]:
        return [placed.record for placed in self.placed]

    @property
    def free(self) -> int:
        """Bytes of slots that can be written now, as the unit counts them."""
        uses = [self.use_of(sector) for sector in self.sectors]
        capacity = (len(uses) - uses.count("retired") - 1) * _ROOM
        full = max(0, uses.count("live") - 1) * _ROOM
        return max(0, capacity - full - (self.reach(self.order[-1]) - HEADER if self.order else 0))

    def reach(self, sector: Sector) -> int:
        """Bytes from the start of the sector to the end of its records."""
        if sector.last_seq is not None and sector is not self.order[-1]:
            return SECTOR  # it was left for the next one
        end = max((p.end for p in sector.placed), default=0)
        return end - sector.place * SECTOR if end else HEADER

    @property
    def damages(self) -> list[Damage]:
        return [item for item in self.items if isinstance(item, Damage)]

    @property
    def last_seq(self) -> int:
        return self.placed[-1].record.seq if self.placed else 0

    def use_of(self, sector: Sector) -> str:
        """What a sector is to the unit: live, acknowledged, erased, retired or rubbish."""
        if sector.header.state == RETIRED:
            return "retired"
        if sector.erased:
            return "erased"
        if sector not in self.order:
            return "rubbish"
        last = sector.last_seq
        if last is None:
            last = max((p.record.seq for p in sector.placed), default=sector.header.first_seq)
        newest = sector is self.order[-1]
        return "live" if newest or last > self.acked_seq else "acknowledged"


def read_image(
    source: Path | str | bytes,
    journal_key: bytes | None = None,
    head: journal_chain.Link | None = None,
) -> JournalImage:
    """Read an image file, or its bytes. `journal_key` None leaves the MACs unchecked.

    `head`: a record known to have been written (see journal_chain.verify). Raises ImageError for
    a file that cannot be an image; damage inside is part of the answer.
    """
    data = source if isinstance(source, bytes) else _load(Path(source))
    if not data or len(data) % SECTOR:
        name = "the image" if isinstance(source, bytes) else str(source)
        raise ImageError(
            f"{name} has {len(data)} bytes, which is no number of 4096-byte sectors: "
            "give the image of a whole journal partition"
        )
    sectors = [_sector(data, place, journal_key) for place in range(len(data) // SECTOR)]
    order = _by_age(sectors)
    placed, strays = _that_count(order)
    acked = _acked(order, placed, journal_key)
    items = _with_damage(data, order, placed, acked)
    # A ring of checkpoints runs free: what is gone from it needs no receipt.
    free_running = bool(placed) and all(p.record.type == schema.CHECKPOINT for p in placed)
    booked = None if free_running else acked
    findings = journal_chain.verify(items, journal_key, head=head, booked=booked)
    findings += _strays_found(order, placed, strays)
    return JournalImage(len(data), sectors, order, placed, strays, items, acked, findings)


def _load(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise ImageError(f"{path}: {e.strerror}: give the image of a journal partition") from e


def _sector(data: bytes, place: int, key: bytes | None) -> Sector:
    base = place * SECTOR
    raw = data[base : base + SECTOR]
    sector = Sector(place, Header(raw[:HEADER]), erased=raw.count(0xFF) == SECTOR)
    offset = HEADER
    lost = False
    while offset < SECTOR:
        n = length_at(raw, offset, SECTOR)
        if n and (not lost or key is None or mac_good(key, raw[offset : offset + n])):
            sector.placed.append(Placed(Record(raw[offset : offset + n]), base + offset))
            offset = sector.placed[-1].end - base
            lost = False
            continue
        if raw[offset : offset + SLOT] != b"\xff" * SLOT:
            end = base + offset + SLOT
            if sector.remains and sector.remains[-1][1] == base + offset:
                sector.remains[-1] = (sector.remains[-1][0], end)
            else:
                sector.remains.append((base + offset, end))
        lost = True
        offset += SLOT
    return sector


def _by_age(sectors: list[Sector]) -> list[Sector]:
    """The sectors that count, oldest first.

    Good headers by generation; a damaged one that still holds records comes after the sector in
    the place before it, or by its first record if none of the headers is good.
    """
    order = sorted(
        (s for s in sectors if s.header.state == GOOD), key=lambda s: s.header.generation
    )
    damaged = [s for s in sectors if s.header.state == DAMAGED and s.placed]
    for sector in damaged:
        seq = sector.placed[0].record.seq
        at = len(order)
        for i, other in enumerate(order):
            if _first_seq(other) > seq:
                at = i
                break
        order.insert(at, sector)
    return order


def _first_seq(sector: Sector) -> int:
    return sector.header.first_seq if sector.header.state == GOOD else sector.placed[0].record.seq


def _that_count(order: list[Sector]) -> tuple[list[Placed], list[Placed]]:
    """Of records with the same seq the later counts; a lower seq than before is a stray."""
    found: list[Placed] = []
    strays: list[Placed] = []
    for sector in order:
        moved = sector.header.state == GOOD and sector.header.moved
        again: list[Placed] = []
        if moved:
            while found and found[-1].record.seq >= sector.header.first_seq:
                again.append(found.pop())
        for placed in sector.placed:
            if found and placed.record.seq < found[-1].record.seq:
                strays.append(placed)
            elif found and placed.record.seq == found[-1].record.seq:
                found[-1] = placed
            else:
                found.append(placed)
        # A move that the power interrupted: what was not yet copied still counts.
        for placed in reversed(again):
            if not found or placed.record.seq > found[-1].record.seq:
                found.append(placed)
    return found, strays


def _acked(order: list[Sector], placed: list[Placed], key: bytes | None) -> int:
    acked = 0
    for sector in order:
        if sector.header.state == GOOD and sector.header.acked != UNTOLD:
            acked = max(acked, sector.header.acked)
    for p in placed:
        record = p.record
        if record.type == schema.ACK and (key is None or mac_good(key, record.raw)):
            try:
                upto = schema.unpack(schema.ACK, record.body)["upto_seq"]
            except schema.SchemaError:
                continue
            if upto < record.seq:
                acked = max(acked, upto)
    return acked


def _with_damage(
    data: bytes, order: list[Sector], placed: list[Placed], acked: int
) -> list[Record | Damage]:
    """The records, with Damage where a seq that no receipt covers is missing beside remains."""
    remains = [r for sector in order for r in sector.remains]
    items: list[Record | Damage] = []
    expected = min(acked + 1, _first_seq(order[0])) if order else 1
    before = order[0].place * SECTOR + HEADER if order else 0
    for p in placed:
        seq = p.record.seq
        if seq > expected:
            first = max(expected, acked + 1)
            at = _remains_between(remains, before, p.address)
            if first < seq and at is not None:
                items.append(Damage(first, seq - 1, at, data[at : at + _REMAINS]))
        items.append(p.record)
        expected = seq + 1
        before = p.end
    return items


def _remains_between(remains: list[tuple[int, int]], before: int, after: int) -> int | None:
    """Where remains begin on the way from address `before` on to `after`, round the partition."""
    for start, _ in remains:
        inside = before <= start < after if before <= after else start >= before or start < after
        if inside:
            return start
    return None


def _strays_found(
    order: list[Sector], placed: list[Placed], strays: list[Placed]
) -> list[journal_chain.Finding]:
    seqs = {p.record.seq: p.record for p in placed}
    out = []
    for stray in strays:
        seq = stray.record.seq
        known = seqs.get(seq)
        kind = journal_chain.REPLAYED if known else journal_chain.REORDERED
        text = f"seq {seq}: an older record stands at 0x{stray.address:x}"
        out.append(journal_chain.Finding(kind, seq, seq, text))
    return out
