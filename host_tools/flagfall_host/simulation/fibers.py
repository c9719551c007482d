"""Plain, blocking code on the simulated clock: it waits without holding up anybody else.

The depot's link, the ledger and the acquirer's client are written as straight lines that block.
`fiber` runs such a function beside the loop; inside it `wait` is what blocks.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import greenlet

from flagfall_host.simulation.virtual_loop import running_loop

T = TypeVar("T")


class _Fiber(greenlet.greenlet):
    """A greenlet whose parent is a coroutine that waits for it."""


async def fiber(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run `function` in a fiber; its `wait`s are awaited here."""
    strand = _Fiber(function, greenlet.getcurrent())
    result = strand.switch(*args, **kwargs)
    while not strand.dead:
        # The caller's greenlet may be another at each step: come back to the one that is here.
        try:
            value = await result
        except BaseException as e:
            strand.parent = greenlet.getcurrent()
            result = strand.throw(type(e), e, e.__traceback__)
        else:
            strand.parent = greenlet.getcurrent()
            result = strand.switch(value)
    return result  # type: ignore[no-any-return]


def wait(awaitable: Awaitable[T]) -> T:
    """Wait for `awaitable`; only inside a fiber."""
    current = greenlet.getcurrent()
    if not isinstance(current, _Fiber):
        raise RuntimeError("wait() outside of a fiber")
    return current.parent.switch(awaitable)  # type: ignore[union-attr, no-any-return]


def settle(waiter: "asyncio.Future[None] | None") -> None:
    """What `waiter` waits for has come."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def within(waiter: "asyncio.Future[None]", seconds: float) -> None:
    """Wait for `waiter`, but not longer than `seconds`."""
    running_loop().settle_later(seconds, waiter)
    await waiter
