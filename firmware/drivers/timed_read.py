# Reading from a stream with a time limit, for ports on which an answer must be seen at once.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio


class _Limit:
    def __init__(self, task, timeout_ms):
        self._task = task
        self._timeout_ms = timeout_ms
        self.over = False

    async def run(self):
        await asyncio.sleep_ms(self._timeout_ms)
        self.over = True
        self._task.cancel()


async def read_within(stream, n, timeout_ms):
    """Return 1 to `n` bytes of asyncio `stream` as soon as any are there, None after `timeout_ms`;
    b"" at the end of the stream.

    asyncio.wait_for_ms gives the reading to a task of its own, watched by another: two switches
    between the bytes and who waits for them, over a millisecond on an ESP32. Here only the limit
    is a task.
    """
    limit = _Limit(asyncio.current_task(), timeout_ms)
    timer = asyncio.create_task(limit.run())
    try:
        return await stream.read(n)
    except asyncio.CancelledError:
        if not limit.over:
            raise
        return None
    finally:
        timer.cancel()
