"""The simulated acquirer as a process of its own, with its book in a file."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from flagfall_host.acquirer.book import Book
from flagfall_host.bench.cards.keys import TEST_KEYS
from flagfall_host.bench.world import BenchError
from flagfall_host.closing import Closing

_STOP_S = 10


class AcquirerProcess(Closing):
    """Runs `flagfall acquirer simulate` on a free port; `book()` reads what it holds."""

    def __init__(
        self,
        folder: Path,
        *,
        faults: dict[str, int] | None = None,
        port: int = 0,
        issuer_keys: Path = TEST_KEYS,
    ) -> None:
        self.book_path = folder / "acquirer.sqlite"
        command = [sys.executable, "-m", "flagfall_host.cli.main", "acquirer", "simulate"]
        command += ["--port", str(port), "--book", str(self.book_path)]
        command += ["--issuer-keys", str(issuer_keys)]
        for name, count in (faults or {}).items():
            command += ["--fault", f"{name}={count}"]
        self._log = (folder / "acquirer.log").open("ab")
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log, env=dict(os.environ)
        )
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise BenchError(f"the simulated acquirer did not start: see {folder}/acquirer.log")
        address = json.loads(line)
        self.host: str = address["host"]
        self.port: int = address["port"]

    def kill(self) -> None:
        """The host goes down at once."""
        self._process.kill()
        self._process.wait()

    def everything(self) -> dict[str, int]:
        """The book's totals (see Book.everything)."""
        book = Book(self.book_path)
        try:
            return book.everything()
        finally:
            book.close()

    def close(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        if self._process.poll() is None:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
