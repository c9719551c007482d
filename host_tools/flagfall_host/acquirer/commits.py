"""Group commits: what many terminals must not forget, made durable together.

A commit costs the disk the same for one change as for a hundred. One thread takes all that waits,
commits it as one transaction, and only then lets each terminal go on.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from flagfall_host.ledger import money
from flagfall_host.ledger.errors import MoneyError
from flagfall_host.ledger.ledger import Ledger

T = TypeVar("T")
_MOST = 500  # jobs taken at once; each terminal has one at a time


class _Job:
    """Moves of one terminal, or a piece of work of its own; done when the future is."""

    def __init__(self, moves: list[money.Move], work: Callable[[], Any] | None) -> None:
        self.moves, self.work = moves, work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.outcome: tuple[Any, BaseException | None] = (None, None)

    def settle(self) -> None:
        if self.future.cancelled():
            return
        value, error = self.outcome
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)


class Commits:
    """The ledger's one writer of this program. Closed, its thread has ended."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """What waits is done first."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    async def make(self, moves: list[money.Move]) -> None:
        """Make `moves`, all or none; on the disk when it returns. Raises LedgerError."""
        if moves:
            await self._put(_Job(moves, None))

    async def run(self, work: Callable[[], T]) -> T:
        """Any other work on the ledger, off the event loop."""
        return await self._put(_Job([], work))  # type: ignore[no-any-return]

    def _put(self, job: _Job) -> asyncio.Future[Any]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="commits", daemon=True)
            self._thread.start()
        self._jobs.put(job)
        return job.future

    def _serve(self) -> None:
        ended = False
        while not ended:
            jobs = [self._jobs.get()]
            while len(jobs) < _MOST and not self._jobs.empty():
                jobs.append(self._jobs.get())
            ended = None in jobs
            todo = [job for job in jobs if job is not None]
            self._commit([job for job in todo if job.moves])
            for job in todo:
                if job.work is not None:
                    job.outcome = _outcome(job.work)
            for loop in {job.loop for job in todo}:
                _tell(loop, [job for job in todo if job.loop is loop])

    def _commit(self, jobs: list[_Job]) -> None:
        """One transaction for all; if one job cannot be, each alone, so that the rest still is."""
        if not jobs:
            return
        _, error = _outcome(lambda: self._make([m for job in jobs for m in job.moves]))
        for job in jobs:
            if isinstance(error, MoneyError) and len(jobs) > 1:
                job.outcome = _outcome(lambda moves=job.moves: self._make(moves))  # type: ignore[misc]
            else:
                job.outcome = (None, error)

    def _make(self, moves: list[money.Move]) -> None:
        # In the order of the columns that they set, so that few statements make many moves.
        ordered = sorted(moves, key=lambda m: len(m.values))
        with self._ledger.writing() as db:
            money.move_all(db, ordered, self._ledger.now())


def _outcome(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except Exception as e:  # told to whoever waits, whatever it is
        return None, e


def _tell(loop: asyncio.AbstractEventLoop, jobs: list[_Job]) -> None:
    def settle() -> None:
        for job in jobs:
            job.settle()

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
