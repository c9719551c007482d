# A unit's link on the unix port of MicroPython: the real Session on a real serial port.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# micropython link_unit.py PORT RECORDS SIZE KEY_HEX|factory [payments]; says "ready" and the
# SHA-256 of its records on stdout.

import asyncio
import hashlib
import os
import sys
import time

sys.path.insert(0, __file__.rsplit("/", 1)[0] + "/../../firmware/lib/flagfall/link")

from fake_unit import FakeUnit
from flagfall.journal import schema
from flagfall.link.session import Session
from serial_port import SerialPort


class CableUnit(FakeUnit):
    """The fake unit with a cable whose speed can be changed."""

    def __init__(self, port, **rest):
        super().__init__(**rest)
        self._port = port
        self.bauds = port.bauds

    def set_baud(self, rate):
        self._port.set_baud(rate)

    def ticks_ms(self):
        return time.ticks_ms()


async def run(port, session):
    while True:
        session.feed(await port.read(512, 50))
        while True:
            out = session.next_output()
            if out is None:
                break
            await port.write(out)
            data = await port.read(512, 0)
            if data:
                session.feed(data)


def append_payments(journal, count):
    """`count` PAYMENT records of 128 bytes, whose sealed part is as random as a real one."""
    fields = {
        "trip": 0,
        "shift": 1,
        "outcome": schema.DECLINED,
        "profile": schema.ECASH,
        "amount": 1200,
        "currency": 156,
        "last_digits": "0011",
        "atc": 0,
        "balance_after": schema.UNKNOWN_BALANCE,
        "torn_seq": 0,
        "reason": "",
    }
    for n in range(count):
        fields["trip"] = fields["atc"] = n
        fields["card_tag"] = os.urandom(8)
        fields["sealed"] = os.urandom(52)
        journal.append(schema.PAYMENT, schema.pack(schema.PAYMENT, **fields), 1000 + n)


def main(path, records, size, key, kind="events"):
    port = SerialPort(path)
    sectors = records * (size + 100) // 4096 + 8
    key = None if key == "factory" else bytes.fromhex(key)
    unit = CableUnit(port, unit_key=key, sectors=sectors)
    if kind == "payments":
        append_payments(unit.journal, records)
    else:
        unit.append(records, size)
    digest = hashlib.sha256()
    for record in unit.journal.read(1):
        digest.update(record.raw)
    print("ready", digest.digest().hex())
    asyncio.run(run(port, Session(unit, os.urandom)))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
