"""Who may sign in, on the real firmware: number, PIN, card, both, and those who are nobody."""

import zlib
from pathlib import Path

import pytest
from bench_taxi import Garage
from flagfall.journal import schema
from flagfall.link.proof import journal_key
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.world import BenchError
from flagfall_host.depot.journal_image import read_image
from flagfall_host.depot.roster_file import DriversFile, SignIn

NUMBER, PIN = "340099", "246810"
CARD = "ecash"  # any card with a UID of its own can be a driver's


@pytest.fixture
def taxi(garage: Garage, tmp_path: Path, request: pytest.FixtureRequest):
    """A taxi where nobody is signed in, and one driver may."""
    with garage.taxi(tmp_path / "taxi") as taxi:
        drivers = DriversFile(tmp_path / "drivers.toml")
        drivers.put(NUMBER, PIN, catalogue.make(CARD).uid.hex(), None)
        drivers.sign_in = request.param
        blob = drivers.content(UNIT_ID)
        (taxi.unit.folder / "files" / "drivers.bin").write_bytes(kept(blob))
        taxi.unit.power_on()
        taxi.press("SIGN", what="the sign-out", driver="")
        yield taxi


def kept(blob: bytes) -> bytes:
    """A file as the unit keeps it."""
    return blob + f"{zlib.crc32(blob):08x}".encode()


by = lambda *ways: pytest.mark.parametrize("taxi", ways, indirect=True)  # noqa: E731


def press(taxi: Taxi, text: str, says: str) -> None:
    taxi.world.press("SIGN", text)
    taxi.world.run(300)
    try:
        taxi.world.wait(lambda: says in taxi.face["message"], f"the words {says!r}", seconds=10)
    except BenchError as e:
        raise BenchError(f"{e}: it says {taxi.face['message']!r}") from e


def signed_in(taxi: Taxi) -> None:
    taxi.world.run(500)
    taxi.world.wait_face("the sign-in", driver=NUMBER, roof_light=True)
    assert "secret" not in taxi.face and taxi.unit.log() == ""


def refusals(taxi: Taxi, garage: Garage) -> list[str]:
    taxi.unit.power_off()
    image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    events = [schema.unpack(r.type, r.body) for r in image.records if r.type == schema.EVENT]
    return [e["text"] for e in events if e["code"] == schema.SIGN_IN_REFUSED]


@by(SignIn.PIN, SignIn.PIN_OR_CARD)
def test_by_pin(taxi: Taxi) -> None:
    press(taxi, NUMBER, f"PIN of {NUMBER}")
    assert taxi.face["secret"] and not taxi.face["driver"]
    taxi.world.press("SIGN", PIN)
    signed_in(taxi)
    taxi.press("SIGN", what="the sign-out", driver="")


@by(SignIn.CARD, SignIn.PIN_OR_CARD)
def test_by_card(taxi: Taxi) -> None:
    press(taxi, "", "Hold your driver's card")
    assert taxi.world.lights[-1] == "ready"
    taxi.hold(catalogue.make(CARD))
    signed_in(taxi)
    assert not taxi.field.on and taxi.world.lights[-1] == "idle"


@by(SignIn.CARD_AND_PIN)
def test_by_card_and_pin(taxi: Taxi, garage: Garage) -> None:
    press(taxi, NUMBER, "Hold your driver's card")
    taxi.hold(catalogue.make(CARD))
    taxi.world.wait(lambda: taxi.face["message"].startswith("PIN of"), "the question")
    taxi.field.remove()
    press(taxi, "135799", "Wrong number or PIN")
    assert not taxi.face["driver"]
    press(taxi, "", "Hold your driver's card")
    taxi.hold(catalogue.make(CARD))
    taxi.world.wait(lambda: taxi.face["message"].startswith("PIN of"), "the question")
    taxi.world.press("SIGN", PIN)
    signed_in(taxi)
    assert refusals(taxi, garage) == [f"PIN of {NUMBER}, try 1"]


