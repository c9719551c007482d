"""The booking desk: what many talks bring is booked by a few threads, many units in one commit.

The event loop never waits for the database. A receipt is known only when its commit is done.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

from flagfall_host.errors import FlagfallError
from flagfall_host.ledger.booking import BookingResult
from flagfall_host.ledger.errors import CannotOpen, StorageFailed
from flagfall_host.ledger.standing import Standing

BOOKERS = 4  # threads that book, each with a database connection of its own
READERS = 4
BATCH = 64  # units in one commit at most
_T = TypeVar("_T")


class Books(Protocol):
    """What the desk needs of a ledger."""

    def book_many(
        self, deliveries: list[tuple[str, list[bytes], bytes]]
    ) -> list[tuple[BookingResult, Standing]]: ...

    def book_damage(self, unit_id: str, damage: Any, accepted: bool = False) -> Any: ...

    def standing(self, unit_id: str) -> Standing: ...


class _Delivery(NamedTuple):
    unit_id: str
    raws: list[bytes]
    journal_key: bytes
    answer: asyncio.Future[tuple[BookingResult, Standing]]
    came_at: float

    @property
    def words(self) -> tuple[str, list[bytes], bytes]:
        return self.unit_id, self.raws, self.journal_key


class Desk:
    """`on_batch(units, seconds)` is told of each commit, from a booking thread."""

    def __init__(
        self, ledger: Books, on_batch: Callable[[int, float], None], bookers: int = BOOKERS
    ) -> None:
        self._ledger = ledger
        self._on_batch = on_batch
        self._loop = asyncio.get_running_loop()
        self._deliveries: queue.SimpleQueue[_Delivery | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, "read")
        self._bookers = [
            threading.Thread(target=self._work, name=f"book {n}", daemon=True)
            for n in range(bookers)
        ]
        self._began: dict[int, float] = {}  # thread: when its transaction began
        for thread in self._bookers:
            thread.start()

    def close(self) -> None:
        """Let the threads end; nothing is booked any more."""
        for _ in self._bookers:
            self._deliveries.put(None)
        self._readers.shutdown(wait=False, cancel_futures=True)

    def longest_wait(self) -> float:
        """Seconds that the oldest transaction has been running for."""
        began = list(self._began.values())
        return time.monotonic() - min(began) if began else 0.0

    async def look(self, question: Callable[..., _T], *words: Any) -> _T:
        """Ask the ledger something in a reading thread."""
        return await self._loop.run_in_executor(self._readers, question, *words)

    async def book(
        self, unit_id: str, raws: list[bytes], journal_key: bytes
    ) -> tuple[BookingResult, Standing]:
        """Book, and return when it is committed."""
        answer = self._loop.create_future()
        came = time.monotonic()
        self._deliveries.put(_Delivery(unit_id, raws, journal_key, answer, came))
        return await answer

    def _work(self) -> None:
        while True:
            first = self._deliveries.get()
            if first is None:
                return
            batch = [first]
            while len(batch) < BATCH:
                try:
                    more = self._deliveries.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._deliveries.put(None)
                    break
                batch.append(more)
            self._book(batch)

    def _book(self, batch: list[_Delivery]) -> Exception | None:
        me = threading.get_ident()
        began = self._began[me] = time.monotonic()
        try:
            answers: list[Any] = list(self._ledger.book_many([d.words for d in batch]))
        except FlagfallError as e:
            answers = [e]
        except Exception as e:  # of the program itself: told to the talk, the thread lives on
            answers = [StorageFailed(f"booking failed: {type(e).__name__}: {e}")]
        finally:
            del self._began[me]
        if len(answers) == len(batch):
            self._on_batch(len(batch), time.monotonic() - began)
            self._tell(batch, answers)
            return answers[0] if isinstance(answers[0], Exception) else None
        if isinstance(answers[0], Exception):
            self._each_alone(batch, answers[0])

        return None

    def _each_alone(self, batch: list[_Delivery], error: Exception) -> None:
        """One of them, or the database: each alone shows which. One that is gone is asked once."""
        for i, delivery in enumerate(batch):
            if isinstance(error, CannotOpen):
                self._tell(batch[i:], [error] * (len(batch) - i))
                return
            error = self._book([delivery]) or error

    def _tell(self, batch: list[_Delivery], answers: list[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(_settle, batch, answers)


def _settle(batch: list[_Delivery], answers: list[Any]) -> None:
    for delivery, answer in zip(batch, answers, strict=True):
        if delivery.answer.done():
            continue  # its talk has ended
        if isinstance(answer, Exception):
            delivery.answer.set_exception(answer)
        else:
            delivery.answer.set_result(answer)


class UnitDesk:
    """The desk as one unit's pull sees it (depot.pulled.BookingDesk)."""

    def __init__(self, desk: Desk, ledger: Books) -> None:
        self._desk = desk
        self._ledger = ledger
        self._standing: Standing | None = None

    async def _stands(self, unit_id: str) -> Standing:
        if self._standing is None:
            self._standing = await self._desk.look(self._ledger.standing, unit_id)
        return self._standing

    async def last_seq(self, unit_id: str) -> int:
        self._standing = None  # another gateway may have booked since
        return (await self._stands(unit_id)).last_seq

    async def book(self, unit_id: str, raws: list[bytes], journal_key: bytes) -> BookingResult:
        result, self._standing = await self._desk.book(unit_id, raws, journal_key)
        return result

    async def book_damage(self, unit_id: str, damage: Any, accepted: bool = False) -> None:
        self._standing = None
        await self._desk.look(self._ledger.book_damage, unit_id, damage, accepted)

    async def receipt(self, unit_id: str) -> tuple[int, int, bytes] | None:
        return (await self._stands(unit_id)).receipt
