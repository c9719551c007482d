"""The office sends files to its units, by cable and by air, in the middle of everything else."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from flagfall_host.depot.link import Link
from flagfall_host.depot.permit import push_permit
from flagfall_host.depot.placing import permits_for
from flagfall_host.depot.push import NotAccepted, push
from flagfall_host.ledger.placements import place, with_permits
from flagfall_host.simulation.faults import Faults, strikes
from flagfall_host.simulation.office import Office
from flagfall_host.simulation.press import FIRMWARE, KINDS, Issue, Press
from flagfall_host.simulation.story import Story
from flagfall_host.simulation.taxi import Taxi

_ROUND_S = (20.0, 200.0)
_WEIGHTS = (5, 2, 2, 2, 3, 3, 4)
# Changes of files while one is taken, and until it is in force: the power may go at any of them.
_CHANGES = {FIRMWARE: 110, "tariff": 20, "campaigns": 20}
_FEW_CHANGES = 7


class Pushes:
    """One unit's share of the office's files. `settings` are the unit's own."""

    def __init__(
        self,
        taxi: Taxi,
        settings: dict[str, Any],
        press: Press,
        office: Office,
        chance: random.Random,
        faults: Faults,
        story: Story,
    ) -> None:
        self.faults = faults
        self._taxi = taxi
        self._settings = settings
        self._press = press
        self._office = office
        self._chance = chance
        self._story = story

    def _hits(self, fault: str) -> bool:
        return strikes(self._chance, self.faults, fault, self._story.strike)

    async def run(self) -> None:
        """Now and then something new."""
        while True:
            await asyncio.sleep(self._chance.uniform(*_ROUND_S))
            if self._hits("pushes"):
                self._send(self._chance.choices(KINDS, _WEIGHTS)[0])

    def _send(self, kind: str) -> None:
        taxi, chance = self._taxi, self._chance
        by_air = taxi.outside.radio is not None and chance.random() < 0.6
        bad = kind == FIRMWARE and self._hits("bad_program")
        whole = by_air or chance.random() < 0.4
        issue = self._press.issue(taxi.name, kind, self._settings, bad=bad, whole=whole)
        cut = None
        if taxi.outside.files is not None and self._hits("power_cut_in_files"):
            cut = chance.randrange(_CHANGES.get(kind, _FEW_CHANGES))
        self._story.strike(f"push_{kind}")
        if by_air:
            self._plan(cut)
            self._office.in_a_program("placing", lambda: self._place(issue))
        else:
            self._office.errand(taxi.name, self._pusher(issue, cut))

    def _plan(self, cut: int | None) -> None:
        """The power will go at that change of files from now on, unless all has healed."""
        files = self._taxi.outside.files
        if cut is not None and files is not None and self._office.faults.power_cut_in_files:
            files.plan_cut(cut)

    def _place(self, issue: Issue) -> None:
        """As `flagfall gateway place` and `flagfall update place` do it."""
        name, ledger = self._taxi.name, self._office.ledger()
        content = issue.blob
        if issue.action:
            key = self._office.private_key
            given = permits_for(key, ledger, name, issue.action, issue.permitted)
            content = with_permits(content, given)
        place(ledger, [name], issue.kind, content)

    def _pusher(self, issue: Issue, cut: int | None) -> Callable[[Link], None]:
        def errand(link: Link) -> None:
            self._plan(cut)
            try:
                push_issue(link, issue, self._office.private_key)
            except NotAccepted as e:
                self._story.tell("depot", str(e))
                self._story.strike("file_not_accepted")
            else:
                self._story.tell("depot", f"{self._taxi.name} has {issue.kind} {issue.version}")

        return errand


def push_issue(
    link: Link, issue: Issue, key: Any, blob: bytes | None = None, *, permitted: bool = True
) -> None:
    """Permit what is under the seal, then push, as `flagfall unit push` does it. `blob`: what is
    permitted and pushed in its place."""
    if permitted and issue.action:
        push_permit(link, key, issue.action, issue.permitted if blob is None else blob)
    push(link, issue.kind, issue.blob if blob is None else blob)
