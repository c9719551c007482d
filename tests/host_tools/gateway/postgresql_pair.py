"""Two PostgreSQL servers, synchronous, made and failed over by the script in deploy/."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy/postgresql/pair"
_USER = "postgres"
NETWORK = "127.0.0.1/32"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server of the pair, in a folder of its own below `folder`."""

    def __init__(self, pair: "Pair", name: str) -> None:
        self.name = name
        self.port = free_port()
        self.folder = pair.folder / name
        self.data = self.folder / "data"
        self._pair = pair
        self.folder.mkdir()
        pair.own(self.folder)

    def start(self) -> None:
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -k {self.folder} "
            "-c max_connections=200 -c fsync=off"  # every commit is on two servers all the same
        )
        # pg_ctl would wait for as long as the server's log is held open.
        self._pair.run(
            self._pair.bin / "pg_ctl", "-D", self.data, "-l", self.folder / "log", "-o", options,
            "-w", "start",
        )  # fmt: skip

    def script(self, *words: object) -> str:
        """Run deploy/postgresql/pair beside this server."""
        environment = {
            "PGBIN": self._pair.bin,
            "PGHOST": self.folder,
            "PGPORT": self.port,
            "PAIR_AUTH": "trust",
        }
        command = ["env", *(f"{k}={v}" for k, v in environment.items()), self._pair.script]
        return self._pair.run(*command, *words)

    def kill(self) -> None:
        """kill -9 the server, all of it, as when its machine loses power."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        until = time.monotonic() + 30
        while Path(f"/proc/{pid}").exists():
            if time.monotonic() > until:
                raise RuntimeError("the server does not die")
            time.sleep(0.02)

    def freeze(self) -> None:
        """Stop this standby from taking anything in; it stays connected."""
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"walreceiver" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGSTOP)
                self._frozen = int(child)

    def thaw(self) -> None:
        os.kill(self._frozen, signal.SIGCONT)

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._pair.run(self._pair.bin / "pg_ctl", "-D", self.data, "-m", "immediate", "stop")


class Pair:
    """`first` is the primary, `second` its synchronous standby. `url` names both."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise RuntimeError("PostgreSQL is not installed: run `make setup` as root")
        self.bin = found[-1].parent
        self.folder = Path(tempfile.mkdtemp(prefix="flagfall-pair-"))
        self._as_user: list[str] = []
        if os.getuid() == 0:
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.user = _USER if self._as_user else pwd.getpwuid(os.getuid()).pw_name
        self.own(self.folder)
        # The checkout may lie where that user cannot read.
        self.script = self.folder / "pair"
        shutil.copy(SCRIPT, self.script)
        self.own(self.script)
        self.first, self.second = Server(self, "db1"), Server(self, "db2")

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{s.port}" for s in (self.first, self.second))
        return f"postgresql://{self.user}@{hosts}/postgres"

    def own(self, path: Path) -> None:
        if self._as_user:
            shutil.chown(path, _USER, _USER)

    def run(self, *command: object) -> str:
        done = subprocess.run(
            [*self._as_user, *map(str, command)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}")
        return done.stdout

    def __enter__(self) -> "Pair":
        first, second = self.first, self.second
        self.run(
            self.bin / "initdb", "-D", first.data, "-A", "trust", "-E", "UTF8", "--locale=C",
            "--no-sync", "-U", self.user,
        )  # fmt: skip
        first.start()
        first.script("primary", first.data, NETWORK)
        second.script("standby", second.data, "127.0.0.1", first.port, "db2")
        second.start()
        first.script("guard", first.data)
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self.first, self.second):
            if server.data.exists():
                server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fail_over(self) -> None:
        """The primary dies; the standby takes its place."""
        self.first.kill()
        self.second.script("promote", self.second.data, NETWORK)

    def take_back(self) -> None:
        """The old primary comes back as the standby of the new one."""
        self.first.script("rejoin", self.first.data, "127.0.0.1", self.second.port, "db1")
        self.first.start()
        self.second.script("guard", self.second.data)
