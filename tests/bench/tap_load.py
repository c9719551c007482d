# What bench_tap.py runs in MicroPython: `micropython tap_load.py WHAT FILE`.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# FILE is a tap as it was recorded on the bench: what the reader's bus said. It is played twice,
# with a cold and with a warm cache of issuer keys. WHAT is `count` (marks for callgrind, which
# dumps its counters at each call of stack_use; the labels are printed), `bare` (the same, but
# coroutines do not really yield) or `memory` (bytes allocated, and the most that was in use).
# With `port`, FILE is a serial port whose far end answers each line after a while: counted is what
# lies between its bytes and the task that waits for them.

import asyncio
import gc
import json
import sys

import micropython
from drivers.mfrc522 import MFRC522
from drivers.mfrc522_spi import RegisterBus
from drivers.pn532 import PN532
from drivers.pn532_hsu import HSU
from flagfall.emv import entry_point, oda_rsa
from flagfall.emv.aid import parse_aid
from flagfall.emv.authentication import Authentication
from flagfall.emv.capk import CapkStore
from flagfall.emv.purchase import Purchase
from flagfall.emv.terminal import Terminal
from flagfall.emv.tlv import encode
from flagfall.emv.transaction import Transaction
from flagfall.journal import schema
from flagfall.journal.ring import Journal
from flagfall.seal import Sealer
from nor_flash import BLOCK, NorFlash
from serial_port import SerialPort

COUNT, BARE, MEMORY, PORT = "count", "bare", "memory", "port"
_ASLEEP_MS = 100  # by then the reading task sleeps, and the far end has not answered yet


class Meter:
    """Marks where one piece of work ends and the next begins."""

    def __init__(self, what):
        self.what = what
        self.labels = []
        self.label = "-"
        self.peak = 0

    def mark(self, label):
        """What follows is `label`; returns what went before it."""
        before, self.label = self.label, label
        if self.what == MEMORY:
            gc.collect()
            self.peak = max(self.peak, gc.mem_alloc())
        else:
            self.labels.append(label)
            micropython.stack_use()
        return before


meter = None


def counted_pow(base, exponent, modulus):
    before = meter.mark("wait")
    size = 0
    while modulus >> (128 * size):
        size += 1
    meter.mark("rsa %d %d" % (16 * size, exponent))
    result = pow(base, exponent, modulus)
    meter.mark(before)
    return result


def apart(owner, name, label):
    """Mark the work of a method, or of a module's function, as `label`, wherever it is done."""
    real = getattr(owner, name)

    def marked(first, *args):
        before = meter.mark("wait")
        meter.mark("%s %d" % (label, len(args[0])) if name == "_take" else label)
        try:
            return real(first, *args)
        finally:
            meter.mark(before)

    setattr(owner, name, marked)


class Port:
    """A serial port whose far end says what it said when it was recorded."""

    def __init__(self, said):
        self.said = said
        self.at = 0

    async def write(self, data):
        meter.mark("wait")
        meter.mark("driver sent %d" % len(data))

    async def read(self, n, timeout_ms):
        meter.mark("wait")
        data = self.said[self.at]
        self.at += 1
        meter.mark("driver received %d" % len(data))
        return data

    def discard(self):
        pass


class SPI:
    """A bus whose far end says what it said when it was recorded."""

    def __init__(self, said):
        self.said = said
        self.at = 0
        self.accesses = 0

    def cs(self, level):
        self.accesses += level

    def write(self, data):
        pass

    def write_readinto(self, data, buffer):
        buffer[:] = self.said[self.at]
        self.at += 1


class Yields:
    count = 0


async def sleep_ms(ms):
    Yields.count += 1
    if meter.what != BARE:
        await asyncio.sleep_ms(0)


def kernel(tap):
    store = CapkStore(live=False)
    for row in tap["capks"]:
        store.add(bytes.fromhex(row), False)
    aids = [parse_aid(bytes.fromhex(row)) for row in tap["aids"]]
    return Terminal(156, 156, aids, store, profiles=(tap["profile"],))


def reader(tap, clock):
    said = [bytes.fromhex(x) for x in tap["said"]]
    if tap["chip"] == "pn532":
        bus = Port(said)
        return PN532(HSU(bus, tap["baud"]), ticks_ms=clock), bus
    bus = SPI(said)
    return MFRC522(RegisterBus(bus, bus.cs), ticks_ms=clock, sleep_ms=sleep_ms), bus


