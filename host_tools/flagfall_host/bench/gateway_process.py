"""A gateway as a process of its own, for bench units to dial through their modem."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from flagfall_host.bench.world import BenchError
from flagfall_host.closing import Closing
from flagfall_host.depot.fleet import Fleet
from flagfall_host.gateway.keys_folder import make_gateway_folder

NAME = "gateway.bench"  # what the units dial; the bench's network knows where that is
PORT = 8443
_LISTENING = re.compile(r"listening on [^:]+:(\d+)")
_START_S = 30.0
_STOP_S = 10.0


class GatewayProcess(Closing):
    """Runs `flagfall gateway run` on a free port of this machine, booking into `ledger`.

    `folder` takes its keys and its log. `address` is where it listens.
    """

    def __init__(self, folder: Path, fleet: Fleet, ledger: Path | str, port: int = 0) -> None:
        keys = folder / "gateway"
        make_gateway_folder(fleet, keys, [NAME])
        self.log_path = folder / "gateway.log"
        command = [sys.executable, "-m", "flagfall_host.cli.main", "gateway", "run"]
        command += ["--listen", f"127.0.0.1:{port}", "--watch", "", "--keys", str(keys)]
        command += ["--db", str(ledger)]
        start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ)
            )
        limit = time.monotonic() + _START_S
        while True:
            found = _LISTENING.search(self.log()[start:])
            if found:
                break
            if self._process.poll() is not None or time.monotonic() > limit:
                self.close()
                raise BenchError(f"the gateway did not start: see {self.log_path}")
            time.sleep(0.05)
        self.address = ("127.0.0.1", int(found[1]))

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """It goes down at once."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        if self._process.poll() is None:
            self.kill()
