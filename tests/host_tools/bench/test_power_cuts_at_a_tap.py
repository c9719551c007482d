"""The power goes at every flash operation of a tap, on the real MicroPython.

After each cut the passenger taps the same card again. Whatever the moment: the card is debited
once, the approved payments in flash are one, and what the face calls paid is in flash.
"""

import os
from pathlib import Path

import pytest
from bench_taxi import Garage, ride
from flagfall.journal import schema
from flagfall.link.proof import journal_key
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.install import UNIT_ID
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.world import PowerIsGone
from flagfall_host.depot.journal_image import read_image

SOAK = bool(os.environ.get("FLAGFALL_SOAK"))
MODES = ("before", "torn", "garbage")
# Flash operations in either flash from the driver's key to the printed receipt, and some more.
OPERATIONS = range(12) if SOAK else (0, 1, 2, 3, 5)


def approved(taxi: Taxi, garage: Garage) -> list[dict]:
    image = read_image(taxi.unit.journal, journal_key(garage.fleet.unit_key(UNIT_ID)))
    payments = [
        schema.unpack(schema.PAYMENT, r.body) for r in image.records if r.type == schema.PAYMENT
    ]
    return [p for p in payments if p["outcome"] in (schema.APPROVED, schema.TORN_DEBITED)]


def card_tag(garage: Garage) -> bytes:
    """What the office knows the card by, whichever tap of it was booked."""
    person = catalogue.persons("ecash")[0]
    return schema.card_tag(journal_key(garage.fleet.unit_key(UNIT_ID)), person.pan, person.psn)


@pytest.mark.parametrize("flash", ["journal", "trips"])
@pytest.mark.parametrize("operations", OPERATIONS)
def test_the_power_goes_at_a_flash_operation(
    garage: Garage, tmp_path: Path, flash: str, operations: int
) -> None:
    for mode in MODES:
        with garage.taxi(tmp_path / mode) as taxi:
            cut_and_pay_again(garage, taxi, flash, operations, mode)


def cut_and_pay_again(garage: Garage, taxi: Taxi, flash: str, operations: int, mode: str) -> None:
    taxi.unit.power_on()
    due = ride(taxi)
    card = catalogue.make("ecash")
    before = card.balance
    taxi.unit.plan_cut(flash, operations, mode)
    world = taxi.world
    paid_on_face = False
    try:
        taxi.press("CARD", what="the request", message=f"Tap card: {due / 100:.2f}")
        taxi.hold(card)
        world.wait(lambda: bool(world.tones), "a tone", seconds=20)
        taxi.field.remove()
        paid_on_face = "Paid" in world.face["message"]
        world.wait(lambda: bool(world.paper.jobs), "the receipt", seconds=20)
        world.run(1_500)
    except PowerIsGone:
        pass
    paid_on_face |= "Paid" in world.face.get("message", "")
    taxi.field.remove()
    taxi.unit.power_off()
    if paid_on_face:
        assert len(approved(taxi, garage)) == 1, "shown as paid, not in flash"
    world.pass_without_power(5_000)
    world.tones.clear()
    taxi.unit.power_on()
    world.run(500)
    assert world.face["position"] == "STOPPED", (mode, world.face)
    if not world.face["paid"]:
        taxi.press("CARD", what="the request", message=f"Tap card: {due / 100:.2f}")
        taxi.hold(card)
        world.wait(lambda: bool(world.tones), "a tone", seconds=20)
        taxi.field.remove()
        assert world.tones == ["approved"], world.face["message"]
    world.wait(lambda: bool(world.paper.jobs), "the receipt", seconds=20)
    world.wait_face("the paid trip", paid=2)
    taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
    taxi.unit.power_off()
    where = f"cut at operation {operations} of {flash}, {mode}"
    assert before - card.balance == due, where
    payments = approved(taxi, garage)
    assert [p["amount"] for p in payments] == [due], where
    assert payments[0]["card_tag"] == card_tag(garage), where
    assert "Traceback" not in taxi.unit.log(), where
