"""The office's list of drivers: PINs and cards go in, only hashes are kept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flagfall import roster
from flagfall_host.depot.roster_file import DriverError, DriversFile, SignIn

FLAGFALL = Path(sys.executable).with_name("flagfall")
UID = "04:A1:B2:C3:D4:E5:80"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "office" / "drivers.toml"


def made(work: roster.SlowHash) -> bytes:
    while work.work():
        pass
    return work.made


def test_what_the_unit_gets_knows_the_driver(path: Path) -> None:
    drivers = DriversFile(path)
    drivers.put("340023", "246810", UID, None)
    drivers.put("0017", "8642", None, ["CAB-17"])
    drivers.save()
    assert path.stat().st_mode & 0o77 == 0
    text = path.read_text()
    assert "246810" not in text and "8642" not in text and "A1B2C3" not in text.upper()
    again = DriversFile(path)
    assert again.content("CAB-17") == drivers.content("CAB-17")
    unit = roster.Roster(again.content("CAB-17"))
    assert (unit.mode, unit.rounds, len(unit)) == (roster.PIN_OR_CARD, 1_000, 2)
    assert unit.is_pin("0017", made(unit.pin_hash("0017", "8642")))
    assert not unit.is_pin("0017", made(unit.pin_hash("0017", "8643")))
    assert unit.driver_of(made(unit.card_hash(bytes.fromhex("04A1B2C3D4E580")))) == "340023"
    assert len(roster.Roster(again.content("CAB-18"))) == 1, "17 drives CAB-17 alone"
    again.remove("340023")
    with pytest.raises(DriverError, match="nobody could sign in"):
        again.content("CAB-18")
    with pytest.raises(DriverError, match="no driver 340023"):
        again.remove("340023")


def test_each_way_to_sign_in_asks_for_what_it_needs(path: Path) -> None:
    drivers = DriversFile(path)
    drivers.put("1", "8642", None, None)
    for way, lacks in (
        (SignIn.CARD, "has no card"),
        (SignIn.CARD_AND_PIN, "has no card"),
        (SignIn.NUMBER, ""),
        (SignIn.PIN, ""),
        (SignIn.PIN_OR_CARD, ""),
    ):
        drivers.sign_in = way
        if lacks:
            with pytest.raises(DriverError, match=lacks):
                drivers.content("CAB-1")
        else:
            assert len(roster.Roster(drivers.content("CAB-1"))) == 1
    drivers.put("1", "", UID, None)
    with pytest.raises(DriverError, match="no driver|no PIN"):
        drivers.sign_in = SignIn.PIN
        drivers.content("CAB-1")


@pytest.mark.parametrize(
    ("number", "pin", "card", "says"),
    [
        ("34x", None, None, "1 to 16 digits"),
        ("1" * 17, None, None, "1 to 16 digits"),
        ("7", "864", None, "4 to 12 digits"),
        ("7", "1234", None, "first that anyone tries"),
        ("7", "7777", None, "first that anyone tries"),
        ("340023", "0023", None, "first that anyone tries"),
        ("7", None, "04A1", "4, 7 or 10 bytes"),
        ("7", None, "08A1B2C3", "changes with each tap"),
        ("7", None, UID, "driver 1's already"),
    ],
)
def test_what_is_no_pin_and_no_card(
    path: Path, number: str, pin: str, card: str, says: str
) -> None:
    drivers = DriversFile(path)
    drivers.put("1", None, UID, None)
    with pytest.raises(DriverError, match=says):
        drivers.put(number, pin, card, None)
    assert list(drivers.drivers) == ["1"]


def test_a_csv_file_is_taken_whole_or_not_at_all(path: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "drivers.csv"
    sheet.write_text(f"\ufeffnumber,pin,card,units\n17,8642,,CAB-1 CAB-2\n18,,{UID},\n", "utf-8")
    drivers = DriversFile(path)
    assert drivers.take_csv(sheet) == 2
    assert drivers.drivers["17"].units == ["CAB-1", "CAB-2"] and drivers.drivers["18"].card
    known = dict(drivers.drivers)
    for text, says in (
        ("number,pin\n19,8642\n20,1\n", "driver 20"),
        ("name,pin\n19,8642\n", "names the columns"),
        ("number,pin\n19,8642,9,9\n", "more cells"),
        ("", "names the columns"),
    ):
        sheet.write_text(text)
        with pytest.raises(DriverError, match=says):
            drivers.take_csv(sheet)
        assert drivers.drivers == known
    sheet.write_bytes(b"number\n\xff\n")
    with pytest.raises(DriverError, match="UTF-8"):
        drivers.take_csv(sheet)
    with pytest.raises(DriverError, match="cannot be read"):
        drivers.take_csv(tmp_path / "none.csv")


def test_a_damaged_list_says_so(path: Path) -> None:
    drivers = DriversFile(path)
    drivers.put("1", "8642", None, None)
    drivers.save()
    whole = path.read_text()
    for old, new in (
        ('sign_in = "pin-or-card"', 'sign_in = "wink"'),
        ("rounds = 1000", "rounds = 0"),
        ('number = "1"', "number = 1"),
        ('number = "1"', 'number = "x"'),
        ("salt", "sugar"),
        ('pin = "', 'pin = "00'),
    ):
        path.write_text(whole.replace(old, new))
        with pytest.raises(DriverError, match=r"drivers.toml: not a list of drivers"):
            DriversFile(path)


def test_the_command(path: Path) -> None:
    def flagfall(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FLAGFALL, "driver", *words, "--fleet", str(path.parents[1])],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert "any number signs in" in flagfall("list").stdout
    run = flagfall("put", "340023", "--pin-stdin", "--card", UID, stdin="246810\n")
    assert "driver 340023 has a PIN and a card" in run.stdout, run.stderr
    run = flagfall("put", "340024")
    assert run.returncode == 1 and "--pin-stdin reads one" in run.stderr
    assert flagfall("sign-in", "card-and-pin").returncode == 0
    listed = json.loads(flagfall("list", "--json").stdout)
    assert listed == {
        "sign_in": "card-and-pin",
        "drivers": [{"number": "340023", "pin": True, "card": True, "units": []}],
    }
    assert flagfall("remove", "340023").returncode == 0
    run = flagfall("remove", "340023")
    assert run.returncode == 1 and "there is no driver 340023" in run.stderr
