"""`flagfall fleet init`: a passphrase asked of a person, given by the environment, or declined."""

import getpass
from pathlib import Path

import pytest
from flagfall_host.cli import passphrase
from flagfall_host.cli.fleet import app
from flagfall_host.depot.fleet import SECRET_VARIABLE, Fleet, FleetError
from typer.testing import CliRunner

SECRET = "correct horse battery"


@pytest.fixture(autouse=True)
def _nobody(monkeypatch):
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


@pytest.fixture
def typed(monkeypatch):
    """Somebody sits at the terminal and types these answers."""
    answers = []
    monkeypatch.setattr(passphrase, "_somebody_is_there", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda _question: answers.pop(0))
    return answers


def run(*words):
    done = CliRunner().invoke(app, [str(w) for w in words])
    if isinstance(done.exception, FleetError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def private_text(folder: Path) -> str:
    return "".join(p.read_text() for p in folder.iterdir() if p.name != "fleet-public.pem")


def test_a_person_types_it_twice(tmp_path, typed):
    typed += [SECRET, SECRET]
    said = run("init", tmp_path / "f")
    assert "and the passphrase in another" in said and "Lost means lost" in said
    assert "BEGIN PRIVATE KEY" not in private_text(tmp_path / "f")
    with pytest.raises(FleetError, match=SECRET_VARIABLE):
        Fleet.open(tmp_path / "f")
    assert Fleet.open(tmp_path / "f", SECRET).name == "fleet"


def test_a_short_or_mistyped_one_makes_nothing(tmp_path, typed):
    for answers, match in ((["short"], "10 characters"), ([SECRET, SECRET + "x"], "differ")):
        typed[:] = answers
        with pytest.raises(FleetError, match=match):
            run("init", tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_a_folder_in_use_is_refused_before_anything_is_asked(tmp_path, typed):
    Fleet.create(tmp_path / "f")
    with pytest.raises(FleetError, match="already"):
        run("init", tmp_path / "f")


def test_where_nobody_sits_the_environment_gives_it(tmp_path, monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    run("init", tmp_path / "f")
    assert "BEGIN PRIVATE KEY" not in private_text(tmp_path / "f")
    with pytest.raises(FleetError, match="unset"):
        run("init", tmp_path / "g", "--unsealed")


def test_without_one_it_warns(tmp_path, typed):
    said = run("init", tmp_path / "f", "--unsealed")
    assert "are not sealed" in said and "Lost means lost" in said
    assert Fleet.open(tmp_path / "f").name == "fleet"


def test_a_sealed_folder_asks_once_and_only_if_somebody_is_there(tmp_path, typed, monkeypatch):
    Fleet.create(tmp_path / "f", secret=SECRET)
    Fleet.create(tmp_path / "open")
    monkeypatch.setenv(SECRET_VARIABLE, "")  # so that the test puts back what unlock sets
    typed.append(SECRET)
    assert passphrase.unlock(tmp_path / "open") == tmp_path / "open" and typed == [SECRET]
    assert passphrase.unlock(tmp_path / "none") == tmp_path / "none"
    passphrase.unlock(tmp_path / "f")
    assert not typed and Fleet.open(tmp_path / "f").name == "fleet"
    passphrase.unlock(tmp_path / "f")  # not asked again
    monkeypatch.setenv(SECRET_VARIABLE, "")
    monkeypatch.setattr(passphrase, "_somebody_is_there", lambda: False)
    passphrase.unlock(tmp_path / "f")
    with pytest.raises(FleetError, match="sealed: set"):
        Fleet.open(tmp_path / "f")
