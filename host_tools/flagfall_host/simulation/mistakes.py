"""What an operator does by mistake, and that it changes nothing."""

import asyncio
import json
import random
from collections.abc import Callable

from flagfall.link import messages

from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import AlreadyProvisioned, LinkError, UnitRefused, WrongKey
from flagfall_host.depot.provision import Identity, provision
from flagfall_host.depot.push import NotAccepted
from flagfall_host.ledger.placements import readmit, revoke
from flagfall_host.simulation.fibers import fiber
from flagfall_host.simulation.gateways import GatewayProgram
from flagfall_host.simulation.office import Office
from flagfall_host.simulation.press import Issue, Press
from flagfall_host.simulation.pushes import push_issue
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.taxi import Taxi
from flagfall_host.simulation.watch import Violation
from flagfall_host.simulation.wires import Line, LineFaults

_OTHER_MASTER = bytes(range(32, 64))
_SHUT_OUT_S = (120.0, 1_800.0)
# A gateway looks for revocations every so often; what is under way by then may still be booked.
_GRACE_S = 40.0


class Mistakes:
    """Any of them at any moment, for one unit after the other."""

    def __init__(
        self,
        fleet: Fleet,
        press: Press | None,
        office: Office,
        gateways: list[GatewayProgram],
        chance: random.Random,
        story: Story,
    ) -> None:
        self._fleet = fleet
        self._other = Fleet(fleet.folder, "other", _OTHER_MASTER, fleet.private_key)
        self._press = press
        self._office = office
        self._gateways = gateways
        self._chance = chance
        self._story = story

    async def one(self, taxi: Taxi) -> None:
        """Make one. Raises Violation if it had an effect."""
        menu = [self.pull_twice, self.provision_again, self.wrong_fleet, self.settle_twice]
        if self._press is not None and taxi.outside.slots is not None:
            menu += 2 * [self.old_file, self.spoiled_file, self.file_of_another, self.no_permit]
        if taxi.outside.radio is not None:
            menu.append(self.shut_out)
        mistake = self._chance.choice(menu)
        self._story.strike(f"mistake_{mistake.__name__}")
        self._story.tell("operator", f"{mistake.__name__.replace('_', ' ')}: {taxi.name}")
        await mistake(taxi)

    async def pull_twice(self, taxi: Taxi) -> None:
        """Two programs on one cable."""

        async def second() -> None:
            await asyncio.sleep(self._chance.uniform(0.0, 1.0))
            await fiber(self._office.visit, taxi)

        await asyncio.gather(fiber(self._office.visit, taxi), second())

    async def settle_twice(self, _taxi: Taxi) -> None:
        async def second() -> None:
            await asyncio.sleep(self._chance.uniform(0.0, 1.0))
            await self._office.settle()

        await asyncio.gather(self._office.settle(), second())

    async def provision_again(self, taxi: Taxi) -> None:
        await fiber(self._at_the_cable, taxi, self._fleet, self._provision)

    async def wrong_fleet(self, taxi: Taxi) -> None:
        await fiber(self._at_the_cable, taxi, self._other, self._open_with_wrong_key)

    async def old_file(self, taxi: Taxi) -> None:
        """What was in force before is pushed once more; watch_files.py sees if it goes back."""
        given = [i for n, _ in self._given(taxi) for i in n[:-1]]
        if given:
            self._errand(taxi, self._chance.choice(given), must_fail=False)

    async def spoiled_file(self, taxi: Taxi) -> None:
        """Not what was signed."""
        issue = self._any(taxi)
        if issue is not None:
            blob = bytearray(issue.blob)
            blob[self._chance.randrange(8, len(blob))] ^= 1 << self._chance.randrange(8)
            self._errand(taxi, issue, bytes(blob))

    async def file_of_another(self, taxi: Taxi) -> None:
        """Signed for another unit."""
        others = [
            given[-1]
            for (unit_id, kind), given in self._press.given.items()  # type: ignore[union-attr]
            if unit_id != taxi.name and kind in ("tariff", "config", "capk")
        ]
        if others:
            self._errand(taxi, self._chance.choice(others))

    async def no_permit(self, taxi: Taxi) -> None:
        """A newer tariff without the permit that the seal asks for."""
        newest = self._press.newest(taxi.name, "tariff")  # type: ignore[union-attr]
        if newest is not None:
            self._errand(taxi, newest, permitted=False, must_fail=False)

    async def shut_out(self, taxi: Taxi) -> None:
        """The wrong unit is reported stolen, and let in again later."""
        office, name = self._office, taxi.name
        if not office.in_a_program("revoke", lambda: revoke(office.ledger(), name, "stolen?")):
            return
        for gateway in self._gateways:
            gateway.shut_out[name] = asyncio.get_running_loop().time() + _GRACE_S
        await asyncio.sleep(self._chance.uniform(*_SHUT_OUT_S))
        self.let_in(taxi)

    def let_in(self, taxi: Taxi) -> bool:
        for gateway in self._gateways:
            gateway.shut_out.pop(taxi.name, None)
        office = self._office
        return office.in_a_program("readmit", lambda: readmit(office.ledger(), taxi.name))

    # --- at the cable --------------------------------------------------------------------------

    def _given(self, taxi: Taxi) -> list[tuple[list[Issue], str]]:
        given = self._press.given.items()  # type: ignore[union-attr]
        return [(issues, kind) for (unit_id, kind), issues in given if unit_id == taxi.name]

    def _any(self, taxi: Taxi) -> Issue | None:
        given = [issues[-1] for issues, _ in self._given(taxi)]
        return self._chance.choice(given) if given else None

    def _errand(
        self,
        taxi: Taxi,
        issue: Issue,
        blob: bytes | None = None,
        *,
        permitted: bool = True,
        must_fail: bool = True,
    ) -> None:
        def errand(link: Link) -> None:
            try:
                push_issue(link, issue, self._fleet.private_key, blob, permitted=permitted)
            except (NotAccepted, UnitRefused) as e:
                self._story.tell("operator", str(e))
                self._story.strike("mistake_refused")
                return
            if must_fail:
                raise Violation(f"{taxi.name} takes {issue.kind} {issue.version} by mistake")

        self._office.errand(taxi.name, errand)

    def _at_the_cable(self, taxi: Taxi, fleet: Fleet, act: Callable[[Link, Taxi], None]) -> None:
        line = Line(taxi.outside.cable, self._chance, LineFaults())
        try:
            act(Link(line, fleet.unit_key, nonce=self._chance.randbytes), taxi)
        except LinkError as e:
            self._story.tell("operator", type(e).__name__)
        finally:
            line.close()

    def _provision(self, link: Link, taxi: Taxi) -> None:
        identity = Identity("TAXI-X", self._other.unit_key("TAXI-X"), self._fleet.public_der, 9)
        try:
            provision(link, identity)
        except AlreadyProvisioned:
            self._story.strike("mistake_refused")
        else:
            raise Violation(f"{taxi.name} was provisioned a second time")
        fields = {
            "unit_id": identity.unit_id,
            "unit_key": identity.unit_key.hex(),
            "fleet_key": identity.fleet_key.hex(),
            "epoch": identity.epoch,
            "config": None,
        }
        try:  # an old tool, which does not ask first
            link.ask_bare(messages.PROVISION, json.dumps(fields).encode())
        except UnitRefused:
            self._story.strike("mistake_refused")
        else:
            raise Violation(f"{taxi.name} takes a second identity")

    def _open_with_wrong_key(self, link: Link, taxi: Taxi) -> None:
        try:
            link.open()
        except WrongKey:
            self._story.strike("mistake_refused")
        else:
            raise Violation(f"{taxi.name} lets another fleet in")
