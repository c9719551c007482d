"""The bench unit's UART: a pseudo-terminal under MicroPython's asyncio."""

import json
import os
import threading
import tty

from flagfall_host.bench.pty_port import PtyPort

PROGRAM = """
import asyncio, sys, time
from serial_port import SerialPort

beats = 0

async def heart():
    global beats
    while True:
        beats += 1
        await asyncio.sleep_ms(1)

async def main(path, job):
    asyncio.create_task(heart())
    port = SerialPort(path)
    await job(port)

import json
def run(job):
    asyncio.run(main(sys.argv[1], job))
"""


class Echo:
    def feed(self, data):
        return data

    def idle(self):
        return b""


def test_a_silent_line_is_empty_after_the_time_given_and_others_run(on_micropython):
    program = (
        PROGRAM
        + """
async def job(port):
    start = time.ticks_ms()
    first = await port.read(10, 60)
    took = time.ticks_diff(time.ticks_ms(), start)
    second = await port.read(10, 0)
    print(json.dumps([len(first), len(second), took >= 60, beats >= 10]))
run(job)
"""
    )
    with PtyPort(Echo()) as port:
        assert json.loads(on_micropython(program, port.path)) == [0, 0, True, True]


def test_bytes_come_as_soon_as_they_are_there_and_are_dropped_on_demand(on_micropython):
    program = (
        PROGRAM
        + """
async def job(port):
    await port.write(bytes(range(256)))
    got = b""
    while len(got) < 100:
        got += await port.read(100 - len(got), 2000)
    await asyncio.sleep_ms(50)
    port.discard()
    rest = await port.read(10, 0)
    await port.write(b"again")
    tail = b""
    while len(tail) < 5:
        tail += await port.read(5, 2000)
    print(json.dumps([got == bytes(range(100)), len(rest), tail == b"again"]))
run(job)
"""
    )
    with PtyPort(Echo()) as port:
        assert json.loads(on_micropython(program, port.path)) == [True, 0, True]


def test_a_megabyte_passes_both_ways_while_others_run(on_micropython):
    program = (
        PROGRAM
        + """
async def job(port):
    piece = bytes((i * 31) & 0xFF for i in range(1024))
    good = 0
    for _ in range(1024):
        await port.write(piece)
        got = b""
        while len(got) < 1024:
            more = await port.read(1024 - len(got), 5000)
            if not more:
                break
            got += more
        good += got == piece
    print(json.dumps([good, beats > 20]))
run(job)
"""
    )
    with PtyPort(Echo()) as port:
        assert json.loads(on_micropython(program, port.path)) == [1024, True]


def test_an_unplugged_cable_is_silence_and_counts_what_is_lost(on_micropython):
    program = (
        PROGRAM
        + """
async def job(port):
    await port.write(b"pull it")
    for _ in range(1000):
        await asyncio.sleep_ms(5)
        await port.write(b"!")
        if port.lost:
            break
    start = time.ticks_ms()
    data = await port.read(10, 50)
    took = time.ticks_diff(time.ticks_ms(), start)
    await port.write(bytes(300))
    port.discard()
    print(json.dumps([len(data), took >= 50, port.lost]))
run(job)
"""
    )
    master, slave = os.openpty()
    tty.setraw(slave)

    def unplug():
        os.read(master, 100)
        os.close(slave)
        os.close(master)

    thread = threading.Thread(target=unplug)
    thread.start()
    out = on_micropython(program, os.ttyname(slave))
    thread.join()
    assert json.loads(out) == [0, True, 301]
