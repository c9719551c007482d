"""`flagfall journal` on images made by the real journal."""

import json

import pytest
from flagfall.hmac_sha256 import hmac_sha256
from flagfall.journal import schema
from flagfall.journal.ring import Journal
from flagfall_host.cli.journal import app
from flagfall_host.depot.fleet import Fleet
from flagfall_host.errors import FlagfallError
from nor_flash import BLOCK, NorFlash
from PIL import Image
from typer.testing import CliRunner

UNIT = "T-0001"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet") / "keys"
    Fleet.create(folder)
    return folder


@pytest.fixture()
def image(fleet, tmp_path):
    key = hmac_sha256(Fleet.open(fleet).unit_key(UNIT), b"journal")
    flash = NorFlash(16 * BLOCK)
    journal = Journal(flash, key)
    journal.mount(1)
    for i in range(1, 201):
        journal.append(schema.EVENT, schema.pack(schema.EVENT, code=1, text=f"e{i}"), i)
    record = next(journal.read(100))
    journal.acknowledge(record.epoch, record.seq, record.mac[:4], 201)
    path = tmp_path / "journal.bin"
    path.write_bytes(flash.data)
    return path


def run(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


def damage(path, address=2 * BLOCK + 40):
    data = bytearray(path.read_bytes())
    data[address] ^= 1
    path.write_bytes(data)


def test_inspect_as_a_table(image):
    result = run("inspect", image)
    assert result.exit_code == 0, result.output
    assert "EVENT" in result.output and "text e200" in result.output
    assert "booked to seq" in result.output and "upto_seq 100" in result.output


def test_inspect_as_json(image, fleet):
    args = ("--json", "--fleet", fleet, "--unit", UNIT, "--last", "0")
    found = json.loads(run("inspect", image, *args).output)
    assert found["records"] == 201 and found["booked_to_seq"] == 100 and found["macs_checked"]
    assert found["sectors"] == {"acknowledged": 1, "erased": 12, "live": 3}
    assert [item["seq"] for item in found["items"]] == list(range(1, 202))


def test_verify(image, fleet):
    result = run("verify", image, "--fleet", fleet, "--unit", UNIT)
    assert result.exit_code == 0 and "201 records, seq 1 to 201: sound" in result.output
    damage(image)
    result = run("verify", image, "--fleet", fleet, "--unit", UNIT)
    assert result.exit_code == 1 and "damaged: seq 127" in result.output
    found = json.loads(run("verify", image, "--json").output)
    assert found["damaged"] == [[127, 127]] and found["findings"][0]["kind"] == "damaged"


def test_verify_under_the_wrong_key(image, fleet):
    result = run("verify", image, "--fleet", fleet, "--unit", "OTHER")
    assert result.exit_code == 1 and result.output.count("forged") == 1
    assert "not one of the 201 records" in result.output and "--unit right?" in result.output


def test_map(image, tmp_path):
    damage(image)
    out = tmp_path / "map.png"
    result = run("map", image, "-o", out)
    assert result.exit_code == 0, result.output
    with Image.open(out) as picture:
        colours = {c for _, c in picture.convert("RGB").getcolors(1 << 20)}
    # live, acknowledged, erased and damaged are all in the picture
    assert {(27, 108, 168), (156, 201, 227), (242, 242, 242), (209, 56, 44)} <= colours


def test_a_file_that_is_no_image(tmp_path):
    path = tmp_path / "short.bin"
    path.write_bytes(b"x" * 100)
    for command in ("inspect", "verify", "map"):
        result = run(command, path)
        assert isinstance(result.exception, FlagfallError)
        assert "4096-byte sectors" in str(result.exception)
    result = run("verify", tmp_path / "none.bin")
    assert isinstance(result.exception, FlagfallError)


def test_unit_without_fleet(image, monkeypatch):
    monkeypatch.delenv("FLAGFALL_FLEET", raising=False)
    assert "--fleet" in str(run("verify", image, "--unit", UNIT).exception)
