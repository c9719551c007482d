"""Runs a coroutine whose awaits never wait: what they stand for is done on the spot, blocking.

So the talk with a unit is written once, for a thread of its own and for an event loop.
"""

from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end in this thread and return what it returns."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    work.close()
    raise RuntimeError("this work waits for an event loop")
