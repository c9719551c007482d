"""What the unit makes of its supply, seal, printer and lights, on the bench."""

import itertools

import pytest
from bench_taxi import ride
from flagfall_host.bench.cards import catalogue

_POLL = 0x4A  # InListPassiveTarget (PN532 user manual, 7.3.5)


@pytest.fixture
def taxi(garage, tmp_path):
    with garage.taxi(tmp_path / "taxi") as taxi:
        taxi.unit.power_on()
        taxi.world.wait_face("the start", position="FOR HIRE")
        yield taxi


def warned(taxi, words: str) -> None:
    taxi.stand(2)
    taxi.world.wait(lambda: words in taxi.face.get("warning", ""), f"a warning of {words!r}")


def calm(taxi) -> None:
    taxi.stand(5)
    taxi.world.wait(lambda: "warning" not in taxi.face, "the end of the warning")


def ask_for_a_card(taxi) -> None:
    due = f"Tap card: {taxi.face['fare'] / 100:.2f}"
    taxi.press("CARD", what="the request for a card", message=due)


def test_weak_supply_keeps_cards_away_and_the_meter_runs(taxi):
    taxi.world.sense("supply", 12600)
    calm(taxi)
    taxi.world.sense("supply", 11000)
    warned(taxi, "Supply 11.0 V low: have the battery tested")
    taxi.world.sense("supply", 8900)
    warned(taxi, "Supply 8.9 V: start the engine, no cards")
    assert ride(taxi) > 0
    taxi.world.press("CARD")
    taxi.world.wait_face("the refusal", message="Supply 8.9 V: start the engine. Take cash.")
    taxi.world.sense("supply", 13800)
    calm(taxi)
    ask_for_a_card(taxi)
    taxi.hold(catalogue.make("ecash"))
    taxi.world.wait(lambda: "approved" in taxi.world.tones, "the payment")
    assert taxi.unit.log() == ""


def test_a_swinging_supply_is_weak_until_it_stands(taxi):
    taxi.world.sense("supply", 9000)
    warned(taxi, "no cards")
    for mv in (12000, 9000, 12000, 9000):
        taxi.world.sense("supply", mv)
        taxi.stand(1)
        assert "no cards" in taxi.face["warning"]
    taxi.world.sense("supply", 12600)
    calm(taxi)


def test_a_vehicle_of_24_volts_is_known_by_its_supply(taxi):
    taxi.world.sense("supply", 27000)
    calm(taxi)
    taxi.world.sense("supply", 18500)
    warned(taxi, "Supply 18.5 V: start the engine, no cards")


def test_an_open_seal_is_shown_and_kept_in_the_journal(taxi):
    taxi.world.sense("seal", 1)
    warned(taxi, "Seal open: close the lid")
    taxi.world.sense("seal", 0)
    calm(taxi)
    taxi.unit.power_off()
    journal = (taxi.unit.folder / "journal.flash").read_bytes()
    assert journal.count(b"\x06opened") == 1 and journal.count(b"\x06closed") == 1


def test_no_printer_leaves_the_fare_and_the_receipt(taxi):
    taxi.world.paper_ready = False
    fare = ride(taxi)
    taxi.press("CASH", what="the cash payment", paid=1)
    taxi.world.wait(
        lambda: taxi.face["message"].startswith("Printer:"), "the printer's silence", seconds=60
    )
    warned(taxi, "Printer: no answer: check its cable and supply. PRINT tries again")
    assert taxi.face["fare"] == fare
    taxi.world.paper_ready = True
    taxi.world.press("PRINT")
    taxi.world.wait(lambda: bool(taxi.world.paper.jobs), "the receipt")
    calm(taxi)
    assert not any("COPY" in line for line in taxi.world.paper.jobs[0])


def test_the_lights_follow_a_card(taxi):
    taxi.world.wait(lambda: taxi.world.lights == ["idle"], "the idle reader")
    ride(taxi)
    ask_for_a_card(taxi)
    taxi.world.wait(lambda: taxi.world.lights[-1] == "ready", "the ready reader")
    taxi.hold(catalogue.make("ecash"))
    taxi.world.wait(lambda: "approved" in taxi.world.tones, "the payment")
    taxi.field.remove()
    taxi.world.wait(lambda: taxi.world.lights[-1] == "idle", "the idle reader")
    assert taxi.world.lights == ["idle", "ready", "processing", "read", "idle"]


def test_a_declined_card_ends_in_an_alert(taxi):
    ride(taxi)
    ask_for_a_card(taxi)
    taxi.hold(catalogue.make("expired"))
    taxi.world.wait(lambda: "declined" in taxi.world.tones, "the verdict")
    taxi.field.remove()
    taxi.world.wait(lambda: taxi.world.lights[-1] == "idle", "the idle reader")
    assert "alert" in taxi.world.lights


def test_of_two_cards_one_is_asked_for_and_the_reader_rests_between_looks(taxi):
    """The field goes off after each look that finds both, so that they do not answer at once."""
    looks, power = [], taxi.field.power

    def noted(on):
        if not on:
            looks.append(taxi.chip.commands[_POLL])
        power(on)

    ride(taxi)
    ask_for_a_card(taxi)
    taxi.field.power = noted
    taxi.hold(catalogue.make("ecash"))
    taxi.hold(catalogue.make("expired"))
    two = "More than one card. Present one card."
    taxi.world.wait_face("the request for one card", message=two)
    taxi.world.wait(lambda: len(looks) >= 4, "more looks at the two cards")
    assert {after - before for before, after in itertools.pairwise(looks[1:4])} == {1}
    assert "approved" not in taxi.world.tones
    taxi.field.remove()
    taxi.hold(catalogue.make("ecash"))
    taxi.world.wait(lambda: "approved" in taxi.world.tones, "the payment")
    assert taxi.unit.log() == ""
