"""The MFRC522 driver and our ISO-DEP as the unit runs them: MicroPython, a bus, the real time."""

import json

from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.picc import Frame
from flagfall_host.bench.reader.spi_server import SPIServer

PROGRAM = """
import asyncio, json, sys
from spi_port import SPIPort
from drivers.mfrc522 import MFRC522
from drivers.mfrc522_spi import RegisterBus
from drivers.reader import ReaderError

def apdu(n):
    return bytes((i * 7 + n) & 0xFF for i in range(n))

async def main(path, lengths):
    spi = SPIPort(path)
    reader = MFRC522(RegisterBus(spi, spi.cs))
    await reader.open()
    target = await reader.activate(1000)
    out = {"uid": target.uid.hex(), "ats": target.ats.hex(), "good": 0, "errors": []}
    for n in lengths:
        try:
            out["good"] += await reader.transceive(apdu(n)) == apdu(n) + b"\\x90\\x00"
        except ReaderError as e:
            out["errors"].append(type(e).__name__ + ": " + str(e))
    out["present"] = await reader.present()
    await reader.release()
    await reader.field(False)
    out["retries"] = reader.retries
    print(json.dumps(out))

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
"""


def test_apdus_cross_intact_with_damage_on_the_air(card, on_micropython):
    field = Field()
    field.place(card)
    chip = MFRC522Chip(field)
    count = 0

    def damage(frame):
        nonlocal count
        count += 1
        if count % 10 or len(frame.data) < 6:
            return frame
        return Frame(frame.data[:-1] + bytes((frame.data[-1] ^ 0x11,)))

    chip.manners.outbound = damage
    lengths = [5, 61, 62, 130, 255, 261]
    with PtyPort(SPIServer(chip)) as port:
        out = json.loads(on_micropython(PROGRAM, port.path, json.dumps(lengths)))
    assert (out["uid"], out["ats"]) == (card.uid.hex(), card.ats.hex())
    assert (out["good"], out["errors"]) == (len(lengths), [])
    assert [len(c) for c in card.executed] == lengths
    assert out["present"]
    assert out["retries"] >= 1
    assert not field.on


def test_a_lost_card_is_a_typed_error_there_too(card, on_micropython):
    field = Field()
    field.place(card)
    field.tear(lambda command, index: index == 1, "answer")
    with PtyPort(SPIServer(MFRC522Chip(field))) as port:
        out = json.loads(on_micropython(PROGRAM, port.path, "[5, 6]"))
    assert out["good"] == 1
    assert out["errors"] == ["CardLost: the card left the field (no answer from the card)"]
    assert not out["present"]