async def play(tap, terminal):
    """One tap, as tap.py plays it. Returns the transaction and what of it is kept."""
    ticks = [0]

    def clock():
        return ticks[0]

    chip, bus = reader(tap, clock)
    meter.mark("driver open")
    await chip.open()
    meter.mark("driver field off")
    await chip.field(False)
    meter.mark("-")
    gc.collect()
    base = gc.mem_alloc()
    if meter.what == MEMORY:
        meter.peak = 0
    Yields.count = 0
    before = getattr(bus, "accesses", 0)
    meter.mark("kernel start")
    tx = Transaction(
        terminal,
        tap["amount"],
        bytes.fromhex(tap["un"]),
        bytes.fromhex(tap["date"]),
        bytes.fromhex(tap["time"]),
    )
    command = tx.start()
    meter.mark("driver activate")
    await chip.field(True)
    await chip.activate(300)
    phases = tap["phases"][:]
    while command is not None:
        meter.mark("kernel intent")
        tx.before_debit()
        meter.mark("wait")
        meter.mark("driver exchange %d" % len(command))
        response = await chip.transceive(command)
        meter.mark("wait")
        meter.mark("kernel %s %d" % (phases.pop(0), len(response)))
        command = tx.step(response)
    meter.mark("-")
    if tx.outcome is None:
        raise ValueError("no outcome")
    if tx.outcome.reason != tap["reason"]:
        raise ValueError("another outcome than recorded: %s" % tx.outcome.reason)
    return tx, getattr(bus, "accesses", 0) - before, Yields.count, base


def durable(tx):
    """A payment sealed and appended to a journal, the flash being memory."""
    modulus = int.from_bytes(b"\xc5" * 256, "big")
    sealer = Sealer((modulus, 65537), lambda n: bytes(range(1, n + 1)))
    journal = Journal(NorFlash(8 * BLOCK), bytes(32))
    journal.mount(1)
    journal.append(schema.KEY, sealer.key_record_body(), 0)
    meter.mark("-")
    gc.collect()
    meter.mark("journal")
    plain = b"".join([encode(tag, value) for tag, value in tx.outcome.data])
    body = schema.pack(
        schema.PAYMENT,
        trip=1,
        shift=1,
        outcome=1,
        profile=1,
        amount=500,
        currency=156,
        last_digits="0001",
        atc=1,
        balance_after=schema.UNKNOWN_BALANCE,
        torn_seq=0,
        card_tag=bytes(8),
        reason="",
        sealed=sealer.seal(plain),
    )
    journal.append(schema.PAYMENT, body, 0)
    meter.mark("-")
    return len(body)


async def wake_up(path):
    """Read from a real port: once to load all, then again to count."""
    port = SerialPort(path)

    async def later():
        await asyncio.sleep_ms(_ASLEEP_MS)
        meter.mark("wake")

    for _ in range(2):
        meter.mark("nothing")
        meter.mark("nothing")
        asyncio.create_task(later())
        await port.write(b"?")
        data = await port.read(277, 5000)
        meter.mark("poll")
        await port.read(277, 0)
        meter.mark("-")
    return len(data)


def main(what, path):
    global meter
    if what == PORT:
        meter = Meter(what)
        print(json.dumps({"read": asyncio.run(wake_up(path)), "labels": meter.labels}))
        return
    with open(path) as f:
        tap = json.load(f)
    meter = Meter(what)
    oda_rsa.pow = counted_pow
    apart(entry_point, "directory", "kernel directory")
    apart(entry_point, "parse_fci", "kernel fci")
    apart(Transaction, "_decide", "kernel decide")
    apart(Transaction, "_conclude", "kernel finish")
    apart(Purchase, "_take", "kernel take")
    apart(Authentication, "advance", "kernel auth")
    terminal = kernel(tap)
    out = {}
    if what == MEMORY:
        asyncio.run(play(tap, terminal))  # what is loaded on first use is loaded now
        base = asyncio.run(play(tap, terminal))[3]
        out["peak_live"] = meter.peak - base
        meter.mark = lambda label: "-"
        gc.disable()
        base = asyncio.run(play(tap, terminal))[3]
        out["allocated"] = gc.mem_alloc() - base
        gc.enable()
    else:
        meter.mark("nothing")
        meter.mark("nothing")
        meter.mark("cold")
        asyncio.run(play(tap, terminal))
        meter.mark("warm")
        tx, out["accesses"], out["yields"], _ = asyncio.run(play(tap, terminal))
        out["record"] = durable(tx)
    out["labels"] = meter.labels
    print(json.dumps(out))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
