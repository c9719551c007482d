"""Frames as npm iso_8583 reads them, a decoder that shares no code with ours.

It knows ASCII digits and lengths only, so it reads the messages of the profile `ascii`: all but
0830, a type that it does not know.
"""

import json
import subprocess
from pathlib import Path

import pytest
from flagfall.emv.tlv import parse
from flagfall_host.acquirer import mac, message
from flagfall_host.acquirer.codec import Message, decode, encode, with_length
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import CardData
from flagfall_host.cli.acquirer import app
from office import TERMINAL, card_data
from typer.testing import CliRunner

ORACLE = Path(__file__).parents[2] / "oracle"
ASCII = Profile.load("ascii")
LENGTHS = {0: "fixed", 2: "llvar", 3: "lllvar"}


def formats():
    """The profile's field table in the words of iso_8583."""
    out = {}
    for number, field in ASCII.spec.items():
        if number.isdigit() and number != "1":
            binary = field["data_enc"] == "b"
            out[number] = {
                "ContentType": "b" if binary else "ans",
                "Label": number,
                "LenType": LENGTHS[field["len_type"]],
                "MaxLen": field["max_len"] * (2 if binary else 1),
            }
    return out


def messages():
    """Every message that a terminal sends, and answers with each of their fields."""
    card = CardData(dict(parse(card_data(12345, 7))))
    online = CardData(dict(parse(card_data(999, 8, online=True, **{"9F74": b""}))))
    ids = bytes.fromhex("9F0605A0000003339F220108")  # a CA key's id
    yield message.sign_in(ASCII, TERMINAL, 1, 0)
    yield message.echo(ASCII, TERMINAL, 2, 7)
    yield message.offline_sale(ASCII, TERMINAL, 3, 7, 12345, card, 1)
    yield message.offline_sale(ASCII, TERMINAL, 4, 7, 999, online, 2)
    yield message.settlement(ASCII, TERMINAL, 5, 7, 2, 13344)
    yield message.offline_sale(ASCII, TERMINAL, 3, 7, 12345, card, 1, message.BATCH_UPLOAD)
    yield message.batch_end(ASCII, TERMINAL, 6, 7, 2)
    for name, download in ASCII.downloads.items():
        for code in filter(None, (download.query, download.code, download.end)):
            made = message.download(
                code, b"100" if name != "capk" else ids, status=code[-1] == "2"
            )
            yield made(ASCII, TERMINAL, 9, 7)
    same = {"11": "000003", "41": TERMINAL.terminal_id, "42": TERMINAL.merchant_id, "39": "00"}
    same |= {"37": "000007000003"}
    yield Message("0210", {**same, "4": "000000012345", "12": "141544", "13": "0824"})
    yield Message("0330", same)
    yield Message("0510", {**same, "48": "0" * 30 + "1" + "0" * 30 + "1", "49": "156"})
    yield Message("0810", {**same, "32": "03062900", "60": "00000007003", "62": "AB" * 40})


def test_another_decoder_reads_every_message_as_decode_does():
    made = mac.under_key(ASCII.mac, bytes(range(8)))
    frames = []
    for one in messages():
        frames += [encode(ASCII, one), encode(ASCII, one, made)]
    metadata = len(ASCII.tpdu + ASCII.header)
    lines = "".join(
        json.dumps(
            {
                "formats": formats(),
                "metadata": metadata,
                "hex": with_length(ASCII, frame).hex(),
            }
        )
        + "\n"
        for frame in frames
    )
    done = subprocess.run(
        ["node", "decode.js"], cwd=ORACLE, input=lines, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    read = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(read) == len(frames) > 40
    for theirs, frame in zip(read, frames, strict=True):
        ours = decode(ASCII, frame)
        assert "error" not in theirs, (ours.mti, theirs)
        assert theirs.pop("0") == ours.mti
        if "64" in theirs:
            theirs["64"] = theirs["64"].upper()
        assert theirs == ours.fields


@pytest.mark.parametrize("one", list(messages())[2:4], ids=["e-cash", "transit"])
def test_decode_as_a_person_types_it_says_the_same(one):
    frame = encode(ASCII, one)
    done = CliRunner().invoke(app, ["decode", frame.hex(), "--profile", "ascii", "--json"])
    said = json.loads(done.output)
    assert said["mti"] == one.mti
    masked = {"2", "35", "55"}
    assert {n: v for n, v in said["fields"].items() if n not in masked} == {
        n: v for n, v in one.fields.items() if n not in masked
    }
