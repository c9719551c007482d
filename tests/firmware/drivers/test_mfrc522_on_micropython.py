"""The MFRC522 and FM175xx drivers and our ISO-DEP as the unit runs them, on MicroPython."""

import json
from dataclasses import replace

import pytest
from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.fm175xx import FM175xxChip
from flagfall_host.bench.reader.mfrc522 import MFRC522Chip
from flagfall_host.bench.reader.spi_server import SPIServer

PROGRAM = """
import asyncio, json, sys
from spi_port import SPIPort
from drivers.fm175xx import FM175xx
from drivers.mfrc522 import MFRC522
from drivers.mfrc522_spi import RegisterBus
from drivers.reader import ReaderError

def apdu(n):
    return bytes((i * 7 + n) & 0xFF for i in range(n))

async def main(path, lengths):
    spi = SPIPort(path)
    driver = FM175xx if sys.argv[3] == "fm175xx" else MFRC522
    reader = driver(RegisterBus(spi, spi.cs))
    await reader.open()
    target = await reader.activate(1000)
    out = {"uid": target.uid.hex(), "ats": target.ats.hex(), "good": 0, "errors": []}
    out["kind"] = target.kind
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


@pytest.mark.parametrize(("name", "kind"), [("mfrc522", "A"), ("fm175xx", "A"), ("fm175xx", "B")])
def test_apdus_cross_intact_with_damage_on_the_air(card, on_micropython, name, kind):
    field = Field()
    card.kind = kind
    field.place(card)
    chip = (FM175xxChip if name == "fm175xx" else MFRC522Chip)(field)
    count = 0

    def damage(frame):
        nonlocal count
        count += 1
        if count % 10 or len(frame.data) < 6:
            return frame
        return replace(frame, data=frame.data[:-1] + bytes((frame.data[-1] ^ 0x11,)))

    chip.manners.outbound = damage
    lengths = [5, 61, 62, 130, 255, 261]
    with PtyPort(SPIServer(chip)) as port:
        out = json.loads(on_micropython(PROGRAM, port.path, json.dumps(lengths), name))
    ats = card.ats.hex() if kind == "A" else ""
    assert (out["kind"], out["uid"], out["ats"]) == (kind, card.uid.hex(), ats)
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
        out = json.loads(on_micropython(PROGRAM, port.path, "[5, 6]", "mfrc522"))
    assert out["good"] == 1
    assert out["errors"] == ["CardLost: the card left the field (no answer from the card)"]
    assert not out["present"]
