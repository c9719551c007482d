"""The real firmware in the real MicroPython, against the bench: what a driver may rely on."""

import subprocess
from pathlib import Path

import pytest
from bench_taxi import Garage, offer, ride
from flagfall.journal import schema
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.firmware_build import build
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.unit_process import MICROPYTHON, environment
from flagfall_host.bench.wheel import read_trace


def tap(taxi: Taxi, name: str, **overrides: object) -> str:
    """Ask for a card and hold one; return the tone that the unit plays."""
    due = taxi.face["fare"] + taxi.face["supplements"]
    wanted = "Tap card: {}.{:02d}".format(*divmod(due, 100))
    taxi.press("CARD", what="the request for a card", message=wanted)
    heard = len(taxi.world.tones)
    taxi.hold(catalogue.make(name, **overrides))
    taxi.world.wait(lambda: len(taxi.world.tones) > heard, "a tone")
    taxi.field.remove()
    return taxi.world.tones[heard]


def test_fare_does_not_depend_on_how_often_the_meter_looks(garage: Garage, tmp_path: Path) -> None:
    fares = set()
    for step_ms in (50, 100, 500):
        with garage.taxi(tmp_path / str(step_ms)) as taxi:
            taxi.unit.power_on()
            taxi.press("HIRED", what="the hire", position="HIRED")
            taxi.wheel.drive([*read_trace()[1_000:1_160], 0])
            taxi.world.run(160_000, step_ms=step_ms)
            taxi.press("STOP", what="the stop", position="STOPPED")
            fares.add((taxi.face["fare"], taxi.face["distance_mm"]))
    assert len(fares) == 1, fares


@pytest.mark.parametrize(
    ("card", "tone", "says"),
    [
        ("ecash", "approved", "Paid"),
        ("ecash type B", "approved", "Paid"),
        ("expired", "declined", "expired"),
        ("ecash-low", "declined", ""),
        ("wrong-signature", "declined", ""),
        ("garbage", "declined", ""),
        ("hostile", "declined", ""),
    ],
)
def test_a_tap_ends_in_plain_words(
    garage: Garage, tmp_path: Path, card: str, tone: str, says: str
) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        ride(taxi)
        name, _, kind = card.partition(" type ")
        assert tap(taxi, name, kind=kind or "A") == tone
        assert says in taxi.face["message"]
        assert len(taxi.face["message"]) > 10
        if tone == "declined":
            # The trip is still open: cash settles it.
            taxi.press("CASH", what="the cash payment", paid=1)
        taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
        taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        assert taxi.unit.log() == ""


@pytest.mark.parametrize("card", ["ecash", "oda-debit", "phone"])
def test_the_card_may_go_before_it_is_said_to_have_paid(
    garage: Garage, tmp_path: Path, card: str
) -> None:
    with garage.taxi(tmp_path) as taxi:
        offer(tmp_path, "oda", "ecash")
        taxi.unit.power_on()
        ride(taxi)
        said: list[str] = []
        taxi.world.on_face = lambda face: said.append(face["message"])
        made = catalogue.make(card)
        due = f"Tap card: {taxi.face['fare'] / 100:.2f}"
        taxi.press("CARD", what="the request for a card", message=due)
        for tone in ("again", "approved") if card == "phone" else ("approved",):
            taxi.hold(made)
            taxi.world.wait(lambda tone=tone: tone in taxi.world.tones, f"{tone}, for {card}")
            taxi.field.remove()
        taxi.world.wait(lambda: "Paid" in taxi.face["message"], "the verdict")
        words = [text for at, text in enumerate(said) if text not in said[:at]]
        assert words[-2:] == ["Card read. Take your card.", "Paid. Take your card."]
        assert taxi.chip.baud == 921600
        assert taxi.unit.log() == ""


