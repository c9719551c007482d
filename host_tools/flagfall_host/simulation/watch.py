"""What must hold, looked at all the while and counted at the end."""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flagfall.journal import schema
from flagfall.journal.record import length_at, seq_at

from flagfall_host.acquirer.book import Book
from flagfall_host.bench.cards.memory import CardMemory
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.tables import PAYMENTS, RECORDS, TRIPS
from flagfall_host.simulation.flash import BLOCK
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.wallet import Owned, Wallet

_BLINK_MS = 50
_PAID = (schema.APPROVED, schema.TORN_DEBITED)
_TORN = (schema.TORN, schema.TORN_GIVEN_UP)


class Violation(AssertionError):
    """Something that must never happen has happened."""


@dataclass(frozen=True)
class Debit:
    """What a purse has given away."""

    number: str  # last four digits
    atc: int
    amount: int


@dataclass
class Watched:
    """What is known of one unit by looking."""

    attempts: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # payments to be appended
    durable: Counter[tuple[Any, ...]] = field(default_factory=Counter)  # appended: in flash
    digits: dict[int, str] = field(default_factory=dict)  # seq of a tear: its card's last digits
    unannounced: int = 0  # approved and durable, not yet shown
    fare: int = 0  # on the face, since `since` ms
    since: int = 0
    seen_fare: int = 0  # that of this trip which somebody has seen
    earlier: int = 0  # that shown before the last second
    fares: dict[int, int] = field(default_factory=dict)  # trip: what was seen of its fare
    faces: deque[tuple[int, int]] = field(default_factory=deque)  # ms, fare: of the last second
    power_ons: int = 0
    trip: int = -1
    hired: set[int] = field(default_factory=set)  # trips that were seen to run
    seen: tuple[int, int] = (-1, 0)  # the newest trip, and when it was seen first, ms

    def begin_at(self, fare: int) -> None:
        """From here on the fare may not be less than this."""
        self.fare = self.seen_fare = self.earlier = fare
        self.faces.clear()

    def shown(self, now_ms: int, fare: int, may_lose_ms: int) -> None:
        """A face showed the fare."""
        self.faces.append((now_ms, fare))
        while self.faces and self.faces[0][0] <= now_ms - may_lose_ms:
            self.earlier = self.faces.popleft()[1]


