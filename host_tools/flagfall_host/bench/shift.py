"""One driver's shift on a simulated taxi: three trips, two taps, a torn card, a loss of power.

The director decides what the driver and the passengers do; every figure comes from the unit, the
ledger or the acquirer. A seed fixes all that is left to chance.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flagfall.clock import seconds_from_civil
from flagfall.receipt import money

from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.reader.field import ANSWER
from flagfall_host.bench.stage import Stage
from flagfall_host.bench.taxi import Taxi
from flagfall_host.bench.wheel import read_trace
from flagfall_host.bench.world import BenchError

DRIVER = "340023"
_K = (531, 1_000, 4_000)  # pulses a kilometre of three common distance generators
_STRETCH_S = (160, 260)  # shortest and longest stretch of the trace in one trip
_BRAKE = 70  # 7 km/h a second, from where the stretch is cut off to a standstill
_DARK_MS = 45_000  # without power: longer than any dip
_FIRST_RECORD = 3  # APDUs before the first READ RECORD: PPSE, SELECT, GPO


@dataclass
class Plan:
    """What chance decides: all of it from the seed."""

    seed: int
    k: int
    utc_s: int
    stretches: list[list[int]] = field(default_factory=list)
    boarding_s: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int) -> "Plan":
        chance = random.Random(seed)
        start = seconds_from_civil(2026, 3, 2) + 60 * chance.randrange(0, 8 * 60)
        plan = cls(seed, chance.choice(_K), start)
        trace = read_trace()
        standing = [s for s, v in enumerate(trace[: -_STRETCH_S[1]]) if v == 0]
        for _ in range(3):
            begin = chance.choice(standing)
            stretch = trace[begin : begin + chance.randint(*_STRETCH_S)]
            while stretch[-1] > 0:
                stretch.append(max(0, stretch[-1] - _BRAKE))
            plan.stretches.append(stretch)
            plan.boarding_s.append(chance.randint(4, 15))
        return plan


class Shift:
    """Directs `taxi` through `plan` and tells `stage`."""

    def __init__(self, taxi: Taxi, plan: Plan, stage: Stage) -> None:
        self._taxi = taxi
        self.plan = plan
        self._stage = stage
        self.trips: list[dict[str, Any]] = []
        world = taxi.world
        world.on_face = lambda face: stage.face(face, world.now_ms)
        world.on_paper = self._paper

    def _paper(self, lines: list[str], path: Path) -> None:
        self._stage.receipt(lines, path)

    def sign_in(self) -> None:
        self._stage.scene("The shift begins")
        self._stage.tell("driver", f"signs in as {DRIVER}")
        self._taxi.press("SIGN", DRIVER, what="the sign-in", driver=DRIVER)
        self._taxi.stand(3)

    def sign_out(self) -> None:
        self._stage.scene("The shift ends")
        self._stage.tell("driver", "signs out")
        jobs = len(self._taxi.world.paper.jobs)
        self._taxi.press("SIGN", what="the sign-out", driver="")
        self._wait_for_paper(jobs)
        self._taxi.stand(2)

    def trip_by_card(self) -> None:
        """Trip 1: a card that has expired, then a tap that simply works."""
        due = self._ride(0)
        self._refused_card(due, "expired")
        card = catalogue.make("ecash")
        self._ask_for_card(due)
        self._stage.tell("passenger", f"taps {card.name}")
        self._tap(card, "approved")
        self._finish("card")

    def trip_by_cash(self) -> None:
        """Trip 2: the passenger's card holds too little, cash does."""
        due = self._ride(1)
        self._refused_card(due, "ecash-low")
        self._stage.tell("passenger", f"pays {money(due)} in cash")
        jobs = len(self._taxi.world.paper.jobs)
        self._taxi.press("CASH", what="the cash payment", paid=1)
        self._wait_for_paper(jobs)
        self._finish("cash")

    def ignition_off_and_on(self) -> None:
        """Between two trips: a new epoch, and nothing is lost."""
        stage, taxi = self._stage, self._taxi
        stage.tell("driver", "switches the ignition off, and on again after a minute")
        taxi.unit.power_off()
        stage.power(False)
        taxi.world.pass_without_power(60_000)
        taxi.unit.power_on()
        stage.power(True)
        taxi.world.wait_face("the driver still signed in", position="FOR HIRE", driver=DRIVER)
        taxi.stand(2)

    def trip_with_everything_going_wrong(self) -> None:
        """Trip 3: the card leaves during its last record, and the power before the receipt."""
        taxi, stage, world = self._taxi, self._stage, self._taxi.world
        due = self._ride(2)
        card = catalogue.make("ecash-8-reads")
        last = _FIRST_RECORD + 8 - 1
        taxi.field.tear(lambda _apdu, index: index == last, ANSWER)
        world.paper_ready = False
        self._ask_for_card(due)
        stage.tell("passenger", f"taps {card.name} and pulls it away during the last record")
        self._tap(card, "again")
        stage.tell("meter", world.face["message"])
        stage.tell("passenger", "taps the same card again")
        self._tap(card, "approved")
        stage.tell("meter", world.face["message"])
        world.wait(lambda: world.jobs_waiting > 0, "the receipt to be asked for")
        stage.scene("The power is cut before the receipt prints")
        stage.tell("bench", "kill -9")
        taxi.unit.power_off()
        taxi.field.remove()
        stage.power(False)
        world.pass_without_power(_DARK_MS)
        stage.tell("bench", f"{_DARK_MS // 1000} s later the power is back")
        jobs = len(world.paper.jobs)
        world.paper_ready = True
        taxi.unit.power_on()
        stage.power(True)
        taxi.stand(2)
        self._wait_for_paper(jobs)
        world.wait_face("the paid trip after the restart", position="STOPPED", paid=2)
        self._finish("card")

    # --- parts of a trip -------------------------------------------------------------------

    def _ride(self, number: int) -> int:
        taxi, stage, plan = self._taxi, self._stage, self.plan
        stage.scene(f"Trip {number + 1}")
        taxi.stand(plan.boarding_s[number])
        stage.tell("passenger", "gets in")
        taxi.press("HIRED", what="the hire", position="HIRED", trip=number + 1)
        taxi.drive(plan.stretches[number])
        taxi.stand(2)
        taxi.press("STOP", what="the end of the ride", position="STOPPED")
        taxi.stand(3)
        due = taxi.face["fare"] + taxi.face["supplements"]
        stage.tell("driver", f"stops the meter: {money(due)}")
        return due

    def _ask_for_card(self, due: int) -> None:
        whole, part = divmod(due, 100)
        wanted = f"Tap card: {whole}.{part:02d}"
        self._taxi.press("CARD", what="the request for a card", message=wanted)

    def _refused_card(self, due: int, name: str) -> None:
        world = self._taxi.world
        card = catalogue.make(name)
        self._ask_for_card(due)
        self._stage.tell("passenger", f"taps {card.name}")
        self._tap(card, "declined")
        self._stage.tell("meter", world.face["message"])
        self._taxi.field.remove()

    def _tap(self, card: Any, tone: str) -> None:
        world = self._taxi.world
        heard = len(world.tones)
        self._taxi.hold(card)
        world.wait(lambda: len(world.tones) > heard, f"the tone '{tone}'")
        if world.tones[heard] != tone:
            raise BenchError(
                f"the tap ended in '{world.tones[heard]}', not '{tone}': {world.face['message']}"
            )

    def _finish(self, paid: str) -> None:
        world = self._taxi.world
        if paid == "card" and self._taxi.field.present:
            self._stage.tell("meter", world.face["message"])
            jobs = len(world.paper.jobs)
            self._taxi.field.remove()
            self._wait_for_paper(jobs)
        face = dict(world.face)
        self.trips.append(
            {
                "trip": face["trip"],
                "fare_minor": face["fare"],
                "supplements_minor": face["supplements"],
                "distance_mm": face["distance_mm"],
                "waiting_s": face["waiting_s"],
                "paid": paid,
            }
        )
        self._taxi.press("FOR_HIRE", what="For Hire", position="FOR HIRE")
        self._taxi.stand(3)

    def _wait_for_paper(self, jobs: int) -> None:
        world = self._taxi.world
        world.wait(lambda: len(world.paper.jobs) > jobs, "the receipt")
