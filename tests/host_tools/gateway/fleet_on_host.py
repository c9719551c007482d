"""A whole fleet on this machine: simulated units, HAProxy, gateways, the PostgreSQL pair."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway_on_host import GatewayProcess, Office
from postgresql_pair import ROOT, free_port

LOAD = Path(__file__).with_name("fleet_load.py")


@contextlib.contextmanager
def haproxy(office: Office, gateways: list[GatewayProcess]) -> Iterator[int]:
    """HAProxy with the configuration of deploy/, its addresses replaced; gives its port."""
    port = free_port()
    text = (ROOT / "deploy/haproxy.cfg").read_text()
    text, n = re.subn(r"bind :8443", f"bind 127.0.0.1:{port}", text)
    text, m = re.subn(r"\n    server .*", "", text)
    text, k = re.subn(r"maxconn \d+", "maxconn 8000", text)  # files that one may open here
    if n != 1 or m < 2 or k != 2:
        raise RuntimeError("deploy/haproxy.cfg is not what this test knows")
    for i, gateway in enumerate(gateways):
        text += f"    server gw{i} 127.0.0.1:{gateway.port} port {gateway.watch}\n"
    place = office.folder / "haproxy.cfg"
    place.write_text(text)
    with (office.folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", place], stdout=log, stderr=log)
    try:
        _await_port(process, port)
        yield port
    finally:
        process.kill()
        process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError("HAProxy does not listen: is it installed? `make setup` as root")


class Fleet:
    """`count` units in `processes` processes, which begin on `go` and dial within `ramp_s`."""

    def __init__(
        self,
        office: Office,
        port: int,
        count: int,
        *,
        records: int = 50,
        processes: int = 2,
        ramp_s: float = 1.0,
        seconds: float = 120.0,
        first: int = 0,
        host: str = "127.0.0.1",
        stay: bool = False,
    ) -> None:
        self.count = count
        self.units: list[dict[str, Any]] = []  # of each unit that is through
        self._ended = 0
        self._lock = threading.Lock()
        ids = [f"U-{n:05}" for n in range(first, first + count)]
        for unit_id in ids:
            office.certificate(unit_id)
        self.processes = []
        for i in range(processes):
            words = {
                "office": str(office.folder),
                "keys": {u: office.fleet.unit_key(u).hex() for u in ids[i::processes]},
                "records": records,
                "host": host,
                "port": port,
                "ramp_s": ramp_s,
                "seconds": seconds,
                "stay": stay,
            }
            process = subprocess.Popen(
                [sys.executable, LOAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            self.processes.append(process)
            self._say(process, json.dumps(words))
        self._threads = [
            threading.Thread(target=self._read, args=(p,), daemon=True) for p in self.processes
        ]
        for process in self.processes:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the units do not start")

    def go(self) -> None:
        for process, thread in zip(self.processes, self._threads, strict=True):
            thread.start()
            self._say(process, "")

    def _say(self, process: subprocess.Popen[str], words: str) -> None:
        if process.stdin is not None:
            process.stdin.write(words + "\n")
            process.stdin.flush()

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout:
            facts = json.loads(line)
            with self._lock:
                if "end" in facts or "standing" in facts:
                    self._ended += 1
                else:
                    self.units.append(facts)

    @property
    def through(self) -> float:
        """The share of the units that have all their receipts."""
        return len(self.units) / self.count

    @property
    def ended(self) -> bool:
        return self._ended == len(self.processes)

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.ended:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(self.units)} of {self.count} units are through")
            time.sleep(0.05)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
