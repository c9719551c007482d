"""Many terminals at once: a worker claims those that have work and talks for all of them.

Any number of workers may run on one ledger, on one machine or (PostgreSQL) on several; a terminal
is claimed by one of them. Any may die at any moment: its claims die with it, and the next one
finds in the ledger what was asked.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa

from flagfall_host.acquirer.batches import BEGUN, UNBALANCED, Settled
from flagfall_host.acquirer.commits import Commits
from flagfall_host.acquirer.keys import TerminalKeys, public_test_keys
from flagfall_host.acquirer.lines import CONNECTIONS, Lines
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import Opener
from flagfall_host.acquirer.served import Served
from flagfall_host.acquirer.talk import Talk, UploadResult
from flagfall_host.acquirer.terminal_state import TerminalState
from flagfall_host.errors import FlagfallError
from flagfall_host.ledger import money
from flagfall_host.ledger.claims import claim
from flagfall_host.ledger.ledger import Ledger
from flagfall_host.ledger.tables import MONEY, SETTLEMENTS

AT_ONCE = 200  # terminals that one worker claims in a round


@dataclass
class Round:
    """What a worker did for the terminals that it claimed."""

    terminals: int = 0
    uploaded: UploadResult = field(default_factory=UploadResult)
    settled: list[tuple[str, Settled]] = field(default_factory=list)  # with the terminal's id
    failed: dict[str, FlagfallError] = field(default_factory=dict)  # terminal -> why
    unserved: dict[str, int] = field(default_factory=dict)  # unit -> payments without terminal

    def add(self, other: "Round") -> None:
        """Take in a later round."""
        self.terminals += other.terminals
        self.uploaded.add(other.uploaded)
        self.settled += other.settled
        self.failed = other.failed
        self.unserved = other.unserved


class Worker:
    """Uploads and settles for `served`, over a few lines to the host at `host`:`port`."""

    def __init__(
        self,
        ledger: Ledger,
        private_key: rsa.RSAPrivateKey,
        served: Sequence[Served],
        host: str,
        port: int,
        *,
        profile: Profile | None = None,
        keys: TerminalKeys | None = None,
        connections: int = CONNECTIONS,
        commits: Commits | None = None,
    ) -> None:
        self._ledger = ledger
        self._served = {one.terminal.terminal_id: one for one in served}
        self._profile = profile or Profile.load()
        self._keys = keys or public_test_keys()
        self._opener = Opener(ledger, private_key)
        self._lines = Lines(self._profile, host, port, connections)
        self._commits = commits or Commits(ledger)
        self._talks: dict[str, Talk] = {}
        self.counters = self._lines.counters

    async def close(self) -> None:
        """Give up the lines; what waits for a commit is committed."""
        self._lines.close()
        await asyncio.to_thread(self._commits.close)

    async def round(
        self, settle: bool = False, progress: Callable[[UploadResult], None] | None = None
    ) -> Round:
        """Claim terminals that have work, upload for each, and settle what is to be settled.

        With `settle` every batch that is open; without it those that are full. A terminal that
        fails does not stop the others. `progress` is called after each terminal's upload.
        """
        done = Round()
        wanted, done.unserved = await self._commits.run(lambda: self._work(settle))
        if not wanted:
            return done
        # The claim lives in a thread of its own: it may wait for the database.
        holding = claim(self._ledger.engine, wanted, AT_ONCE)
        taken = await asyncio.to_thread(holding.__enter__)
        try:
            done.terminals = len(taken)
            async with asyncio.TaskGroup() as group:
                for terminal_id in taken:
                    group.create_task(self._one(terminal_id, settle, done, progress))
        finally:
            await asyncio.to_thread(holding.__exit__, None, None, None)
        return done

    async def until_done(
        self, settle: bool = False, progress: Callable[[UploadResult], None] | None = None
    ) -> Round:
        """Rounds until one finds nothing that it could do."""
        total = Round()
        while True:
            one = await self.round(settle, progress)
            total.add(one)
            if one.failed or not (one.uploaded.accepted or one.uploaded.refused or one.settled):
                return total

    async def _one(
        self,
        terminal_id: str,
        settle: bool,
        done: Round,
        progress: Callable[[UploadResult], None] | None,
    ) -> None:
        try:
            talk = await self._talk(terminal_id)
            served = self._served[terminal_id]
            uploaded = await talk.upload(None, served.units, served.not_units)
            done.uploaded.add(uploaded)
            if progress:
                progress(done.uploaded)
            if settle or await talk.batch_full():
                done.settled += [(terminal_id, row) for row in await talk.settle_all()]
        except FlagfallError as e:
            done.failed[terminal_id] = e

    async def _talk(self, terminal_id: str) -> Talk:
        """The terminal's talk, signed in."""
        talk = self._talks.get(terminal_id)
        if talk is None:
            terminal = self._served[terminal_id].terminal
            state = await self._commits.run(
                lambda: TerminalState(self._ledger, terminal_id, terminal.merchant_id)
            )
            talk = Talk(
                state,
                terminal,
                self._profile,
                self._lines,
                self._commits,
                self._opener,
                self._keys,
            )
            self._talks[terminal_id] = talk
        if not await talk.is_signed_in():
            await talk.sign_in()
        return talk

    def _work(self, settle: bool) -> tuple[list[str], dict[str, int]]:
        """The terminals that have something to do, and payments that no terminal serves."""
        states = [money.QUEUED, money.SENT, money.UNKNOWN]
        if settle:
            states.append(money.ACCEPTED)
        with self._ledger.reading() as db:
            captured = db.execute(
                sa.select(MONEY.c.unit_id, sa.func.count())
                .where(
                    MONEY.c.state == money.CAPTURED,
                    MONEY.c.currency == int(self._profile.currency),
                )
                .group_by(MONEY.c.unit_id)
            ).all()
            begun = set(
                db.execute(
                    sa.select(MONEY.c.terminal_id).where(MONEY.c.state.in_(states)).distinct()
                ).scalars()
            )
            begun |= set(
                db.execute(
                    sa.select(SETTLEMENTS.c.terminal_id).where(
                        SETTLEMENTS.c.state.in_((BEGUN, UNBALANCED))
                    )
                ).scalars()
            )
        of_unit = {
            unit: terminal_id
            for terminal_id, one in self._served.items()
            for unit in one.units or ()
        }
        rest = next((t for t, one in self._served.items() if one.units is None), None)
        wanted, unserved = set(begun) & set(self._served), {}
        for unit_id, count in captured:
            terminal_id = of_unit.get(unit_id, rest)
            if terminal_id is None:
                unserved[unit_id] = count
            else:
                wanted.add(terminal_id)
        return sorted(wanted), unserved
