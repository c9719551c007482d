"""A unit's small file system as its firmware sees it, with a power that goes in the middle.

What was flushed stays; a file that is being written may be cut off anywhere behind its last flush;
a rename or removal is whole or not at all.
"""

import builtins
import contextvars
import os
import random
import types
from collections.abc import Callable
from typing import Any

_CHANGES = ("rename", "remove", "mkdir", "rmdir")


class Files:
    """The changes of one unit's files. `plan_cut(n)`: the power goes at the n-th one from now."""

    def __init__(self, chance: random.Random, strike: Callable[[str], None]) -> None:
        self.on_cut: Callable[[], None] = lambda: None
        self.must_live: Callable[[], None] = lambda: None
        self.chance = chance
        self._strike = strike
        self._left = -1
        self._written: list[_Written] = []

    def plan_cut(self, changes: int) -> None:
        """-1: no cut."""
        self._left = changes

    def due(self) -> bool:
        """One more change: whether the power goes at this one."""
        self.must_live()
        self._left -= 1
        if self._left == -1:
            self._strike("cut_at_a_change_of_files")
            return True
        self._left = max(self._left, -1)
        return False

    def change(self, function: Callable[..., Any], *words: Any) -> Any:
        """Make a change, unless the power goes before it; it may also go right after."""
        cut = self.due()
        if cut and self.chance.random() < 0.5:
            self.on_cut()
        result = function(*words)
        if cut:
            self.on_cut()
        return result

    def write(self, path: str, mode: str) -> "_Written":
        """Open a file to be written or appended to."""
        written = self.change(_Written, self, path, mode)
        self._written.append(written)
        return written  # type: ignore[no-any-return]

    def closed(self, written: "_Written") -> None:
        if written in self._written:
            self._written.remove(written)

    def power_goes(self) -> None:
        """What was not flushed may be lost. A cut that is planned stays so."""
        for written in self._written:
            written.lose()
        self._written.clear()


class _Written:
    """A file that is written."""

    def __init__(self, files: Files, path: str, mode: str) -> None:
        self._files = files
        self._text = "b" not in mode
        self._raw = builtins.open(  # noqa: SIM115 - closed by who opened it
            path, mode.replace("b", "") + "b", buffering=0
        )
        self._flushed = self._raw.tell()

    def write(self, data: Any) -> int:
        data = data.encode() if self._text else bytes(data)
        if self._files.due():
            self._raw.write(data[: self._files.chance.randrange(len(data) + 1)])
            self._files.on_cut()
        self._raw.write(data)
        return len(data)

    def flush(self) -> None:
        if self._files.due():
            self._files.on_cut()
        self._flushed = self._raw.tell()

    def lose(self) -> None:
        """The power is gone: what is behind the last flush is there, or a part of it."""
        size = self._raw.tell()
        self._raw.truncate(self._files.chance.randint(self._flushed, max(size, self._flushed)))
        self._raw.close()

    def close(self) -> None:
        self._files.closed(self)
        self._raw.close()

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def _of(board: contextvars.ContextVar[Any]) -> Files | None:
    """The files of the unit whose code runs; None: in the workshop, or without cuts."""
    there = board.get(None)
    return None if there is None else there.files


def substitute_os(board: contextvars.ContextVar[Any]) -> types.ModuleType:
    """The module `os` for the firmware: changes go through the files of the unit that runs."""
    module = types.ModuleType("os")
    module.__dict__.update(vars(os))
    for name in _CHANGES:
        setattr(module, name, _through(board, getattr(os, name)))
    return module


def _through(board: contextvars.ContextVar[Any], function: Callable[..., Any]) -> Any:
    def changed(*words: Any) -> Any:
        files = _of(board)
        return function(*words) if files is None else files.change(function, *words)

    return changed


def substitute_open(board: contextvars.ContextVar[Any]) -> Callable[..., Any]:
    """The function `open` for the firmware's modules that write files."""

    def opened(path: str, mode: str = "r") -> Any:
        files = _of(board)
        if files is None or mode[0] == "r":
            return builtins.open(path, mode)
        return files.write(path, mode)

    return opened
