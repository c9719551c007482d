"""What is wrong with the unit stands on its face until it is over, and says what to do."""

from pathlib import Path

import pytest
from bench_taxi import START, Garage, ride
from flagfall.clock import seconds_from_civil
from flagfall.journal import schema
from flagfall.journal.ring import Journal
from flagfall.link.proof import journal_key
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.depot.journal_image import read_image
from nor_flash import BLOCK, NorFlash

BLOCKS = 12


@pytest.fixture
def taxi(garage: Garage, tmp_path: Path):
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.world.wait_face("the start", position="FOR HIRE")
        yield taxi


def warned(taxi: Taxi, words: str) -> None:
    taxi.stand(2)
    taxi.world.wait(lambda: words == taxi.face.get("warning", ""), f"the warning {words!r}")


def calm(taxi: Taxi, seconds: int = 3) -> None:
    taxi.stand(seconds)
    taxi.world.wait(lambda: "warning" not in taxi.face, "the end of the warning")


def events(taxi: Taxi, garage: Garage, code: int) -> list[str]:
    taxi.unit.power_off()
    image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    bodies = [schema.unpack(r.type, r.body) for r in image.records if r.type == schema.EVENT]
    return [b["text"] for b in bodies if b["code"] == code]


@pytest.mark.parametrize("full", [False, True])
def test_a_journal_that_fills_up(garage: Garage, tmp_path: Path, full: bool) -> None:
    with garage.taxi(tmp_path / "taxi") as taxi:
        path = taxi.unit.folder / "journal.flash"
        path.unlink()
        flash = NorFlash(BLOCKS * BLOCK, str(path))
        journal = Journal(flash, journal_key(garage.fleet.unit_key(UNIT_ID)))
        journal.mount(1)
        body = schema.pack(schema.EVENT, code=schema.SEAL, text="opened")
        while journal.room_for_card() if full else not journal.nearly_full:
            journal.append(schema.EVENT, body, START)
            journal.idle()
        flash.close()
        taxi.unit.power_on()
        taxi.world.run(1_000)
        if full:
            warned(taxi, "Memory full: have it pulled, no cards")
        else:
            warned(taxi, "Memory 80 % full: have it pulled soon")
        assert ride(taxi) > 0, "the meter runs on"
        taxi.world.press("CARD")
        taxi.world.run(300)
        says = "Memory full: no cards until the office has pulled" if full else "Tap card"
        taxi.world.wait(lambda: taxi.face["message"].startswith(says), says)
        taxi.world.press("CASH")
        taxi.world.run(300)
        taxi.world.wait_face("the cash", paid=1)
        taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
        assert taxi.unit.log() == ""


@pytest.mark.parametrize(
    ("trouble", "says"),
    [("paper_out", "no paper: put in a new roll"), ("cover_open", "cover open: close it")],
)
def test_a_receipt_waits_for_paper_over_a_loss_of_power(
    taxi: Taxi, trouble: str, says: str
) -> None:
    setattr(taxi.world, trouble, True)
    fare = ride(taxi)
    taxi.press("CASH", what="the cash payment", paid=1)
    taxi.world.wait_face("the word", message=f"Printer: {says}. PRINT tries again.")
    warned(taxi, f"Printer: {says}. PRINT tries again")
    taxi.press("PRINT", what="another try", paid=1)
    warned(taxi, f"Printer: {says}. PRINT tries again")
    taxi.unit.power_off()
    setattr(taxi.world, trouble, False)
    taxi.unit.power_on()
    # It is still owed: it prints by itself, as the first and not as a copy.
    taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
    slip = "\n".join(taxi.world.paper.jobs[0])
    assert f"{fare / 100:.2f}" in slip and "COPY" not in slip
    calm(taxi)
    taxi.world.press("PRINT")
    taxi.world.wait(lambda: len(taxi.world.paper.jobs) == 2, "the copy")
    assert "COPY" in "\n".join(taxi.world.paper.jobs[1])


