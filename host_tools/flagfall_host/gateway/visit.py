"""One unit that has dialled in: who it is, what it brings, what waits for it.

The order is that of a depot's cable (docs/formats.md section 10): greeting and proof, the receipt
that is owed, the pull, its receipt, placed files, the clock. After that the unit stays or goes as
it likes; whenever its PING names newer records it is pulled again.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from flagfall.link import messages

from flagfall_host.depot.carrier import ON_TLS
from flagfall_host.depot.conversation import Conversation
from flagfall_host.depot.link_errors import LinkError, NoAnswer, PortLost, UnitRefused
from flagfall_host.depot.pull import pull_over
from flagfall_host.depot.pulled import LostRecords, PullResult
from flagfall_host.depot.push import FileTooLong, NotAccepted, push_over
from flagfall_host.gateway.desk import Desk, UnitDesk
from flagfall_host.gateway.limits import Limits
from flagfall_host.gateway.tls_wire import Nudged, TlsWire
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.placements import (
    REFUSED,
    TAKEN,
    Admission,
    Placement,
    admission,
    content_of,
    settle_placement,
    without_permits,
)

CLOCK_OFF_S = 2  # a clock that is off by less is left alone
_BUFFER = 8 * 1024  # bytes of frames of one unit that are being put together


class Shut(LinkError):
    """The client is not let in: another's certificate, another's id, or revoked."""


class NoPermit(LinkError):
    """None of the permits that were placed with a file fits any more."""


@dataclass(frozen=True)
class House:
    """What all visits of a gateway share. `key_of(unit_id)`: its 32-byte key."""

    ledger: Ledger
    desk: Desk
    limits: Limits
    key_of: Callable[[str], bytes]
    on_receipt: Callable[["Visit", PullResult], None]
    say: Callable[[str], None]
    nonce: Callable[[int], bytes] = os.urandom


class Visit:
    """`unit_id` is what the client's certificate says; `run` ends when the unit has gone.

    `idle` is True while nothing is done with it.
    """

    def __init__(self, wire: TlsWire, unit_id: str, house: House) -> None:
        self.wire = wire
        self.unit_id = unit_id
        self.proved = False
        self.pulled = False  # a first receipt was given
        self.idle = False
        self.ending = False
        self._house = house
        wire.name = f"{unit_id} at {wire.name}"
        self._talk = Conversation(
            wire, self._key, nonce=house.nonce, patience=ON_TLS, buffer=_BUFFER
        )
        self._books = UnitDesk(house.desk, house.ledger)
        self._receipt = 0  # the seq of the last receipt that was given

    def _key(self, unit_id: str) -> bytes | None:
        return self._house.key_of(unit_id) if unit_id == self.unit_id else None

    def end(self) -> None:
        """Let the visit end as soon as what is under way is done."""
        self.ending = True
        if self.idle:
            self.wire.nudge()

    def look_again(self) -> None:
        """A file was placed for this unit, if it only waits: give it now."""
        if self.idle:
            self.wire.nudge()

    async def run(self) -> None:
        """Serve the unit. Raises LinkError, LedgerError or TimeoutError when it ends badly."""
        house, talk = self._house, self._talk
        waiting = await self._let_in()
        async with asyncio.timeout(house.limits.greeting_s):
            unit = await talk.open()
        if unit.unit_id != self.unit_id:
            raise Shut(f"{self.wire.name}: it calls itself {unit.unit_id}")
        self.proved = True
        try:
            while not self.ending:
                async with asyncio.timeout(house.limits.pull_s):
                    result = await self._pull()
                for placement in waiting.waiting:
                    async with asyncio.timeout(house.limits.pull_s):
                        await self._give(placement)
                await self._set_clock(result)
                if self.ending:
                    break
                if not await self._quiet(result):
                    return
                waiting = await self._let_in()
            await talk.close()
        finally:
            self.idle = False

    async def _let_in(self) -> Admission:
        known = await self._house.desk.look(admission, self._house.ledger, self.unit_id)
        if known.revoked:
            raise Shut(f"{self.wire.name}: this unit is revoked")
        return known

    async def _pull(self) -> PullResult:
        self._talk.quiet_at = None
        try:
            result = await pull_over(self._talk, self._books, window=self._house.limits.window)
        except LostRecords as e:
            result = e.result
            self._house.say(f"{self.wire.name}: {e}")
        self._house.on_receipt(self, result)
        return result

    async def _quiet(self, result: PullResult) -> bool:
        """Wait until there is something to do again; False: the unit has gone or is silent."""
        new_receipt = result.receipt_upto > self._receipt
        self._receipt = max(self._receipt, result.receipt_upto)
        # The ACK record that a receipt makes in the journal is no news.
        self._talk.quiet_at = result.last_seq + new_receipt
        self.idle = True
        try:
            return await self._talk.wait_for_news(self._house.limits.idle_s)
        except Nudged:
            return True
        except PortLost:
            return False  # it has closed: there was nothing more to say
        finally:
            self.idle = False

    async def _give(self, placement: Placement) -> None:
        look, ledger = self._house.desk.look, self._house.ledger
        content = await look(content_of, ledger, placement)
        if content is None:
            return
        content, permits = without_permits(content)
        try:
            if permits:
                await self._permit(placement.kind, permits)
            await push_over(self._talk, placement.kind, content)
        except (NotAccepted, FileTooLong, NoPermit) as e:
            await look(settle_placement, ledger, self.unit_id, placement, REFUSED, str(e))
            self._house.say(str(e))
        except UnitRefused as e:
            # Not now: during a trip, or while it is busy. It waits for another visit.
            self._house.say(f"{e}: it goes on waiting")
        else:
            await look(settle_placement, ledger, self.unit_id, placement, TAKEN)

    async def _permit(self, kind: str, permits: dict[int, bytes]) -> None:
        """Hand over the permit for the unit's next change under its seal."""
        audit = (await self._talk.ask(messages.INFO)).get("audit")
        if not isinstance(audit, int):
            return  # nothing is sealed yet
        permit = permits.get(audit + 1)
        if permit is None:
            raise NoPermit(
                f"{self.wire.name}: {kind}: no permit fits its audit counter {audit}: place the "
                "file again"
            )
        await push_over(self._talk, "permit", permit)

    async def _set_clock(self, result: PullResult) -> None:
        theirs = result.info.get("time")
        now = self._house.ledger.now()
        if not isinstance(theirs, int) or abs(theirs - now) < CLOCK_OFF_S + result.seconds:
            return
        try:
            await self._talk.ask(messages.TIME, messages.pack_u32(now))
        except UnitRefused:
            pass  # during a trip, or more than its week's budget: it says so in its event log
        except NoAnswer as e:
            raise NoAnswer(f"{e} (asked to set its clock)") from e
