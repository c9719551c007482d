"""Pull: every record that the ledger does not have yet, booked, then receipted.

The link carries the records' bytes; whether they are true is the ledger's to say. A lost frame
or a cut is mended by asking again from the first record that is missing.
"""

from collections.abc import Callable
from typing import Any, Protocol

from flagfall.journal.record import Record, RecordError, split
from flagfall.link import messages
from flagfall.link.proof import journal_key

from flagfall_host.depot.at_once import at_once
from flagfall_host.depot.conversation import Conversation, Frame
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import (
    NoAnswer,
    SessionLost,
    UnitFault,
    UnitRefused,
)
from flagfall_host.depot.pulled import (
    Booking,
    BookingDesk,
    DamagedRange,
    Ledger,
    LostRecords,
    PullResult,
)
from flagfall_host.depot.speed import lower_speed

WINDOW = 24  # frames in flight: half a second of line at 921600, longer than a commit takes
_MORE_EVERY = 4  # frames
BATCH_BYTES = 64 * 1024  # booked in one transaction
BATCH_S = 1.0  # seconds after which a smaller batch is booked too
_POOR = 3  # fruitless PULLs after which a lower speed is tried
_KEPT = 256  # bytes of a refused record that are kept with its loss
_NAMED = 4  # losses named in the message
FRUITLESS = 8  # PULLs in a row that brought nothing, before the unit counts as gone


class Progress(Protocol):
    """Told how far a pull is; `total` is the newest seq the unit has named, 0 if unknown."""

    def __call__(self, seq: int, total: int, record_bytes: int) -> None: ...


def pull(
    link: Link,
    ledger: Ledger,
    progress: Progress | None = None,
    *,
    accept_damaged: bool = False,
    window: int = WINDOW,
) -> PullResult:
    """Pull from an opened `link` into `ledger` and hand back the receipt.

    Raises LostRecords after everything else is done, unless `accept_damaged`.
    """
    return at_once(
        pull_over(
            link.talk,
            _Here(ledger),
            progress,
            accept_damaged=accept_damaged,
            window=window,
            slow_down=lambda: lower_speed(link),
        )
    )


async def pull_over(
    talk: Conversation,
    ledger: BookingDesk,
    progress: Progress | None = None,
    *,
    accept_damaged: bool = False,
    window: int = WINDOW,
    slow_down: Callable[[], object] | None = None,
) -> PullResult:
    """`pull` over any carrier. `slow_down` is called when a poor line carries nothing."""
    return await _Pull(talk, ledger, progress, accept_damaged, window, slow_down).run()


