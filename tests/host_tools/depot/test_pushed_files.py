"""Files for a unit are read and checked before anything goes on the wire."""

import json
from pathlib import Path

import pytest
from flagfall_host.depot.pushed_files import PushedFileError, PushKind, read_pushed_file
from flagfall_host.errors import FlagfallError


def test_a_tariff_by_name_by_file_and_compiled(tmp_path: Path):
    compiled = read_pushed_file(PushKind.TARIFF, "hefei")
    path = tmp_path / "hefei.bin"
    path.write_bytes(compiled)
    assert read_pushed_file(PushKind.TARIFF, str(path)) == compiled
    source = Path(__file__).parents[3] / "host_tools/tariffs/hefei.toml"
    copy = tmp_path / "mine.toml"
    copy.write_bytes(source.read_bytes())
    assert len(read_pushed_file(PushKind.TARIFF, str(copy))) > 100
    with pytest.raises(FlagfallError):
        read_pushed_file(PushKind.TARIFF, "atlantis")


def test_ca_keys_as_json_or_as_lines(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text('["9F0605A000000333", "9F2201 08"]')
    assert json.loads(read_pushed_file(PushKind.CAPK, str(path)))[0] == "9F0605A000000333"
    path.write_text("9F0605A000000333\n\n9F220108\n")
    assert json.loads(read_pushed_file(PushKind.CAPK, str(path))) == [
        "9F0605A000000333",
        "9F220108",
    ]


def test_a_configuration_as_json_or_toml(tmp_path: Path):
    for name, text in (("c.json", '{"k": 1000, "aids": []}'), ("c.toml", "k = 1000\naids = []\n")):
        path = tmp_path / name
        path.write_text(text)
        assert json.loads(read_pushed_file(PushKind.CONFIG, str(path))) == {"k": 1000, "aids": []}


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (PushKind.CAPK, "k", "not hex\n"),
        (PushKind.CAPK, "k", "[1]"),
        (PushKind.CAPK, "k", "["),
        (PushKind.CAPK, "k", "\n"),
        (PushKind.CONFIG, "c.json", "{"),
        (PushKind.CONFIG, "c.json", "[]"),
        (PushKind.CONFIG, "c.toml", "k = "),
        (PushKind.CONFIG, "c.toml", "k = 2026-11-24\n"),
        (PushKind.CONFIG, "c.json", "\xff"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, kind: PushKind, name: str, text: str):
    path = tmp_path / name
    path.write_text(text, encoding="latin-1")
    with pytest.raises(PushedFileError, match=name):
        read_pushed_file(kind, str(path))


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(PushedFileError, match="cannot be read"):
        read_pushed_file(PushKind.CAPK, str(tmp_path / "none"))