def test_a_reader_that_is_gone(taxi: Taxi) -> None:
    ride(taxi)
    taxi.chip.faults.silences = 1_000
    taxi.world.press("CARD")
    taxi.world.wait(
        lambda: (
            taxi.face["message"].startswith("Card reader fault: ")
            and taxi.face["message"].endswith("Take cash.")
        ),
        "the word",
    )
    taxi.stand(2)
    taxi.world.wait(lambda: "warning" in taxi.face, "the warning")
    warning = taxi.face["warning"]
    assert warning.startswith("Card reader: ") and warning.endswith("CARD tries again")
    taxi.chip.faults.silences = 0
    taxi.world.press("CARD")
    taxi.world.wait(lambda: taxi.face["message"].startswith("Tap card"), "the reader")
    calm(taxi)
    taxi.hold(catalogue.make("ecash"))
    taxi.world.wait(lambda: "approved" in taxi.world.tones, "the payment")


def test_a_clock_that_has_lost_the_year_takes_no_cards(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path, utc_s=seconds_from_civil(2000, 1, 1)) as taxi:
        taxi.unit.power_on()
        warned(taxi, "Clock lost: office must set it, no cards")
        assert ride(taxi) > 0
        taxi.world.press("CARD")
        taxi.world.run(300)
        says = "Clock is not set: connect the office's cable. Take cash."
        taxi.world.wait_face("the refusal", message=says)
        taxi.world.set_clock(START + 600)
        calm(taxi)


def test_a_clock_chip_without_its_battery(taxi: Taxi, garage: Garage) -> None:
    taxi.world.sense("clock_fault", 1)
    warned(taxi, "Clock chip: have it repaired before the power goes")
    taxi.world.sense("clock_fault", 0)
    calm(taxi)
    assert events(taxi, garage, schema.CLOCK_FAULT) == ["the clock chip has lost the time"]


def test_pulses_that_no_taxi_makes(taxi: Taxi, garage: Garage) -> None:
    taxi.press("HIRED", what="the hire", position="HIRED")
    taxi.stand(1)
    fare = taxi.face["fare"]
    taxi.wheel.drive([9_000, 9_000, 0])  # 900 km/h
    taxi.world.run(3_000)
    warned(taxi, "Distance sensor: have it looked at today")
    assert taxi.face["fare"] == fare, "nothing is charged for it"
    calm(taxi, 605)
    assert events(taxi, garage, schema.SENSOR_FAULT)[0].startswith("1: ")


def test_pulses_that_do_not_come(taxi: Taxi, garage: Garage) -> None:
    says = "No distance for 20 min: if you drive, STOP and have the sensor looked at"
    taxi.wheel.drive([0])
    taxi.world.run(1_300_000, step_ms=1_000)
    assert "warning" not in taxi.face, "free taxis stand"
    taxi.press("HIRED", what="the hire", position="HIRED")
    taxi.world.run(1_190_000, step_ms=1_000)
    assert "warning" not in taxi.face
    taxi.stand(12)
    warned(taxi, says)
    taxi.drive([300, 300])
    calm(taxi)
    assert events(taxi, garage, schema.SENSOR_FAULT) == ["4: 1200"]


def test_ignition_off_in_a_ride(taxi: Taxi) -> None:
    taxi.world.sense("ignition", 1)
    calm(taxi)
    taxi.world.sense("ignition", 0)
    calm(taxi)
    taxi.press("HIRED", what="the hire", position="HIRED")
    warned(taxi, "Ignition off, the meter runs: STOP ends the ride")
    taxi.press("STOP", what="the stop", position="STOPPED")
    calm(taxi)


def test_a_fare_display_that_goes_dark(taxi: Taxi, garage: Garage) -> None:
    says = "Fare display dark: say the fare, no new trip, have it repaired"
    for faults in range(1, 4):
        taxi.world.sense("fare_faults", faults)
        warned(taxi, says)
    assert ride(taxi) > 0, "the meter runs on"
    taxi.stand(20)
    calm(taxi)
    assert events(taxi, garage, schema.DISPLAY_FAULT) == [
        "fare display does not answer",
        "fare display answers again",
    ]