class _Here:
    """A ledger that books in this thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def last_seq(self, unit_id: str) -> int:
        return self._ledger.last_seq(unit_id)

    async def book(self, unit_id: str, raws: list[bytes], journal_key: bytes) -> Booking:
        return self._ledger.book(unit_id, raws, journal_key)

    async def book_damage(self, unit_id: str, damage: Any, accepted: bool = False) -> Any:
        return self._ledger.book_damage(unit_id, damage, accepted)

    async def receipt(self, unit_id: str) -> tuple[int, int, bytes] | None:
        return self._ledger.receipt(unit_id)


class _Again(Exception):
    """A new PULL is needed, though nothing was lost."""


class _Pull:
    def __init__(
        self,
        link: Conversation,
        ledger: BookingDesk,
        progress: Progress | None,
        accept_damaged: bool,
        window: int,
        slow_down: Callable[[], object] | None,
    ) -> None:
        if link.unit is None or link.unit_key is None:
            raise ValueError("open the link first")
        self._link = link
        self._ledger = ledger
        self._progress = progress
        self._accept = accept_damaged
        self._window = window
        self._lower = slow_down
        self._unit_id = link.unit.unit_id
        self._journal_key = journal_key(link.unit_key)
        self._next = 1
        self._from_start = False
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._booked_at = link.wire.now()
        self._total = 0
        self._result = PullResult(self._unit_id, self._next)

    async def run(self) -> PullResult:
        link, result = self._link, self._result
        started = link.wire.now()
        self._next = result.from_seq = await self._ledger.last_seq(self._unit_id) + 1
        result.info = await link.ask(messages.INFO)
        newest = result.info.get("last_seq")
        self._total = newest if isinstance(newest, int) else 0
        await self._begin()
        try:
            await self._fetch()
        finally:
            await self._book()
        await self._end()
        result.seconds = link.wire.now() - started
        if not self._accept and (result.damaged or result.refused or result.missing):
            raise LostRecords(self._loss_words(), result)
        return result

    async def _begin(self) -> None:
        """Say first what is booked already.

        A cut pull may owe the unit this receipt. And a unit that was provisioned anew refuses
        it, since its seqs count from 1 again: then all of it is new.
        """
        try:
            await self._give_receipt()
        except UnitRefused as e:
            if e.code != messages.JOURNAL:
                raise
            self._from_start = True
            self._next = self._result.from_seq = 1

    async def _end(self) -> None:
        try:
            await self._give_receipt()
        except UnitRefused as e:
            booked = self._result.records - len(self._result.refused)
            raise UnitRefused(
                f"{self._link.wire.name}: unit {self._unit_id}: its {booked} records are booked, "
                f"but it does not take the receipt: {e.text}. It keeps the space; pull again, and "
                "run a self-test of the unit if it stays so",
                e.code,
                e.text,
            ) from e

    # --- fetching -----------------------------------------------------------------------------

    async def _fetch(self) -> None:
        fruitless = 0
        while True:
            before = self._next
            try:
                if await self._one_pull(fruitless):
                    return
            except SessionLost:
                await self._link.reopen()
            except _Again:
                continue
            fruitless = 0 if self._next > before else fruitless + 1
            if fruitless == FRUITLESS:
                raise self._stopped()
            if fruitless and fruitless % _POOR == 0:
                self._slow_down()

    def _slow_down(self) -> None:
        """A line that carries short frames may still be too poor for long ones at this speed."""
        if self._lower is None:
            return
        try:
            self._lower()
        except NoAnswer as e:
            raise self._stopped() from e

    async def _one_pull(self, fruitless: int) -> bool:
        """Send one PULL and take what follows it. True: the journal's end was reached."""
        link = self._link
        self._result.pulls += 1
        seq = await link.send(messages.PULL, messages.pack_pull(self._next, self._window))
        number = 0  # of the frame that must come next
        patience = link.patience
        wait = min(patience.answer_s * 2**fruitless, patience.longest_s) + 2 * link.frame_s()
        while True:
            frame = await link.receive(link.wire.now() + wait)
            if frame is None:
                return False
            if frame.seq != seq:
                link.counters.stray += 1
                continue
            if frame.type == messages.ERROR:
                self._error(frame)
            got = self._number(frame)
            if got != number:
                if got > number:
                    return False  # one was lost
                continue
            number += 1
            if await self._take(frame):
                return True
            if number % _MORE_EVERY == 0:
                await link.send(messages.MORE, messages.pack_u32(number - 1), seq)
            await self._book_if_due()

    def _number(self, frame: Frame) -> int:
        return int.from_bytes(frame.payload[:4], "little")

    async def _take(self, frame: Frame) -> bool:
        try:
            if frame.type == messages.DATA:
                for record in split(messages.parse_data(frame.payload)[1]):
                    await self._take_record(record)
            elif frame.type == messages.DAMAGED:
                _, first, last, address, raw = messages.parse_damaged(frame.payload)
                await self._take_damage(DamagedRange(first, last, address, raw))
            elif frame.type == messages.END:
                if not self._take_end(messages.parse_end(frame.payload)[1]):
                    raise _Again
                return True
            else:
                raise UnitFault(self._fault(f"message {frame.type:02X} in a pull"))
        except (messages.Malformed, RecordError) as e:
            raise UnitFault(self._fault(str(e))) from e
        return False

    async def _take_record(self, record: Record) -> None:
        if record.seq < self._next:
            return
        await self._note_missing(record.seq)
        self._batch.append(bytes(record.raw))
        self._batch_bytes += len(record.raw)
        self._result.records += 1
        self._result.record_bytes += len(record.raw)
        self._advance(record.seq)

    def _take_end(self, last_seq: int) -> bool:
        """Whether the journal's end was reached, or a younger journal was found to read again."""
        self._result.last_seq = last_seq
        if last_seq >= self._next - 1 or self._from_start:
            return True
        # Fewer records than are booked: the unit was provisioned anew and counts from 1 again.
        self._from_start = True
        self._next = 1
        return False

    async def _take_damage(self, damage: DamagedRange) -> None:
        if damage.last_seq < self._next:
            return
        await self._note_missing(damage.first_seq)
        await self._book()  # in the order of the journal
        await self._ledger.book_damage(self._unit_id, damage, self._accept)
        self._result.damaged.append(damage)
        self._advance(damage.last_seq)

    async def _note_missing(self, seq: int) -> None:
        """Records that the unit holds no more: freed by a receipt, of another ledger perhaps."""
        if seq == self._next:
            return
        gap = (self._next, seq - 1)
        self._result.missing.append(gap)
        if self._accept:
            await self._book()
            await self._ledger.book_damage(self._unit_id, DamagedRange(*gap, 0, b""), True)

    def _advance(self, seq: int) -> None:
        self._next = seq + 1
        self._total = max(self._total, seq)
        if self._progress is not None:
            self._progress(seq, self._total, self._result.record_bytes)

    def _error(self, frame: Frame) -> None:
        code, text = messages.parse_error(frame.payload)
        raise UnitRefused(
            f"{self._link.wire.name}: unit {self._unit_id} cannot send record {self._next}: "
            f"{text}. What came before it is booked; run a self-test of the unit",
            code,
            text,
        )

    def _fault(self, what: str) -> str:
        return (
            f"{self._link.wire.name}: unit {self._unit_id} sent what no unit should send after "
            f"record {self._next - 1}: {what}. What came before it is booked; do the firmware "
            "and this tool have the same release?"
        )

    def _stopped(self) -> NoAnswer:
        return NoAnswer(
            f"{self._link.no_answer()} (it stopped after record {self._next - 1}; everything up "
            "to there is booked, and the same command goes on from there)"
        )

    # --- booking ------------------------------------------------------------------------------

    async def _book_if_due(self) -> None:
        now = self._link.wire.now()
        if self._batch_bytes >= BATCH_BYTES or now - self._booked_at >= BATCH_S:
            await self._book()

    async def _book(self) -> None:
        if self._batch:
            batch, self._batch = self._batch, []
            self._batch_bytes = 0
            await self._note_booking(
                await self._ledger.book(self._unit_id, batch, self._journal_key)
            )
        self._booked_at = self._link.wire.now()

    async def _note_booking(self, booking: Booking) -> None:
        result = self._result
        result.repeated += booking.repeated
        result.findings += [str(finding) for finding in booking.findings]
        result.refused += [(refused.seq, str(refused)) for refused in booking.refused]
        if self._accept:
            for refused in booking.refused:
                loss = DamagedRange(refused.seq, refused.seq, 0, refused.raw[:_KEPT])
                await self._ledger.book_damage(self._unit_id, loss, True)

    async def _give_receipt(self) -> None:
        receipt = await self._ledger.receipt(self._unit_id)
        if receipt is None:
            return
        if receipt == self._link.receipted:
            return  # the unit has this one from us
        epoch, upto, link = receipt
        answer = await self._link.ask(messages.RECEIPT, messages.pack_receipt(epoch, upto, link))
        self._link.receipted = receipt
        freed = answer.get("freed")
        self._result.receipt_upto = upto
        self._result.freed += freed if isinstance(freed, int) else 0

    def _loss_words(self) -> str:
        result = self._result
        lost = [
            f"{_seqs(d.first_seq, d.last_seq)} damaged in its flash at 0x{d.address:X}"
            for d in result.damaged
        ]
        lost += [text for _, text in result.refused]
        lost += [f"{_seqs(*gap)} neither in the unit nor in this ledger" for gap in result.missing]
        named = "; ".join(lost[:_NAMED])
        if len(lost) > _NAMED:
            named += f"; and {len(lost) - _NAMED} more"
        booked = result.records - len(result.refused)
        return (
            f"unit {self._unit_id}: not booked: {named}. The other {booked} records are booked. "
            "The unit keeps what comes after until the loss is accepted: look into it, then pull "
            "again with --accept-damaged"
        )


def _seqs(first: int, last: int) -> str:
    return f"record {first}" if first == last else f"records {first} to {last}"
