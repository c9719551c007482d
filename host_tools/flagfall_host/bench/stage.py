"""Where a bench shift is shown: a live screen on a terminal, plain lines elsewhere, or nothing."""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from flagfall_host.bench.face import face_line, face_panel

_LINES = 14
_PLAIN_EVERY = 60_000  # ms of bench time between two lines of the face while driving


class Stage(Protocol):
    """What the director of a shift tells the audience."""

    def scene(self, title: str) -> None: ...
    def tell(self, who: str, text: str) -> None: ...
    def face(self, face: dict[str, Any], now_ms: int) -> None: ...
    def power(self, on: bool) -> None: ...
    def receipt(self, lines: list[str], path: Path) -> None: ...
    def progress(self, what: str, done: int, total: int) -> None: ...


class Silent:
    """Shows nothing: for --json and for tests."""

    def scene(self, title: str) -> None: ...
    def tell(self, who: str, text: str) -> None: ...
    def face(self, face: dict[str, Any], now_ms: int) -> None: ...
    def power(self, on: bool) -> None: ...
    def receipt(self, lines: list[str], path: Path) -> None: ...
    def progress(self, what: str, done: int, total: int) -> None: ...


class Plain(Silent):
    """One line after the other, without colours."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, no_color=True, highlight=False, markup=False)
        self._last: tuple[int, str] = (-_PLAIN_EVERY, "")
        self._whole = ""

    def scene(self, title: str) -> None:
        self._console.print(f"\n== {title}")

    def tell(self, who: str, text: str) -> None:
        self._console.print(f"{who:>10}: {text}", soft_wrap=True)

    def face(self, face: dict[str, Any], now_ms: int) -> None:
        position = str(face.get("position"))
        if position == self._last[1] and now_ms - self._last[0] < _PLAIN_EVERY:
            return
        self._last = (now_ms, position)
        self._console.print(f"{'meter':>10}: {face_line(face)}", soft_wrap=True)

    def receipt(self, lines: list[str], path: Path) -> None:
        for line in lines:
            self._console.print("            | " + line)

    def progress(self, what: str, done: int, total: int) -> None:
        if done >= total and what != self._whole:
            self._whole = what
            self._console.print(f"{'host':>10}: {what}: {done} of {total}")


class Screen(Silent):
    """The meter's face beside the story, redrawn as it runs."""

    def __init__(self) -> None:
        self._console = Console()
        self._face: dict[str, Any] = {}
        self._powered = False
        self._title = ""
        self._story: deque[Text] = deque(maxlen=_LINES)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}")
        )
        self._tasks: dict[str, Any] = {}
        self._live = Live(console=self._console, refresh_per_second=12, get_renderable=self._draw)

    @contextmanager
    def running(self) -> Iterator["Screen"]:
        with self._live:
            yield self

    def _draw(self) -> Group:
        story = Panel(
            Text("\n").join([*self._story, Text("")]),
            title=self._title,
            height=_LINES + 3,
            expand=True,
        )
        grid = Table.grid(expand=True)
        grid.add_column(width=47)
        grid.add_column(ratio=1)
        grid.add_row(face_panel(self._face, powered=self._powered), story)
        return Group(grid, self._progress)

    def scene(self, title: str) -> None:
        self._title = title

    def tell(self, who: str, text: str) -> None:
        self._story.append(Text.assemble((f"{who}: ", "bold"), text))

    def face(self, face: dict[str, Any], now_ms: int) -> None:
        self._face = face

    def power(self, on: bool) -> None:
        self._powered = on

    def receipt(self, lines: list[str], path: Path) -> None:
        self._console.print(Panel("\n".join(lines), title=path.name, expand=False))

    def progress(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done, total=total)
