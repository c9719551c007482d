"""The configuration file: where it is found, what overrides it, what is said when it is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flagfall_host.cli.config import app
from flagfall_host.settings import Settings, SettingsError, load, variable
from typer.testing import CliRunner


@pytest.fixture(autouse=True)
def desk(tmp_path, monkeypatch):
    """An empty folder to stand in, an empty home, no FLAGFALL_ variable."""
    for key in [*Settings.model_fields, "config"]:
        monkeypatch.delenv(variable(key), raising=False)
    here = tmp_path / "desk"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return here


def wrong(text):
    Path("flagfall.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load()
    return str(caught.value)


def test_without_a_file_everything_is_default():
    found = load()
    assert found.file is None and set(found.sources.values()) == {"default"}


def test_the_first_place_counts(tmp_path, monkeypatch):
    places = [tmp_path / "xdg/flagfall/flagfall.toml", Path("flagfall.toml")]
    for name, place in zip(("xdg", "here"), places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f'company = "{name}"')
        assert load().settings.company == name
    Path("by-variable.toml").write_text('company = "variable"')
    monkeypatch.setenv("FLAGFALL_CONFIG", "by-variable.toml")
    assert load().settings.company == "variable"
    Path("named.toml").write_text('company = "named"')
    assert load(Path("named.toml")).settings.company == "named"
    monkeypatch.setenv("FLAGFALL_CONFIG", "gone.toml")
    with pytest.raises(SettingsError, match="FLAGFALL_CONFIG names it"):
        load()


def test_the_environment_overrides_the_file_key_by_key(monkeypatch):
    Path("flagfall.toml").write_text('# mine\nbaud = 9600\nport = ["/dev/a", "/dev/b"]\n')
    monkeypatch.setenv("FLAGFALL_BAUD", "57600")
    found = load()
    assert (found.settings.baud, found.settings.port) == (57_600, ["/dev/a", "/dev/b"])
    assert found.sources["baud"] == "environment FLAGFALL_BAUD"
    assert found.sources["port"] == "flagfall.toml line 3"
    monkeypatch.setenv("FLAGFALL_PORT", "/dev/c /dev/d")
    assert load().settings.port == ["/dev/c", "/dev/d"]


def test_paths_are_relative_to_the_file(tmp_path):
    file = tmp_path / "office" / "flagfall.toml"
    file.parent.mkdir()
    file.write_text('fleet = "keys"\nledger = "l.sqlite"\nprofile = "bank.toml"\nkeys = "/k.json"')
    s = load(file).settings
    assert s.fleet == file.parent / "keys"
    assert (s.ledger, s.profile) == (
        str(file.parent / "l.sqlite"),
        str(file.parent / "bank.toml"),
    )
    assert s.keys == "/k.json"
    file.write_text('ledger = "postgresql://db/x"\nprofile = "unionpay"\nkeys = "pkcs11:token=x"')
    s = load(file).settings
    assert (s.ledger, s.profile) == ("postgresql://db/x", "unionpay")


def test_errors_name_file_line_and_key(monkeypatch):
    assert wrong("\nbaud = 'fast'").startswith("flagfall.toml line 2: baud = 'fast'")
    assert "HOST:PORT is needed" in wrong("acquirer = 'bank'")
    assert "line 1: flet: no such key; there are fleet," in wrong("flet = 'x'")
    assert "FLAGFALL_FLEET_SECRET" in wrong("passphrase = 'x'")
    assert "no such time zone" in wrong("timezone = 'Mars/Base'")
    assert "no such time zone" in wrong("timezone = '../etc'")
    assert "not TOML" in wrong("fleet = keys") and "line 1" in wrong("fleet = keys")
    Path("flagfall.toml").write_bytes(b"company = '\xff'")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load()
    Path("flagfall.toml").unlink()
    monkeypatch.setenv("FLAGFALL_BAUD", "fast")
    with pytest.raises(SettingsError, match=r"FLAGFALL_BAUD='fast' \(environment\)"):
        load()
    with pytest.raises(SettingsError, match="flagfall config init"):
        load(Path("gone.toml"))


def test_init_writes_a_file_that_says_every_default():
    made = CliRunner().invoke(app, ["init"])
    assert made.exit_code == 0
    text = Path("flagfall.toml").read_text()
    assert load().settings == Settings()
    # With every key's # taken off it is the same again.
    lines = [
        line.removeprefix("# ") if line.partition(" = ")[0][2:] in Settings.model_fields else line
        for line in text.splitlines()
    ]
    Path("flagfall.toml").write_text("\n".join(lines))
    found = load()
    assert found.settings == Settings() and "default" not in {
        source for source in found.sources.values()
    }
    again = CliRunner().invoke(app, ["init"])
    assert isinstance(again.exception, SettingsError)


def flagfall(*words):
    done = subprocess.run(
        [sys.executable, "-m", "flagfall_host.cli.main", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_commands_take_their_defaults_from_the_file():
    Path("flagfall.toml").write_text('ledger = "postgresql://me:word@nowhere.invalid/l"\n')
    code, out, _ = flagfall("config", "show", "--json")
    assert code == 0
    assert json.loads(out)["keys"]["ledger"] == {
        "value": "postgresql://me:...@nowhere.invalid/l",
        "from": "flagfall.toml line 1",
    }
    Path("other.toml").write_text('ledger = "books/l.sqlite"\nport = "/dev/no-such-port"\n')
    code, _, err = flagfall("--config", "other.toml", "ledger", "status")
    assert code == 1 and err.startswith("flagfall: books/l.sqlite: no ledger there")
    code, _, err = flagfall("--config", "other.toml", "unit", "info")
    assert code == 1 and "/dev/no-such-port" in err
    code, _, err = flagfall("--config", "other.toml", "ledger", "status", "--ledger", "mine")
    assert code == 1 and err.startswith("flagfall: mine: no ledger there")


def test_a_broken_file_does_not_stop_commands_that_need_none_of_it():
    Path("flagfall.toml").write_text("nonsense")
    assert flagfall("tariff", "list")[0] == 0
    code, _, err = flagfall("ledger", "status")
    assert code == 1 and "flagfall.toml" in err