@by(SignIn.PIN_OR_CARD)
def test_strange_cards_and_a_change_of_mind(taxi: Taxi, garage: Garage) -> None:
    press(taxi, "", "Hold your driver's card, or number, SIGN")
    phone = catalogue.make(CARD)
    phone.uid = bytes.fromhex("08A1B2C3")
    phone.sens_res = bytes.fromhex("0004")
    taxi.hold(phone)
    taxi.world.wait(lambda: "no driver's card" in taxi.face["message"], "the word on the phone")
    taxi.field.remove()
    press(taxi, "", "Sign in")
    press(taxi, "", "Hold your driver's card")
    taxi.hold(catalogue.make("expired"))
    taxi.world.wait(lambda: "Not a driver's card" in taxi.face["message"], "the refusal")
    taxi.field.remove()
    press(taxi, "", "Hold your driver's card")
    # He thinks better of it: his number, then his PIN.
    press(taxi, NUMBER, f"PIN of {NUMBER}")
    taxi.world.press("HIRED")
    taxi.world.run(300)
    taxi.world.wait_face("the refusal", message="Sign in first")
    press(taxi, NUMBER, f"PIN of {NUMBER}")
    taxi.world.press("SIGN", PIN)
    signed_in(taxi)
    assert refusals(taxi, garage) == ["a card that is not in the list, try 1"]


@by(SignIn.PIN)
def test_wrong_tries_wait_longer_also_over_a_loss_of_power(taxi: Taxi, garage: Garage) -> None:
    press(taxi, "", "Enter your number")
    for number in ("111", PIN, NUMBER):
        press(taxi, number, f"PIN of {number}")
        press(taxi, "864200", "Wrong number or PIN")
    press(taxi, NUMBER, "Too many wrong tries: wait 15 s")
    taxi.stand(10)
    taxi.unit.power_off()
    taxi.unit.power_on()
    press(taxi, NUMBER, "Too many wrong tries: wait 15 s")
    taxi.stand(15)
    press(taxi, NUMBER, f"PIN of {NUMBER}")
    press(taxi, "864200", "Wrong number or PIN")
    press(taxi, NUMBER, "Too many wrong tries: wait 30 s")
    taxi.stand(30)
    press(taxi, NUMBER, f"PIN of {NUMBER}")
    taxi.world.press("SIGN", PIN)
    signed_in(taxi)
    taxi.press("SIGN", what="the sign-out", driver="")
    press(taxi, NUMBER, f"PIN of {NUMBER}")
    texts = refusals(taxi, garage)
    nobody = "a number that is not in the list, try "
    of_him = f"PIN of {NUMBER}, try "
    assert texts == [nobody + "1", nobody + "2", of_him + "3", of_him + "4"]


@by(SignIn.CARD)
def test_a_reader_that_is_gone_says_what_to_do(taxi: Taxi) -> None:
    taxi.chip.faults.silences = 1_000
    press(taxi, "", "Card reader fault")
    assert "tell the office" in taxi.face["message"]
    taxi.chip.faults.silences = 0
    press(taxi, "", "Hold your driver's card")
    taxi.world.run(31_000)
    taxi.world.wait_face("the end of the waiting", message="Sign in")


@by(SignIn.PIN)
def test_a_damaged_list_sends_nobody_home(taxi: Taxi) -> None:
    taxi.unit.power_off()
    files = taxi.unit.folder / "files"
    (files / "versions.json").write_bytes(kept(b'{"drivers": 1}'))
    path = files / "drivers.bin"
    path.write_bytes(path.read_bytes()[:-9] + b"\0" * 9)
    taxi.unit.power_on()
    taxi.press("SIGN", "12", what="the sign-in by number", driver="12")
    taxi.unit.power_off()
    assert b"sign-in by number" in (taxi.unit.folder / "journal.flash").read_bytes()
