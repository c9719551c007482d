"""What carries a talk between host and unit, and how patient one is on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class Carrier(Protocol):
    """What carries the bytes. `read` gives what is there, at once; b"" after a time of silence."""

    name: str

    @property
    def baud(self) -> int:
        """bit/s; 0 where that means nothing."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def read(self, timeout_s: float) -> bytes: ...

    def now(self) -> float:
        """Seconds on a clock that only moves forward."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Patience:
    """How long a question waits for its answer on one kind of carrier.

    `silence_s` in the middle of a frame says that the rest will not come; None: it always comes.
    """

    answer_s: float  # first wait, beside the time that the bytes take; doubled up to:
    longest_s: float
    tries: int  # times a question is sent
    silence_s: float | None

    def waits(self, tries: int) -> Iterator[float]:
        """The waits of a question that is sent `tries` times."""
        wait = self.answer_s
        for _ in range(tries):
            yield wait
            wait = min(2 * wait, self.longest_s)


ON_CABLE = Patience(0.5, 2.0, 7, 0.3)  # seven tries: ten seconds, longer than any stall of a unit
ON_TLS = Patience(10.0, 10.0, 3, None)
BYE_S = 2.0  # for the answer to a BYE
POLL_S = 60.0  # in one read where silence means nothing
