"""The fleet folder: made once, read back, refused when it cannot be trusted."""

import hmac
from pathlib import Path

import pytest
from flagfall_host.depot.fleet import SECRET_VARIABLE, Fleet, FleetError

SECRET = "a test secret"


@pytest.fixture(autouse=True)
def _no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


def test_what_was_made_is_read_back(tmp_path: Path):
    made = Fleet.create(tmp_path / "f", "Hefei cabs")
    read = Fleet.open(tmp_path / "f")
    assert read.name == "Hefei cabs" and read.key_id == made.key_id
    assert read.unit_key("CAB-1") == made.unit_key("CAB-1") != made.unit_key("CAB-2")
    assert read.private_key.key_size == 2048
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "f").iterdir()} == {0o600}


def test_unit_keys_are_hkdf_of_the_master_key(tmp_path: Path):
    fleet = Fleet.create(tmp_path / "f")
    master = bytes.fromhex((tmp_path / "f/master.key").read_text())
    # RFC 5869 by hand: one block is enough for 32 bytes.
    extracted = hmac.digest(b"flagfall", master, "sha256")
    assert fleet.unit_key("CAB-1") == hmac.digest(extracted, b"unitCAB-1\x01", "sha256")


def test_a_sealed_fleet_opens_with_its_secret_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = Fleet.create(tmp_path / "f", secret=SECRET)
    assert Fleet.open(tmp_path / "f", SECRET).unit_key("A") == made.unit_key("A")
    for name in ("master.key", "fleet-private.pem"):
        text = (tmp_path / "f" / name).read_text()
        assert made._master.hex() not in text and "BEGIN PRIVATE KEY" not in text
    with pytest.raises(FleetError, match=SECRET_VARIABLE):
        Fleet.open(tmp_path / "f")
    with pytest.raises(FleetError, match="not the one it was sealed under"):
        Fleet.open(tmp_path / "f", "another")
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    assert Fleet.open(tmp_path / "f").key_id == made.key_id


def test_keys_are_never_replaced(tmp_path: Path):
    made = Fleet.create(tmp_path / "f")
    with pytest.raises(FleetError, match="already"):
        Fleet.create(tmp_path / "f")
    assert Fleet.open(tmp_path / "f").key_id == made.key_id


def test_a_folder_that_is_none_is_named(tmp_path: Path):
    with pytest.raises(FleetError, match="flagfall fleet init"):
        Fleet.open(tmp_path)


def test_files_that_others_can_read_are_refused(tmp_path: Path):
    Fleet.create(tmp_path / "f")
    (tmp_path / "f/master.key").chmod(0o644)
    with pytest.raises(FleetError, match="chmod 600"):
        Fleet.open(tmp_path / "f")


@pytest.mark.parametrize("name", ["master.key", "fleet-private.pem", "fleet.toml"])
@pytest.mark.parametrize("damage", ["", "nonsense\n", "{}", '{"salt": 1}', "\x00\xff"])
def test_damaged_files_are_named(tmp_path: Path, name: str, damage: str):
    Fleet.create(tmp_path / "f", secret=SECRET)
    (tmp_path / "f" / name).write_text(damage, encoding="latin-1")
    with pytest.raises(FleetError, match=name):
        Fleet.open(tmp_path / "f", SECRET)


def test_keys_of_two_fleets_do_not_mix(tmp_path: Path):
    Fleet.create(tmp_path / "a")
    Fleet.create(tmp_path / "b")
    other = (tmp_path / "b/fleet-private.pem").read_bytes()
    (tmp_path / "a/fleet-private.pem").write_bytes(other)
    with pytest.raises(FleetError, match="not the key that fleet.toml names"):
        Fleet.open(tmp_path / "a")


@pytest.mark.parametrize("name", ["", "x" * 41, 'quote"', "line\nbreak"])
def test_names_that_would_not_fit_in_the_file(tmp_path: Path, name: str):
    with pytest.raises(FleetError):
        Fleet.create(tmp_path / "f", name)


def test_no_key_in_its_text(tmp_path: Path):
    fleet = Fleet.create(tmp_path / "f")
    assert fleet._master.hex() not in repr(fleet) + str(fleet)
