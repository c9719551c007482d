"""What happened, a line each, in the order it happened: the same seed tells the same story."""

import hashlib
from collections import Counter
from collections.abc import Callable


class Story:
    """Keeps the last lines and a hash over all of them."""

    def __init__(self, keep: int = 400, tell: Callable[[str], None] | None = None) -> None:
        self._keep = keep
        self._tell = tell
        self.lines: list[str] = []
        self.count = 0
        self.fired: Counter[str] = Counter()
        self._hash = hashlib.sha256()
        self.clock: Callable[[], int] = lambda: 0

    def tell(self, who: str, what: str) -> None:
        """One line. `who` did `what`; no card number and no key may stand in it."""
        ms = self.clock()
        seconds, ms = divmod(ms, 1_000)
        line = (
            f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03} {who}: {what}"
        )
        self._hash.update(line.encode() + b"\n")
        self.count += 1
        if self._tell:
            self._tell(line)
        self.lines.append(line)
        if len(self.lines) > 2 * self._keep:
            del self.lines[: self._keep]

    def strike(self, fault: str, times: int = 1) -> None:
        """A fault has happened: `fired` counts each, untold."""
        self.fired[fault] += times

    def last(self) -> list[str]:
        return self.lines[-self._keep :]

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()
