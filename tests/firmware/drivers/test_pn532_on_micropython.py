"""The PN532 driver as the unit runs it: MicroPython, a real serial line, the simulated chip."""

import json

import pytest
from flagfall_host.bench.pty_port import PtyPort
from flagfall_host.bench.reader.faults import Faults
from flagfall_host.bench.reader.field import Field
from flagfall_host.bench.reader.pn532 import PN532Chip

PROGRAM = """
import asyncio, json, sys
from serial_port import SerialPort
from drivers.pn532 import PN532
from drivers.pn532_hsu import HSU
from drivers.reader import ReaderError

def apdu(n):
    return bytes((i * 7 + n) & 0xFF for i in range(n))

async def main(path, lengths):
    reader = PN532(HSU(SerialPort(path), int(sys.argv[3])))
    await reader.open()
    target = await reader.activate(1000)
    out = {"uid": target.uid.hex(), "ats": target.ats.hex(), "good": 0, "errors": []}
    for n in lengths:
        try:
            if not reader._target:
                await reader.activate(1000)
            out["good"] += await reader.transceive(apdu(n)) == apdu(n) + b"\\x90\\x00"
        except ReaderError as e:
            out["errors"].append(type(e).__name__ + ": " + str(e))
    out["present"] = await reader.present()
    await reader.release()
    await reader.field(False)
    out["nacks"] = reader.nacks
    out["resent"] = reader.resent
    print(json.dumps(out))

asyncio.run(main(sys.argv[1], range(*json.loads(sys.argv[2]))))
"""


@pytest.fixture
def chip(card):
    field = Field()
    field.place(card)
    return PN532Chip(field)


def test_every_length_of_a_short_apdu_crosses_intact(chip, card, on_micropython):
    lengths = list(range(5, 262))
    with PtyPort(chip) as port:
        out = json.loads(on_micropython(PROGRAM, port.path, "[5, 262]", "115200"))
    assert (out["uid"], out["ats"]) == (card.uid.hex(), card.ats.hex())
    assert (out["good"], out["errors"]) == (len(lengths), [])
    assert [len(c) for c in card.executed] == lengths
    assert out["present"]
    assert not chip.field.on


def test_one_damaged_answer_in_ten(chip, card, on_micropython):
    count = 0

    def damage(frame):
        nonlocal count
        count += len(frame) > 10
        if count % 10 or len(frame) <= 10:
            return frame
        return frame[:7] + bytes((frame[7] ^ 0x11,)) + frame[8:]

    chip.faults.line = damage
    lengths = list(range(5, 262, 8))
    with PtyPort(chip) as port:
        out = json.loads(on_micropython(PROGRAM, port.path, "[5, 262, 8]", "921600"))
    assert (out["good"], out["errors"]) == (len(lengths), [])
    assert out["nacks"] >= 3
    assert [len(c) for c in card.executed] == lengths


def test_faults_end_in_typed_errors_there_too(chip, card, on_micropython):
    chip.field.tear(lambda command, index: index == 2, "answer")
    chip.faults = Faults(drop_acks=1, garbage_before_ack=2)
    with PtyPort(chip) as port:
        out = json.loads(
            on_micropython(
                PROGRAM.replace("activate(1000)", "activate(0)"),
                port.path,
                "[9, 30, 10]",
                "115200",
            )
        )
    assert out["good"] == 2
    assert out["errors"] == ["CardLost: the card left the field (status 01)"]
    assert not out["present"]


def test_the_fast_line_and_a_chip_that_was_left_at_it(chip, card, on_micropython):
    with PtyPort(chip) as port:
        for _ in range(2):  # the second program finds the chip as the first has left it
            out = json.loads(on_micropython(PROGRAM, port.path, "[5, 262, 40]", "921600"))
            assert (out["good"], out["errors"]) == (7, [])
            assert chip.baud == 921600


def test_a_missing_reader_is_said_in_one_line(on_micropython):
    program = PROGRAM.replace(
        "    await reader.open()",
        "    try:\n        await reader.open()\n"
        "    except ReaderError as e:\n        print(json.dumps(str(e)))\n        return",
    )

    class Nobody:
        def feed(self, data):
            return b""

        def idle(self):
            return b""

    with PtyPort(Nobody()) as port:
        said = json.loads(on_micropython(program, port.path, "[0]", "921600"))
    assert said == "the reader does not answer: check its cable and supply"