def test_keys_that_do_not_fit_change_nothing(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        for key in ("STOP", "CASH", "CARD", "PRINT", "EXTRA", "NO_SUCH_KEY", "FOR_HIRE"):
            taxi.world.press(key)
            taxi.world.run(200)
            assert taxi.face["position"] == "FOR HIRE" and taxi.face["fare"] == 0
        ride(taxi)
        taxi.press("FOR_HIRE", what="the question", position="STOPPED")
        taxi.world.run(200)
        assert "NOT PAID" in taxi.face["message"]
        taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        taxi.world.run(200)
        taxi.press("HIRED", what="the hire", position="HIRED")
        taxi.world.press("SIGN")
        taxi.world.run(200)
        assert taxi.face["position"] == "HIRED" and taxi.face["driver"]


def test_a_dip_of_power_resumes_the_trip_a_longer_one_ends_it(
    garage: Garage, tmp_path: Path
) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.press("HIRED", what="the hire", position="HIRED")
        taxi.drive(read_trace()[1_023:1_143])
        fare, distance = taxi.face["fare"], taxi.face["distance_mm"]
        taxi.unit.power_off()
        taxi.world.pass_without_power(8_000)
        taxi.unit.power_on()
        taxi.world.run(300)
        assert taxi.face["position"] == "HIRED"
        assert taxi.face["fare"] == fare
        # At most the last second before the cut is lost, at 130 km/h.
        assert distance - 40_000 <= taxi.face["distance_mm"] <= distance
        taxi.unit.power_off()
        taxi.world.pass_without_power(60_000)
        taxi.unit.power_on()
        taxi.world.run(300)
        assert taxi.face["position"] == "FOR HIRE"
        assert "loss of power" in taxi.face["message"]
        taxi.press("HIRED", what="the next trip", position="HIRED", trip=2)


def test_the_first_thing_shown_after_a_loss_of_power_is_the_trip(
    garage: Garage, tmp_path: Path
) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        taxi.press("HIRED", what="the hire", position="HIRED")
        taxi.drive(read_trace()[1_023:1_083])
        fare = taxi.face["fare"]
        taxi.unit.power_off()
        faces: list[dict[str, object]] = []
        taxi.world.on_face = faces.append
        taxi.unit.power_on()
        # Keys of the meter and keys that wait for the rest of the unit keep their order.
        taxi.world.press("STOP")
        taxi.world.press("CASH")
        taxi.world.wait_face("the payment", paid=schema.CASH)
        shown = list(dict.fromkeys((f["position"], f.get("paid")) for f in faces))
        assert shown == [
            ("HIRED", schema.OPEN), ("STOPPED", schema.OPEN), ("STOPPED", schema.CASH)
        ]  # fmt: skip
        assert faces[0]["fare"] == fare


def test_the_meter_needs_nothing_of_what_is_loaded_after_it() -> None:
    """What `unit` loads after the face is not loaded by anything that the meter imports."""
    ask = "import sys, unit; print([n for n in unit.LATER if n in sys.modules])"
    run = subprocess.run(
        [MICROPYTHON, "-c", ask],
        env=environment(build()),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    # Keys and configuration speak of receipts.
    assert run.stdout.strip() == "['flagfall.receipt']"


def test_a_supplement_is_apart_from_the_fare(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        fare = ride(taxi)
        taxi.press("EXTRA", "500", what="the supplement", supplements=500)
        assert taxi.face["fare"] == fare
        assert tap(taxi, "ecash") == "approved"
        taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
        receipt = "\n".join(taxi.world.paper.jobs[0])
        assert "5.00" in receipt and f"{(fare + 500) / 100:.2f}" in receipt
        taxi.press("PRINT", what="the copy", position="STOPPED")
        taxi.world.wait(lambda: len(taxi.world.paper.jobs) == 2, "the copy")
        assert "* COPY *" in "\n".join(taxi.world.paper.jobs[1])


def test_a_card_that_just_paid_asks_the_driver(garage: Garage, tmp_path: Path) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        card = catalogue.make("ecash")
        before = card.balance
        paid = 0
        for trip in (1, 2):
            paid += ride(taxi)
            due = "Tap card: {}.{:02d}".format(*divmod(taxi.face["fare"], 100))
            for tone in ("approved",) if trip == 1 else ("declined", "approved"):
                taxi.press("CARD", what="the request for a card", message=due)
                heard = len(taxi.world.tones)
                taxi.hold(card)
                taxi.world.wait(lambda n=heard: len(taxi.world.tones) > n, "a tone")
                taxi.field.remove()
                assert taxi.world.tones[heard] == tone
                if tone == "declined":
                    assert "again?" in taxi.face["message"]
                    assert card.balance == before - paid + taxi.face["fare"], "nothing taken"
            taxi.world.wait(lambda n=trip: len(taxi.world.paper.jobs) >= n, "the receipt")
            taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        assert card.balance == before - paid
        assert taxi.unit.log() == ""


def test_the_driver_may_change_his_mind_while_a_card_is_waited_for(
    garage: Garage, tmp_path: Path
) -> None:
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        due = "Tap card: {}.{:02d}".format(*divmod(ride(taxi), 100))
        taxi.press("CARD", what="the request for a card", message=due)
        taxi.press("CARD", what="the end of the request", message="No card taken")
        taxi.press("CARD", what="the request for a card", message=due)
        taxi.press("CASH", what="the cash payment", paid=1)
        card = catalogue.make("ecash")
        before = card.balance
        taxi.hold(card)
        taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
        taxi.world.run(1_000)
        assert taxi.world.tones == [] and card.balance == before
        taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        assert taxi.unit.log() == ""


@pytest.mark.parametrize("moment", ["request", "answer"])
def test_a_reader_that_dies_while_the_card_debits(
    garage: Garage, tmp_path: Path, moment: str
) -> None:
    """The last record was asked for and the reader chip falls silent. The card is debited or
    not; the next tap finds out, and the passenger pays once."""
    with garage.taxi(tmp_path) as taxi:
        taxi.unit.power_on()
        fare = ride(taxi)
        due = "Tap card: {}.{:02d}".format(*divmod(fare, 100))
        card = catalogue.make("ecash")
        before = card.balance
        reads = []

        def dies(command: bytes, _index: int) -> bool:
            if command[1] == 0xB2:
                reads.append(command)
            if len(reads) == 4:
                taxi.chip.faults.silences = 30
                taxi.field.tear(lambda *_: False)
                return moment == "request"
            return False

        taxi.field.tear(dies, moment)
        taxi.press("CARD", what="the request for a card", message=due)
        taxi.hold(card)
        taxi.world.wait(lambda: len(reads) == 4, "the last record")
        taxi.world.wait(
            lambda: taxi.face["message"] not in ("", due), "the unit's word", seconds=60
        )
        taxi.chip.faults.silences = 0
        taxi.field.remove()
        taxi.world.run(500)
        if not taxi.face["paid"]:
            taxi.world.press("CARD")
            taxi.world.run(200)
            if taxi.face["message"] != due:
                taxi.world.press("CARD")
            taxi.hold(card)
            taxi.world.wait(lambda: "approved" in taxi.world.tones, "the payment", seconds=60)
            taxi.field.remove()
        taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
        assert before - card.balance == fare
        taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        assert taxi.unit.log() == ""
