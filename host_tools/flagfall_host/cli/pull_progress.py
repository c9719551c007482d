"""Progress bars of pulls on stderr, one a unit."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)


class Bar:
    """One unit's bar; called by `depot.pull` as records arrive."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        self._task = progress.add_task(name, total=None, size="")
        self._first = 0

    def __call__(self, seq: int, total: int, record_bytes: int) -> None:
        if not self._first:
            self._first = seq
        self._progress.update(
            self._task,
            completed=seq - self._first + 1,
            total=total - self._first + 1 if total >= seq else None,
            size=f"{record_bytes / 1024:.0f} KiB",
        )

    def name(self, words: str) -> None:
        """What stands before the bar."""
        self._progress.update(self._task, description=words)

    def end(self, words: str) -> None:
        """Stop, and say how it ended."""
        self._progress.update(self._task, size=words)
        self._progress.stop_task(self._task)


class PullDisplay:
    """A bar for each unit; nothing is drawn where stderr is no terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("records  {task.fields[size]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not Console(stderr=True).is_terminal,
        )

    def bar(self, name: str) -> Bar:
        return Bar(self._progress, name)

    def __enter__(self) -> "PullDisplay":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
