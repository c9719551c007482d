"""One terminal at the acquirer, for a program that does one thing after the other.

See `talk` for what is asked and what is durable, `worker` for many terminals at once.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa

from flagfall_host.acquirer.batches import Settled
from flagfall_host.acquirer.commits import Commits
from flagfall_host.acquirer.downloads import Downloader, Said
from flagfall_host.acquirer.keys import TerminalKeys, public_test_keys
from flagfall_host.acquirer.lines import Lines
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import Opener
from flagfall_host.acquirer.talk import Progress, Talk, UploadResult
from flagfall_host.acquirer.terminal_state import TerminalState
from flagfall_host.closing import Closing
from flagfall_host.ledger.claims import claim_one
from flagfall_host.ledger.ledger import Ledger

__all__ = ["Acquirer", "UploadResult"]
T = TypeVar("T")
CLAIM_WAIT_S = 20.0  # how long another program's work for the terminal is waited for


class Acquirer(Closing):
    """A terminal's talk with the host at `host`:`port`, its state in `ledger`."""

    def __init__(
        self,
        ledger: Ledger,
        private_key: rsa.RSAPrivateKey,
        terminal: Terminal,
        host: str,
        port: int,
        *,
        profile: Profile | None = None,
        keys: TerminalKeys | None = None,
    ) -> None:
        self.profile = profile or Profile.load()
        self._ledger, self._terminal_id = ledger, terminal.terminal_id
        self.state = TerminalState(ledger, terminal.terminal_id, terminal.merchant_id)
        self._lines = Lines(self.profile, host, port, connections=1)
        self._commits = Commits(ledger)
        self.talk = Talk(
            self.state,
            terminal,
            self.profile,
            self._lines,
            self._commits,
            Opener(ledger, private_key),
            keys or public_test_keys(),
        )
        self._runner = asyncio.Runner()
        self.counters = self._lines.counters

    def close(self) -> None:
        """Give up the connection."""
        self._lines.close()
        self._runner.close()
        self._commits.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` while no other program works for this terminal. Raises Busy."""
        try:
            with claim_one(self._ledger.engine, self._terminal_id, CLAIM_WAIT_S):
                return self._runner.run(work)
        finally:
            work.close()

    def sign_in(self) -> int:
        """0800: fetch working keys and the batch number, which is returned."""
        return self._run(self.talk.sign_in())

    def echo(self) -> None:
        """0820: is the host there, and does it know this terminal?"""
        self._run(self.talk.echo())

    def upload(
        self, progress: Progress | None = None, units: Sequence[str] | None = None
    ) -> UploadResult:
        """See `Talk.upload`."""
        return self._run(self.talk.upload(progress, units))

    def settle(self) -> Settled:
        """Settle every batch that is open, oldest first; return the last one.

        Upload first: what is captured or queued and was never sent waits for the next batch.

        0500 compares the totals; where they do not balance, 0320 tells the acquirer each payment
        of the batch, and the batch then stands as the acquirer was told (`Settled.balanced` says
        which it was). With nothing to settle, returns the newest batch that was, or an empty one.
        """
        done = self.settle_all()
        if done:
            return done[-1]
        return self.state.newest_settled() or Settled(self.state.batch, 0, 0, 0, True)

    def settle_all(self) -> list[Settled]:
        """As `settle`, but returns every batch that was settled now."""
        return self._run(self.talk.settle_all())

    def download(
        self, name: str, folder: Path, *, test: bool = False, said: Said | None = None
    ) -> tuple[Path, int]:
        """See `Downloader.fetch`."""
        return self._run(Downloader(self.talk, folder, test=test).fetch(name, said))
