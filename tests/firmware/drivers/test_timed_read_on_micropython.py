"""A read with a limit under MicroPython's asyncio: bytes, the limit, a cancel from outside."""

import json

from flagfall_host.bench.pty_port import PtyPort

PROGRAM = """
import asyncio, json, sys, time
from drivers.timed_read import read_within
from serial_port import make_raw

async def main(path):
    file = open(path, "r+b", buffering=0)
    make_raw(file.fileno())
    stream = asyncio.StreamReader(file)
    start = time.ticks_ms()
    out = [await read_within(stream, 10, 40)]
    out.append(time.ticks_diff(time.ticks_ms(), start) >= 40)
    file.write(b"hello")
    out.append((await read_within(stream, 10, 5000)).decode())
    outcome = []

    async def reads():
        try:
            await read_within(stream, 10, 5000)
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise

    task = asyncio.create_task(reads())
    await asyncio.sleep_ms(20)
    task.cancel()
    await asyncio.sleep_ms(20)
    file.write(b"again")  # a limit that is over for good does not disturb the next read
    out.append((await read_within(stream, 10, 5000)).decode())
    await asyncio.sleep_ms(20)
    print(json.dumps(out + outcome))

asyncio.run(main(sys.argv[1]))
"""


class Echo:
    def feed(self, data):
        return data

    def idle(self):
        return b""


def test_bytes_limit_and_cancel(on_micropython):
    with PtyPort(Echo()) as port:
        said = json.loads(on_micropython(PROGRAM, port.path))
    assert said == [None, True, "hello", "again", "cancelled"]
