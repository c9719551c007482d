# What each file of the uplink takes of the heap when it is loaded, on MicroPython.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Run by bench_heap.py with the compiled firmware on the path; prints JSON. On a board the code
# lies in flash and takes next to nothing of the heap: this is the unix port's share of it.

import gc
import json
import sys

FILES = (
    "flagfall.link.messages",
    "flagfall.link.session",
    "flagfall.journal.schema",
    "flagfall.meter.taximeter",
    "flagfall.modem.at",
    "flagfall.modem.answers",
    "flagfall.modem.models",
    "flagfall.modem.ladder",
    "drivers.modem",
    "drivers.tls_wire",
    "app.uplink_report",
    "app.uplink_settings",
    "app.uplink",
)
OURS = 4  # the first ones are loaded without an uplink too


def taken(name):
    gc.collect()
    before = gc.mem_alloc()
    __import__(name)
    gc.collect()
    return gc.mem_alloc() - before


__import__("asyncio")
taken("json")  # what the first call itself takes
sizes = [(name, taken(name)) for name in FILES]
json.dump(dict(sizes[OURS:]), sys.stdout)
