"""Files for a unit are read and checked before anything goes on the wire."""

import json
from pathlib import Path

import pytest
from flagfall_host.bench.cards import catalogue
from flagfall_host.depot.pushed_files import (
    PushedFileError,
    PushKind,
    deny_entries,
    read_pushed_file,
)
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


def test_ca_keys_as_json_as_lines_and_as_toml(tmp_path: Path):
    rows = [row.hex().upper() for row in catalogue.capk_tlvs()[:2]]
    path = tmp_path / "keys"
    for text in (json.dumps(rows), "\n\n".join(rows) + "\n"):
        path.write_text(text)
        made = json.loads(read_pushed_file(PushKind.CAPK, str(path)))
        assert made == {"live": False, "keys": rows}
    path = tmp_path / "capk.toml"
    path.write_text(f"keys = {json.dumps(rows)}\n")
    assert json.loads(read_pushed_file(PushKind.CAPK, str(path)))["keys"] == rows
    path.write_text(f"live = true\nkeys = {json.dumps(rows)}\n")
    with pytest.raises(PushedFileError, match="public test key"):
        read_pushed_file(PushKind.CAPK, str(path))
    path.write_text(f'keys = ["{rows[0][:-2]}00"]\n')
    with pytest.raises(PushedFileError, match="checksum"):
        read_pushed_file(PushKind.CAPK, str(path))


def test_a_deny_file_as_lines_and_as_toml(tmp_path: Path):
    path = tmp_path / "deny.txt"
    path.write_text("# of the acquirer\n6210948000000001\n\n620000-620099  # a bank\n")
    assert deny_entries(path) == (["6210948000000001"], [("620000", "620099")])
    path = tmp_path / "deny.toml"
    path.write_text('pans = ["6210948000000001"]\nranges = [["620000", "620099"]]\n')
    assert deny_entries(path) == (["6210948000000001"], [("620000", "620099")])
    for text in (
        'pans = ["62109480000000x1"]\n',
        "pans = [6210948000000001]\n",
        'ranges = ["62"]\n',
        'pan = ["6210948000000001"]\n',
        'pans = "6210948000000001"\n',
    ):
        path.write_text(text)
        with pytest.raises(PushedFileError) as e:
            deny_entries(path)
        assert "62109480" not in str(e.value), "a card number is never repeated"


def test_revocations_and_texts(tmp_path: Path):
    path = tmp_path / "revoked.toml"
    path.write_text('[[revoked]]\nrid = "A000000333"\nindex = "e1"\nserial = "000002"\n')
    assert json.loads(read_pushed_file(PushKind.REVOKED, str(path))) == ["A000000333E1000002"]
    path.write_text('[[revoked]]\nrid = "A000000333"\nindex = "e1"\nserial = "2"\n')
    with pytest.raises(PushedFileError, match="serial must be 6 hex digits"):
        read_pushed_file(PushKind.REVOKED, str(path))
    path = tmp_path / "texts.toml"
    path.write_text('header = ["Have a good day"]\n')
    assert json.loads(read_pushed_file(PushKind.TEXTS, str(path))) == {
        "header": ["Have a good day"]
    }
    path.write_text(f'header = ["{33 * "x"}"]\n')
    with pytest.raises(PushedFileError, match="33 characters; 32 fit"):
        read_pushed_file(PushKind.TEXTS, str(path))


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
