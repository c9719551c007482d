"""`flagfall acquirer work|download|keys` as a person types them."""

import json
import tomllib

import pytest
from flagfall_host.acquirer.errors import AcquirerError, KeysError
from flagfall_host.acquirer.working_keys import load_master_key
from flagfall_host.cli.acquirer import app
from flagfall_host.depot.fleet import Fleet
from flagfall_host.ledger import Ledger
from office import TERMINAL, Host, TapUnit
from typer.testing import CliRunner


@pytest.fixture
def office(tmp_path, monkeypatch):
    """A folder with a fleet and a ledger of two units' taps; the words that name them."""
    monkeypatch.chdir(tmp_path)
    fleet = Fleet.create(tmp_path / "fleet", "office")
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for number in (1, 2):
            unit = TapUnit(f"TAXI-{number}")
            unit.key_record(fleet.private_key.public_key())
            for n in range(3):
                unit.tap(1000 * number + n, online=n == 1)
            ledger.book(unit.unit_id, unit.raws, unit.key)
    (tmp_path / "terminals.toml").write_text(
        f'[[terminal]]\nid = "10000001"\nmerchant = "{TERMINAL.merchant_id}"\nunits = ["TAXI-1"]\n'
    )
    return tmp_path


def run(*words, exit_code=0, stdin=None):
    done = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    assert done.exit_code == exit_code, (done.output, done.exception)
    return done.output


def test_work(office):
    with Host(office / "host", {"decline": 1}) as host:
        where = ["--host", f"127.0.0.1:{host.port}"]
        said = run("work", *where, "--settle", exit_code=1)
        assert "accepted: 2 taps, 20.03" in said and "51 (not enough money)" in said
        assert "settled: 1 batches, 2 taps, 20.03" in said
        assert "unit TAXI-2: 3 taps wait: no terminal takes them" in said
        with (office / "terminals.toml").open("a") as f:
            f.write(f'[[terminal]]\nid = "10000002"\nmerchant = "{TERMINAL.merchant_id}"\n')
        said = json.loads(run("work", *where, "--settle", "--json"))
        assert (said["accepted"], said["settled"][0]["terminal"]) == (3, "10000002")
        assert "accepted: 0 taps" in run("work", *where)
    said = run("work", *where, "--settle")
    assert "accepted: 0 taps" in said  # with nothing to do nobody is asked
    done = CliRunner().invoke(app, ["work", *where, "--terminals", "gone.toml"])
    assert isinstance(done.exception, AcquirerError) and "gone.toml" in str(done.exception)


def test_download(office):
    with Host(office / "host", command=True) as host:
        where = ["--host", f"127.0.0.1:{host.port}", "--terminal", TERMINAL.terminal_id]
        where += ["--merchant", TERMINAL.merchant_id]
        said = run("download", *where, "--test")
        assert "capk: 5 in fleet/downloads/capk.toml" in said and "deny: 0 in" in said
        said = json.loads(run("download", *where, "--what", "aid", "--json"))
        assert said == {"download": "aid", "entries": 3, "file": "fleet/downloads/aids.toml"}
    aids = tomllib.loads((office / "fleet/downloads/aids.toml").read_text())["aids"]
    assert len(aids) == 3


def test_keys(office, monkeypatch):
    monkeypatch.setenv("FLAGFALL_KEYS_SECRET", "a passphrase")
    where = ["--keys", "keys.json"]
    key = load_master_key()
    other = bytes(range(16))
    parts = f"{other.hex()}\n{bytes(a ^ b for a, b in zip(key, other, strict=True)).hex()}\n"
    said = run("keys", "add", *where, "--terminal", "10000001", "--components", 2, stdin=parts)
    assert said.count("check value") == 3 and key.hex() not in said
    listed = json.loads(run("keys", "list", *where, "--json"))
    assert listed["10000001"] == said.split()[-1]
    for bad in ("", "12\n", "x" * 32 + "\n"):
        done = CliRunner().invoke(app, ["keys", "add", *where], input=bad)
        assert isinstance(done.exception, KeysError) and "32 hex digits" in str(done.exception)
    with Host(office / "host") as host:
        ids = ["--terminal", TERMINAL.terminal_id, "--merchant", TERMINAL.merchant_id]
        said = run("sign-in", "--host", f"127.0.0.1:{host.port}", *ids, *where)
        assert "signed in, batch 1" in said
    done = CliRunner().invoke(app, ["keys", "list"])
    assert isinstance(done.exception, KeysError) and "--keys FILE" in str(done.exception)
