"""A fleet folder with certificates for many units, and gateways as processes or in this loop."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from flagfall_host.depot.fleet import Fleet
from flagfall_host.gateway.keys_folder import GatewayKeys, make_gateway_folder
from flagfall_host.gateway.limits import Limits
from flagfall_host.gateway.server import Gateway
from flagfall_host.ledger import Ledger

ROOT = Path(__file__).parents[3]
_START_S = 60


class Office:
    """A fleet, its gateway's folder, and the units' certificates in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = Fleet.create(folder / "fleet")
        make_gateway_folder(self.fleet, folder / "gateway", ["localhost", "127.0.0.1"])
        self.authority = folder / "fleet/authority.pem"
        self._ca = self.fleet.authority()

    def certificate(self, unit_id: str, days: int = 100) -> Path:
        """The PEM of a unit's certificate and key."""
        path = self.folder / f"{unit_id}.pem"
        if not path.exists():
            issued = self._ca.issue_unit(unit_id, days)
            path.write_bytes(issued.certificate_pem + issued.key_pem)
        return path


@contextlib.asynccontextmanager
async def gateway_here(
    office: Office, ledger: Ledger, limits: Limits | None = None
) -> AsyncIterator[Gateway]:
    """A gateway in this event loop."""
    said: list[str] = []
    keys = GatewayKeys.open(office.folder / "gateway")
    gateway = Gateway(ledger, keys, limits or Limits(drain_s=5), said.append)
    gateway.said = said
    task = asyncio.create_task(gateway.run(("127.0.0.1", 0), ("127.0.0.1", 0)))
    try:
        while not gateway.watch_port:
            if task.done():
                await task
            await asyncio.sleep(0.01)
        yield gateway
    finally:
        gateway.stop()
        await asyncio.wait_for(task, 30)


class GatewayProcess:
    """`flagfall gateway run` as its own process."""

    def __init__(
        self, office: Office, db: str, *words: str, port: int = 0, watch: int = 0
    ) -> None:
        self._office = office
        self._words = [
            *("--db", db, "--keys", str(office.folder / "gateway")),
            *("--listen", f"127.0.0.1:{port}", "--watch", f"127.0.0.1:{watch}", *words),
        ]
        self.port = self.watch = 0
        self.starts = 0
        self.log = office.folder / f"gateway-{time.monotonic_ns()}.log"
        self.start()

    def start(self) -> None:
        """Start it (again) and wait until it listens."""
        self.starts += 1
        with self.log.open("ab") as log:
            at = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flagfall_host.cli.main", "gateway", "run", *self._words],
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'host_tools'}:{ROOT / 'firmware/lib'}"},
                stderr=log,
            )
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            text = self.log.read_text()[at:]
            found = re.search(r"listening on [^ ]+?:(\d+).* on [^ ]+?:(\d+)", text)
            if found:
                self.port, self.watch = int(found[1]), int(found[2])
                return
            if self.process.poll() is not None:
                raise RuntimeError(f"the gateway ended: {text}")
            time.sleep(0.05)
        raise RuntimeError("the gateway does not listen")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def get(self, path: str) -> tuple[int, str]:
        """GET from the watch port: status and text."""
        return get(self.watch, path)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


@contextlib.contextmanager
def gateways(office: Office, db: str, count: int, *words: str) -> Iterator[list[GatewayProcess]]:
    running = []
    try:
        for _ in range(count):
            running.append(GatewayProcess(office, db, *words))
        yield running
    finally:
        for each in running:
            if each.process.poll() is None:
                each.kill()
