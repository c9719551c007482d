"""A driver and the passengers: they look at the face of the meter and do what people do.

Nothing here remembers what the unit should be doing: after any loss of power the face says where
the trip is, and the driver goes on from there.
"""

import asyncio
import random

from flagfall_host.bench.reader.field import ANSWER, REQUEST
from flagfall_host.simulation.faults import Faults, strikes
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.wallet import Owned, Wallet

# Most of the time little happens between two taps: those seconds cost a simulation as much as
# any, so most waits and rides are short, and a few are long.
_SHORT_WAIT_S, _SHORT_RIDE_S, _LONG_S, _LONG = (0.2, 2.0), (0.5, 6.0), (60.0, 240.0), 0.005
_SPEEDS = (0, 1_500, 4_000, 8_000, 14_000, 22_000)  # mm/s
_LOOK_S = 20.0  # the face changes within that, or the driver looks again
_TAP_S = 12.0
_MODES = ("before", "torn", "garbage", "half-erase")
_CASH = 0.1
_MOST_APDU = 9
_TRIES = 6
_TO_HAND_S = (0.2, 0.8)  # from "Tap card" to the card in the field
_TO_LEAVE_S = (0.8, 2.0)  # from "paid" to For Hire
_DARK_S = (0.2, 3.0, 30.0, 120.0)
_WARNED_S = 1.5  # a unit that has started says by then what is wrong
_PATIENCE = 3  # trips that a driver still takes for cash before he waits for the office


