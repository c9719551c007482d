# A unit's first file: picks the board, builds the Unit, runs it.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio
import gc
import sys

# Collect while there is still much room: what lives stays together at the bottom of the heap, and
# there is a piece left when the table of names has to grow by kilobytes. Before the imports, for
# most of what lives comes with them.
gc.threshold(65536)

from board import Board  # noqa: E402
from micropython import const  # noqa: E402
from unit import Unit  # noqa: E402

_RESTART_MS = const(500)
_READER_BAUD = const(921600)  # a tap is 80 ms shorter than at the 115200 of power-up
_LONGEST_RESTART_MS = const(60000)  # a defect that comes back at once does not wear the flash


def make_reader(port):
    """The reader chip of this board on its port."""
    from drivers.pn532 import PN532
    from drivers.pn532_hsu import HSU

    return PN532(HSU(port, _READER_BAUD), type_b=True)


async def main():
    board = Board()
    background = [asyncio.create_task(c) for c in board.background()]
    await board.start()
    wait_ms = _RESTART_MS
    reader = getattr(board, "make_reader", make_reader)
    while True:
        gc.collect()
        try:
            await Unit(board, reader).run()
            wait_ms = _RESTART_MS
        except Exception as e:  # a defect: keep the trace for the workshop, then start afresh
            sys.print_exception(e)
            if any(task.done() for task in background):
                return  # the board itself has gone
            chooser = sys.modules.get("chooser")
            if chooser is not None and chooser.trial:
                chooser.restart()  # a program on trial has failed
            wait_ms = min(2 * wait_ms, _LONGEST_RESTART_MS)
        await asyncio.sleep_ms(wait_ms)


asyncio.run(main())