class Watch:
    """Looks at units, cards and books. Every method raises Violation."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self.units: dict[str, Watched] = {}
        self.debits: list[Debit] = []
        self.approved = 0
        self.newest_booked: Callable[[str], int] = lambda unit: 0  # a unit's newest in the ledger
        self._booked: dict[str, int] = {}  # what it said last

    # --- all the while ------------------------------------------------------------------------

    def unit(self, taxi: Taxi) -> None:
        """Watch a taxi's face, tones and flash."""
        name = taxi.name
        watched = self.units[name] = Watched()

        def on_tone(tone: str) -> None:
            if tone == "approved":
                if not watched.unannounced:
                    raise Violation(f"{name}: a payment is shown that is not in flash")
                watched.unannounced -= 1
                self.approved += 1

        def on_face(face: dict[str, Any]) -> None:
            if taxi.power_ons != watched.power_ons and taxi.may_lose_ms:
                watched.fares[watched.trip] = watched.earlier
            if face.get("trip") != watched.trip or face.get("position") == "FOR HIRE":
                watched.trip = face.get("trip", -1)
                watched.begin_at(0)
            if taxi.power_ons != watched.power_ons:
                watched.power_ons = taxi.power_ons
                if taxi.may_lose_ms:
                    watched.begin_at(watched.earlier)
            fare, now = face.get("fare", 0), self._story.clock()
            # A key is answered before what it does is kept: what the power took at once again
            # nobody has seen.
            dark = round(taxi.outside.dark_at * 1_000)
            blink = watched.since <= dark < watched.since + _BLINK_MS
            if not blink:
                watched.seen_fare = watched.fare
            if fare < watched.seen_fare:
                raise Violation(f"{name}: the fare falls from {watched.seen_fare} to {fare}")
            if fare != watched.fare or blink:
                watched.fare, watched.since = fare, now
            watched.shown(now, fare, taxi.may_lose_ms)
            if face.get("position") != "FOR HIRE":
                watched.fares[watched.trip] = watched.seen_fare
            # A key is answered before what it does is kept: a trip runs once a later face says so.
            if face.get("position") == "HIRED" and watched.trip not in watched.hired:
                if watched.seen[0] != watched.trip:
                    watched.seen = watched.trip, self._story.clock()
                elif self._story.clock() > watched.seen[1]:
                    watched.hired.add(watched.trip)

        taxi.on_tone = on_tone
        taxi.on_face = on_face
        self._watch_erases(taxi)

    def _watch_erases(self, taxi: Taxi) -> None:
        flash = taxi.outside.journal_flash
        erase = flash._erase

        def watched_erase(block: int) -> None:
            if not flash.power.off and not taxi.outside.bad_sectors:
                newest = _newest_seq(bytes(flash.data[block * BLOCK : (block + 1) * BLOCK]))
                if not self._is_booked(taxi.name, newest):
                    raise Violation(f"{taxi.name}: record {newest} is erased without a receipt")
            erase(block)

        flash._erase = watched_erase

    def receipts(self, taxis: Iterable[Taxi]) -> None:
        """No unit takes for booked what the office does not have."""
        for taxi in taxis:
            if not taxi.powered or taxi.board.booking is None:  # type: ignore[union-attr]
                continue
            seq = taxi.board.booking.journal.acked_seq  # type: ignore[union-attr]
            if not self._is_booked(taxi.name, seq):
                raise Violation(
                    f"{taxi.name}: has a receipt up to {seq}, booked is {self._booked[taxi.name]}"
                )

    def _is_booked(self, name: str, seq: int) -> bool:
        """Whether the office has a unit's records up to `seq`."""
        if seq > self._booked.get(name, 0):
            self._booked[name] = self.newest_booked(name)
        return seq <= self._booked.get(name, 0)

    def payment(self, name: str, fields: dict[str, Any], seq: int | None) -> None:
        """A unit appends a payment; `seq` once it is in flash."""
        watched = self.units[name]
        key = _payment_key(fields)
        if seq is None:
            watched.attempts[key] += 1
            self._names_its_card(name, fields)
            return
        watched.durable[key] += 1
        if fields["outcome"] == schema.TORN:
            watched.digits[seq] = fields["last_digits"]
        if fields["outcome"] in _PAID:
            watched.unannounced = 1

    def _names_its_card(self, name: str, fields: dict[str, Any]) -> None:
        """What was torn and is paid has the card's digits, at least until the unit may free the
        record of the tear."""
        tear = fields["torn_seq"]
        if fields["outcome"] not in _PAID or self._is_booked(name, tear):
            return
        digits = self.units[name].digits.get(tear)
        if digits not in (None, fields["last_digits"]):
            raise Violation(f"{name}: record {tear} was torn by card {digits}, its payment is not")

    def card(self, owned: Owned) -> None:
        """Watch a card's purse."""
        for memory in owned.card.memories.values():  # type: ignore[attr-defined]
            self._watch_purse(owned, memory)

    def _watch_purse(self, owned: Owned, memory: CardMemory) -> None:
        commit = memory.commit

        def watched_commit(debit: int, log_entry: bytes, at: int, record: bytes) -> None:
            commit(debit, log_entry, at, record)
            if debit:
                self.debits.append(Debit(owned.number, memory.atc, debit))

        memory.commit = watched_commit  # type: ignore[method-assign]

    # --- at the end ----------------------------------------------------------------------------

    def books_agree(self, taxis: list[Taxi], ledger: Ledger, book: Book, wallet: Wallet) -> None:
        """Units, ledger, acquirer's book and the cards' purses, to the fen and to the tap."""
        with ledger.reading() as db:
            rows = [dict(r) for r in db.execute(sa.select(PAYMENTS)).mappings()]
        for taxi in taxis:
            self._no_gap(taxi, ledger)
        self._records_agree(taxis, rows)
        self._with_digits(rows)
        self._book_agrees(rows, book)
        self._purses_agree(rows, wallet)
        for taxi in taxis:
            self._trips_agree(taxi, ledger)

    def _no_gap(self, taxi: Taxi, ledger: Ledger) -> None:
        """Seqs from 1 without a gap, in epochs that only grow. A sector that failed may cost
        some, which the ledger names."""
        with ledger.reading() as db:
            r = RECORDS.c
            query = sa.select(r.seq, r.epoch).where(r.unit_id == taxi.name).order_by(r.seq)
            found = [tuple(row) for row in db.execute(query)]
        if found != sorted(found) or len({seq for seq, _ in found}) != len(found):
            raise Violation(f"{taxi.name}: a seq is booked twice, or epochs go back")
        if found and not taxi.outside.bad_sectors and found[-1][0] != len(found):
            missing = set(range(1, found[-1][0])) - {seq for seq, _ in found}
            raise Violation(f"{taxi.name}: records {sorted(missing)[:5]} are nowhere")

    def _trips_agree(self, taxi: Taxi, ledger: Ledger) -> None:
        """Every trip that was seen to run is recorded, once, with no less than was seen."""
        with ledger.reading() as db:
            t = TRIPS.c
            query = sa.select(t.trip, t.fare).where(t.unit_id == taxi.name)
            fares = [tuple(row) for row in db.execute(query)]
        recorded = Counter(trip for trip, _ in fares)
        twice = [trip for trip, count in recorded.items() if count > 1]
        if twice:
            raise Violation(f"{taxi.name}: trip {twice[0]} is recorded twice")
        lost = self.units[taxi.name].hired - set(recorded)
        if lost:
            raise Violation(f"{taxi.name}: trip {min(lost)} ran and was never recorded")
        for trip, fare in fares:
            seen = self.units[taxi.name].fares.get(trip, 0)
            if fare < seen:
                raise Violation(
                    f"{taxi.name}: trip {trip} is recorded with {fare}, seen was {seen}"
                )

    def resolved_late(self, ledger: Ledger) -> bool:
        """Whether a torn payment was found to be debited at all."""
        with ledger.reading() as db:
            query = sa.select(PAYMENTS.c.seq).where(PAYMENTS.c.outcome == schema.TORN_DEBITED)
            return db.execute(query).first() is not None

    def _records_agree(self, taxis: list[Taxi], rows: list[dict[str, Any]]) -> None:
        for taxi in taxis:
            watched = self.units[taxi.name]
            booked = Counter(_payment_key(r) for r in rows if r["unit_id"] == taxi.name)
            lost = watched.durable - booked
            if lost:
                raise Violation(f"{taxi.name}: in flash, yet not in the ledger: {dict(lost)}")
            invented = booked - watched.attempts
            if invented:
                raise Violation(f"{taxi.name}: nobody made these: {dict(invented)}")

    @staticmethod
    def _with_digits(rows: list[dict[str, Any]]) -> None:
        """A torn payment may be resolved when the unit has freed the record of the tear, and the
        card's digits with it: the ledger still has them."""
        known = {(r["unit_id"], r["seq"]): r["last_digits"] for r in rows}
        for row in rows:
            if row["last_digits"] == "0000" and row["torn_seq"]:
                row["last_digits"] = known.get((row["unit_id"], row["torn_seq"]), "0000")

    def _book_agrees(self, rows: list[dict[str, Any]], book: Book) -> None:
        approved = Counter(
            (r["last_digits"], r["atc"], r["amount"]) for r in rows if r["outcome"] in _PAID
        )
        settled = Counter((digits, atc, amount) for *_, amount, digits, atc in book.sales())
        if approved - settled:
            raise Violation(f"approved, not in the acquirer's book: {dict(approved - settled)}")
        if settled - approved:
            raise Violation(f"in the acquirer's book, never approved: {dict(settled - approved)}")

    def _purses_agree(self, rows: list[dict[str, Any]], wallet: Wallet) -> None:
        purses = {owned.number for owned in wallet.cards if owned.has_purse}
        paid = Counter(
            (r["last_digits"], r["atc"], r["amount"])
            for r in rows
            if r["outcome"] in _PAID and r["last_digits"] in purses
        )
        denied = {
            (r["unit_id"], r["torn_seq"]) for r in rows if r["outcome"] == schema.TORN_NOT_DEBITED
        }
        torn = {
            (r["atc"], r["amount"])
            for r in rows
            if r["outcome"] in _TORN and (r["unit_id"], r["seq"]) not in denied
        }
        debits = Counter((d.number, d.atc, d.amount) for d in self.debits)
        if paid - debits:
            raise Violation(f"charged, but the card gave nothing: {dict(paid - debits)}")
        for number, atc, amount in debits - paid:
            if (atc, amount) not in torn:
                raise Violation(
                    f"card {number} gave {amount} at its transaction {atc}: no unit knows"
                )


def _payment_key(fields: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        fields[name] for name in ("trip", "outcome", "amount", "atc", "last_digits", "torn_seq")
    )


def _newest_seq(sector: bytes) -> int:
    """The highest seq of a good record in a sector; 0 if there is none."""
    newest = 0
    at = 32
    while at < BLOCK - 36:
        n = length_at(sector, at, BLOCK - at)
        if n:
            newest = max(newest, seq_at(sector, at))
            at += (n + 31) // 32 * 32
        else:
            at += 32
    return newest
