"""From the office folder to a bench unit, by the commands that a person types."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench_taxi import Garage, ride
from flagfall.journal import schema
from flagfall.link.proof import journal_key
from flagfall.signed_file import Header
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import CURRENCY, TERMINAL_ID, UNIT_ID, aid_row
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.journal_image import read_image
from flagfall_host.depot.pushed_files import PushKind
from flagfall_host.depot.unit_files import signed_unasked
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.check import check

FLAGFALL = Path(sys.executable).with_name("flagfall")
CAMPAIGN = """timezone = "Asia/Shanghai"
[[campaign]]
id = 7
name = "Spring"
from = 2026-03-01
until = 2026-04-01
{what}
"""


@pytest.fixture
def office(garage: Garage, tmp_path: Path) -> Path:
    """A copy of the fleet folder with an office in it."""
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    for path in garage.fleet_folder.iterdir():
        if path.is_file():
            (fleet / path.name).write_bytes(path.read_bytes())
            (fleet / path.name).chmod(0o600)
    folder = fleet / "office"
    (folder / "units").mkdir(parents=True)
    (folder / "deny").mkdir()
    (folder / "units.toml").write_text(f"currency = {CURRENCY}\ncountry = 156\n")
    (folder / "units" / f"{UNIT_ID}.toml").write_text(
        f'plate = "WAN-1"\nterminal_id = "{TERMINAL_ID}"\nmerchant_id = "880210010210160"\n'
    )
    aids = [aid_row(aid) for aid in ("A000000333010101", "A000000333010106")]
    downloads = fleet / "downloads"
    downloads.mkdir()
    (downloads / "aids.toml").write_text(f"aids = {json.dumps(aids)}\n")
    keys = [row.hex() for row in catalogue.capk_tlvs()]
    (downloads / "capk.toml").write_text(f"live = false\nkeys = {json.dumps(keys)}\n")
    (folder / "texts.toml").write_text('footer = ["Thank you for riding"]\n')
    (folder / "deny" / "390.txt").write_text("6210948199999999\n620000-620001\n")
    rid, index, serial = next(iter(catalogue.revocations()))
    (folder / "revoked.toml").write_text(
        f'[[revoked]]\nrid = "{rid.hex()}"\nindex = "{index:02X}"\nserial = "{serial.hex()}"\n'
    )
    (folder / "campaigns.toml").write_text(CAMPAIGN.format(what="percent = 20\ncap = 300"))
    return fleet


def flagfall(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [FLAGFALL, *map(str, words)], capture_output=True, text=True, check=False, timeout=100
    )


def kinds(taxi: Taxi, fleet: Path) -> dict[str, dict]:
    run = flagfall("unit", "config", "--port", taxi.port, "--fleet", fleet, "--json")
    assert run.returncode == 0, run.stderr
    return {row["kind"]: row for row in json.loads(run.stdout)["kinds"]}


def push(taxi: Taxi, fleet: Path, *words: object) -> subprocess.CompletedProcess:
    return flagfall("unit", "push", *words, "--port", taxi.port, "--fleet", fleet)


def pay_by_tap(taxi: Taxi, card: str = "ecash") -> str:
    taxi.press("CARD", what="the request", position="STOPPED")
    taxi.world.wait(lambda: taxi.face["message"].startswith("Tap card"), "the request")
    heard = len(taxi.world.tones)
    taxi.hold(catalogue.make(card))
    taxi.world.wait(lambda: len(taxi.world.tones) > heard, "a tone")
    taxi.field.remove()
    return taxi.world.tones[heard]


def trips(taxi: Taxi, garage: Garage) -> list[dict]:
    image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    return [schema.unpack(r.type, r.body) for r in image.records if r.type == schema.TRIP]


def restarted(taxi: Taxi) -> None:
    for _ in range(100):
        taxi.world.run(100)
        if taxi.face.get("said") == 0:
            return


def test_push_all_and_see_what_is_in_force(garage: Garage, office: Path, tmp_path: Path) -> None:
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        before = kinds(taxi, office)
        assert before["capk"]["state"] == "from the workshop, unsigned: push capk"
        assert before["deny"]["state"] == "missing on the unit: push deny"
        assert before["tariff"]["state"] == "the office folder has none"
        run = push(taxi, office, "all")
        assert run.returncode == 0, run.stderr
        assert len(run.stdout.splitlines()) == 6
        restarted(taxi)
        after = kinds(taxi, office)
        for kind in ("config", "capk", "revoked", "deny", "texts", "campaigns"):
            assert (after[kind]["version"], after[kind]["state"]) == (1, "the same"), kind
        run = push(taxi, office, "all")
        assert run.stdout.count("in force already") == 6, run.stdout
        # The office changes its mind, and one file of it makes no sense.
        (office / "office/deny/390.txt").write_text("6210948199999999\n6210948199999998\n")
        assert kinds(taxi, office)["deny"]["state"] == "differs: push deny"
        run = push(taxi, office, "deny")
        assert "deny version 2: in force" in run.stdout, run.stdout + run.stderr
        (office / "office/texts.toml").write_text("footer = 5\n")
        run = push(taxi, office, "texts")
        assert run.returncode == 1 and "texts.toml: footer is a list of lines" in run.stderr
        assert "footer" in kinds(taxi, office)["texts"]["state"]
        run = push(taxi, office, "what.bin")
        assert run.returncode == 1 and "Put the kind before it" in run.stderr
        # What is revoked is refused, and what the office writes is printed.
        ride(taxi)
        assert pay_by_tap(taxi, "revoked-issuer") == "declined"
        assert "revoked" in taxi.face["message"]
        taxi.press("CASH", what="the cash", paid=1)
        taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
        assert any("Thank you for riding" in line for line in taxi.world.paper.jobs[-1])


def test_drivers_go_to_the_unit_that_they_drive(
    garage: Garage, office: Path, tmp_path: Path
) -> None:
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.press("SIGN", what="the sign-out", driver="")
        (tmp_path / "them.csv").write_text(f"number,pin,units\n17,246810,{UNIT_ID}\n18,864209,X\n")
        run = flagfall("driver", "import", tmp_path / "them.csv", "--fleet", office)
        assert run.returncode == 0 and "delete it" in run.stderr
        run = push(taxi, office, tmp_path / "them.csv")
        assert run.returncode == 1 and "Put the kind before it" in run.stderr
        run = push(taxi, office, "drivers", tmp_path / "them.csv")
        assert run.returncode == 1 and "flagfall driver import" in run.stderr
        run = push(taxi, office, "all")
        assert "drivers version 1: in force" in run.stdout, run.stdout + run.stderr
        restarted(taxi)
        assert kinds(taxi, office)["drivers"]["state"] == "the same"
        assert "version 1: in force already" in push(taxi, office, "drivers").stdout
        for number, signs_in in (("18", False), ("17", True)):
            taxi.world.press("SIGN", number)
            taxi.world.run(300)
            taxi.world.wait_face("the question", message=f"PIN of {number}, then SIGN")
            taxi.world.press("SIGN", "246810")
            taxi.world.run(300)
            says = "Signed in: 17, shift 2" if signs_in else "Wrong number or PIN"
            taxi.world.wait_face("the verdict", message=says)
        assert taxi.face["driver"] == "17"
        # Who is taken off the list goes on until he signs out.
        assert flagfall("driver", "remove", "17", "--fleet", office).returncode == 0
        run = push(taxi, office, "drivers")
        assert run.returncode == 1 and "nobody could sign in there" in run.stderr
        assert flagfall("driver", "sign-in", "number", "--fleet", office).returncode == 0
        assert "drivers version 2" in push(taxi, office, "drivers").stdout
        taxi.press("SIGN", what="the sign-out", driver="")
        taxi.press("SIGN", "5", what="the sign-in by number alone", driver="5")


def test_a_campaign_pays_a_part_of_a_fare_paid_by_tap(
    garage: Garage, office: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.world.run(200)
        assert push(taxi, office, "campaigns").returncode == 0
        fare = ride(taxi)
        off = min(300, fare // 5)
        assert f"CARD {off / 100:.2f} less (Spring)" in taxi.face["message"]
        # A change in the middle of a trip is in force with the next one.
        (office / "office/campaigns.toml").write_text(CAMPAIGN.format(what="off = 1"))
        assert push(taxi, office, "campaigns").returncode == 0
        assert kinds(taxi, office)["campaigns-next"]["version"] == 2
        taxi.unit.power_off()
        taxi.world.pass_without_power(3_000)
        taxi.unit.power_on()
        taxi.world.run(500)
        assert pay_by_tap(taxi) == "approved"
        taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
        lines = taxi.world.paper.jobs[-1]
        assert any("Spring" in x and f"-{off / 100:.2f}" in x for x in lines), lines
        assert any("TOTAL" in x and f"{fare / 100:.2f}" in x for x in lines)
        trip = trips(taxi, garage)[-1]
        assert (trip["fare"], trip["discount"], trip["campaign"]) == (fare, off, 7)
        taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        taxi.world.run(2_000)
        assert kinds(taxi, office)["campaigns"]["version"] == 2
        # Cash has no discount, and the shift's cash is what is in the driver's hand.
        cash = ride(taxi)
        taxi.press("CASH", what="the cash", paid=1)
        taxi.world.wait(lambda: len(taxi.world.paper.jobs) == 2, "the receipt")
        assert trips(taxi, garage)[-1]["version"] == 1
        taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        taxi.press("SIGN", what="the sign-out", driver="")
        taxi.world.wait(lambda: len(taxi.world.paper.jobs) == 3, "the shift's paper")
        shift = taxi.world.paper.jobs[-1]
        assert any(x.startswith("Cash") and f"{cash / 100:.2f}" in x for x in shift), shift
        assert any(x.startswith("Paid by campaigns") and f"{off / 100:.2f}" in x for x in shift)
        words = ("--port", taxi.port, "--fleet", office, "--ledger", ledger)
        run = flagfall("unit", "pull", *words)
        assert run.returncode == 0, run.stderr
    with Ledger.open(str(ledger)) as book, book.reading() as connection:
        assert not check(connection, None, None)


def test_what_waits_at_a_gateway_is_signed_and_has_its_version(
    garage: Garage, office: Path, tmp_path: Path
) -> None:
    fleet = Fleet.open(office)
    numbers = fleet.private_key.public_key().public_numbers()
    texts = office / "office/texts.toml"
    made = [signed_unasked(fleet, PushKind.TEXTS, str(texts), 1_000) for _ in range(2)]
    assert made[0] == made[1]
    texts.write_text('footer = ["Good night"]\n')
    newer = signed_unasked(fleet, PushKind.TEXTS, str(texts), 2_000)
    for version, file in ((1, made[0]), (2, newer)):
        header = Header(file)
        header.check((numbers.n, numbers.e), "texts", "ANY-1")
        assert header.version == version
    denied = signed_unasked(fleet, PushKind.DENY, str(office / "office/deny/390.txt"), 1_000)
    assert denied[Header(denied).size :][:4] == b"FFDL"
    tariff = signed_unasked(fleet, PushKind.TARIFF, "hefei", 1_000, "ANY-1")
    assert Header(tariff).unit_id == "ANY-1"