class Driver:
    """Drives `taxi` until `stop` is set, then until the trip in progress is done."""

    def __init__(
        self, taxi: Taxi, wallet: Wallet, chance: random.Random, faults: Faults, story: Story
    ) -> None:
        self.taxi = taxi
        self.faults = faults
        self.stop = False
        self.trips = 0
        self.taps = 0
        self._wallet = wallet
        self._chance = chance
        self._story = story
        self._loop = asyncio.get_running_loop()
        self._without = 0  # trips since the unit says that it takes no cards
        self.calls = asyncio.Event()  # the unit says that the office is needed

    def _hits(self, rate: float) -> bool:
        return self._chance.random() < rate

    def _strikes(self, fault: str) -> bool:
        """Whether this fault happens now, by its rate."""
        return strikes(self._chance, self.faults, fault, self._story.strike)

    def _some_time(self, short: tuple[float, float]) -> float:
        return self._chance.uniform(*(_LONG_S if self._hits(_LONG) else short))

    def _tell(self, what: str) -> None:
        self._story.tell(self.taxi.name, what)

    async def run(self) -> None:
        """Never ends before `stop`; a dark unit gets its power back here."""
        taxi = self.taxi
        while True:
            if not taxi.powered:
                await self._power_again()
            position = taxi.face.get("position")
            if position == "FOR HIRE":
                if self.stop:
                    return
                await self._vacant()
            elif position == "HIRED":
                await self._ride()
            elif position == "STOPPED":
                await self._stopped()
            else:
                await asyncio.sleep(1)

    # --- positions -----------------------------------------------------------------------------

    async def _vacant(self) -> None:
        taxi = self.taxi
        if not taxi.face.get("driver"):
            await self._press("SIGN", "7001", lambda: bool(taxi.face.get("driver")))
            return
        taxi.outside.road.drive(self._loop.time(), self._chance.choice(_SPEEDS))
        await asyncio.sleep(self._some_time(_SHORT_WAIT_S))
        if self.stop or not self._may_work():
            return
        if self._hits(0.03):
            await self._press("SIGN", "", lambda: not taxi.face.get("driver"))
            return
        self._misfortunes()
        await self._press("HIRED", "", lambda: taxi.face.get("position") == "HIRED")

    def _may_work(self) -> bool:
        """Do what the unit's warning says."""
        warning = self.taxi.face.get("warning", "")
        if "office" in warning or "pulled" in warning:
            self.calls.set()
        self._without = self._without + 1 if "no cards" in warning else 0
        return self._without <= _PATIENCE

    async def _ride(self) -> None:
        taxi, chance = self.taxi, self._chance
        left = self._some_time(_SHORT_RIDE_S)
        if left >= _LONG_S[0] and self._strikes("power_cut_in_ride"):
            self._loop.call_later(chance.uniform(0, left), self._pull_the_plug)
        while left > 0 and taxi.powered:
            taxi.outside.road.drive(self._loop.time(), chance.choice(_SPEEDS))
            stretch = min(left, chance.uniform(5, 40))
            await asyncio.sleep(stretch)
            left -= stretch
            if self._strikes("sensor_noise"):
                taxi.outside.road.jump(chance.randrange(1, 4_000))
                self._tell("pulses that no wheel gave")
        taxi.outside.road.drive(self._loop.time(), 0)
        if self._hits(0.05):
            await self._press("EXTRA", "100", lambda: True)
        await self._press("STOP", "", lambda: taxi.face.get("position") == "STOPPED")

    async def _stopped(self) -> None:
        taxi = self.taxi
        if taxi.face.get("paid"):
            await asyncio.sleep(self._chance.uniform(*_TO_LEAVE_S))
            trip = taxi.face.get("trip")
            if await self._press("FOR_HIRE", "", lambda: taxi.face.get("position") == "FOR HIRE"):
                self.trips += 1
                self._tell(f"trip {trip} is over")
            return
        if self._strikes("unpaid"):
            await self._press("FOR_HIRE", "", lambda: True)
            await self._press("FOR_HIRE", "", lambda: taxi.face.get("position") == "FOR HIRE")
        elif self._hits(_CASH):
            await self._cash()
        else:
            await self._card()

    async def _cash(self) -> None:
        await self._press("CASH", "", lambda: bool(self.taxi.face.get("paid")))

    async def _press(self, key: str, text: str, done) -> bool:  # type: ignore[no-untyped-def]
        taxi = self.taxi
        taxi.press(key, text)
        return await taxi.until(lambda: not taxi.powered or done(), _LOOK_S) and taxi.powered

    # --- power ---------------------------------------------------------------------------------

    def _misfortunes(self) -> None:
        """Before a trip: what its unit will meet."""
        chance, outside = self._chance, self.taxi.outside
        if self._strikes("power_cut_in_flash"):
            flash = outside.journal_flash if self._hits(0.5) else outside.trips_flash
            operations, mode = chance.randrange(40), chance.choice(_MODES)
            if flash is outside.journal_flash:
                operations %= 8
            flash.plan_cut(operations, mode)
        if self._strikes("power_cut"):
            self._loop.call_later(chance.uniform(0, 60), self._pull_the_plug)
        if self._strikes("wrong_read"):
            outside.journal_flash.wrong_read_after(chance.randrange(200))
        if self._strikes("bad_sector"):
            flash = outside.journal_flash
            flash.bad_program.add(chance.randrange(flash.blocks))
            outside.bad_sectors = True
            self._tell("a sector of the journal takes no program any more")
        if self._strikes("clock_drift"):
            outside.clock_error_s += chance.randrange(-5, 6)
        outside.paper_ready = not self._strikes("no_paper")

    def _plan_cut(self, operations: int) -> None:
        """The power will go at one of the next `operations` of one of the flashes."""
        outside = self.taxi.outside
        flash = outside.journal_flash if self._hits(0.5) else outside.trips_flash
        flash.plan_cut(self._chance.randrange(operations), self._chance.choice(_MODES))

    def _pull_the_plug(self) -> None:
        if self.taxi.powered and not self.stop:
            self._loop.create_task(self.taxi.power_off())

    async def _power_again(self) -> None:
        taxi, chance = self.taxi, self._chance
        self._tell("the power is gone")
        await taxi.power_off()
        taxi.outside.road.drive(self._loop.time(), 0)
        while self._strikes("boot_loop"):
            await taxi.power_on()
            self._tell("the power comes and goes")
            self._plan_cut(6)
            await asyncio.sleep(chance.uniform(0.001, 3))
            await taxi.power_off()
        if self._strikes("clock_lost"):
            taxi.outside.clock_error_s = -taxi.outside.utc_start - int(self._loop.time())
            self._tell("the clock has lost the time")
        await asyncio.sleep(chance.choice(_DARK_S))
        await taxi.power_on()
        await taxi.until(lambda: bool(taxi.face) or not taxi.powered, _LOOK_S)
        await asyncio.sleep(_WARNED_S)

    # --- a tap ---------------------------------------------------------------------------------

    async def _card(self) -> None:
        taxi, field = self.taxi, self.taxi.outside.field
        owned, back = self._wallet.take(), False
        try:
            taxi.press("CARD")
            for _ in range(_TRIES):
                if not await taxi.until(self._answers, _LOOK_S) or not taxi.powered:
                    return
                if self._wants_cash():
                    await self._cash()
                    return
                if self._strikes("changed_mind"):
                    self._tell("the driver changes his mind")
                    taxi.press("CASH")
                    await taxi.until(lambda: not taxi.powered, 2)
                    return
                await asyncio.sleep(self._chance.uniform(*_TO_HAND_S))
                tone = await self._tap(owned, back)
                if tone == "again":
                    back = self._strikes("same_card_again")
                    if back:
                        continue
                    if self._hits(0.5):
                        self._wallet.give_back(owned)
                        owned = self._wallet.take()
                        continue
                    await self._cash()
                elif tone == "declined" and "again?" in taxi.face.get("message", ""):
                    taxi.press("CARD")
                    continue
                elif tone != "approved":
                    await self._cash()
                return
        finally:
            field.remove()
            self._wallet.give_back(owned)

    def _answers(self) -> bool:
        """Whether the unit asks for a card, or says that it takes none."""
        face = self.taxi.face
        return (
            not self.taxi.powered
            or bool(face.get("paid"))
            or any(w in face.get("message", "") for w in ("Tap", "again", "same card", "one card"))
            or self._wants_cash()
        )

    def _wants_cash(self) -> bool:
        return "ake cash" in self.taxi.face.get("message", "")

    async def _tap(self, owned: Owned, back: bool) -> str:
        """Hold the card, which may be `back` after it was torn, until the unit has said something.
        Returns the tone, or ""."""
        taxi, chance, faults = self.taxi, self._chance, self.faults
        field = taxi.outside.field
        if not taxi.powered or taxi.face.get("paid"):
            return "approved"
        self.taps += 1
        draw = chance.random()
        if draw < faults.torn_request + faults.torn_answer:
            at = chance.randrange(5 if self._strikes("torn_late") else 0, _MOST_APDU)
            moment = REQUEST if draw < faults.torn_request else ANSWER
            self._story.strike("torn_request" if moment == REQUEST else "torn_answer")
            field.tear(lambda _apdu, index: index == at, moment)
        if self._strikes("power_cut_at_return" if back else "power_cut_at_tap"):
            self._plan_cut(5)
        heard = len(taxi.tones)
        second = self._wallet.take() if self._strikes("two_cards") else None
        if second:
            field.place(second.card)
        field.place(owned.card)
        if second:
            await taxi.until(lambda: not taxi.powered, 1)
            field.remove()
            self._wallet.give_back(second)
            field.place(owned.card)
        await taxi.until(lambda: not taxi.powered or len(taxi.tones) > heard, _TAP_S)
        field.remove()
        field.tear(lambda _apdu, _index: False)
        tone = taxi.tones[heard] if len(taxi.tones) > heard else ""
        self._tell(f"card {owned.number} ({owned.kind}): {tone or 'nothing'}")
        return tone
