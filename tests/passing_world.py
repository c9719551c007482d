"""A bench taxi's world that goes on by itself while somebody types commands."""

import threading
from types import TracebackType

from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.world import BenchError


class PassingWorld:
    """Time passes, and the unit is started anew when it asks for it, until the block's end.

    `restarts` counts. What goes wrong meanwhile is raised at the end.
    """

    def __init__(self, taxi: Taxi) -> None:
        self.restarts = 0
        self._taxi = taxi
        self._over = threading.Event()
        self._error: BenchError | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                try:
                    self._taxi.world.run(1_000)
                except BenchError:
                    self._taxi.unit.restarted()
                    self.restarts += 1
                self._over.wait(0.02)
        except BenchError as e:
            self._error = e

    def __enter__(self) -> "PassingWorld":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
