"""A PostgreSQL server of the tests' own, from Debian's package, in a folder that goes away."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

_STOP_S = 30


class PostgresServer:
    """Runs on a Unix socket only, as another user when the tests run as root.

    Not `durable`: it survives its own crash, but not the machine's, and is quicker.
    """

    def __init__(self, durable=False):
        self._fsync = "on" if durable else "off"
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise RuntimeError("PostgreSQL is not installed: run `make setup` as root")
        self._bin = found[-1].parent
        # A socket's path may have 107 bytes at most, so not below the tests' own folder.
        self._folder = Path(tempfile.mkdtemp(prefix="flagfall-pg-"))
        self._as_user = []
        self._user = pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() == 0:
            self._user = "postgres"
            shutil.chown(self._folder, self._user)
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def __enter__(self):
        data = self._folder / "data"
        self._run("initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self._start()
        return self

    def _start(self):
        options = f"-c listen_addresses='' -k {self._folder} -c fsync={self._fsync}"
        place = ("-D", self._folder / "data", "-l", self._folder / "log")
        self._run("pg_ctl", *place, "-o", options, "-w", "start")

    def _stop(self):
        self._run("pg_ctl", "-D", self._folder / "data", "-m", "immediate", "-w", "stop")

    def __exit__(self, *_):
        self._stop()
        shutil.rmtree(self._folder)

    def empty_database(self):
        """The URL of a database without any table; the one before it is no more."""
        parameters = {"host": str(self._folder), "user": self._user}
        with psycopg.connect(dbname="postgres", autocommit=True, **parameters) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return f"postgresql://{self._user}@/postgres?host={self._folder}"

    def crash(self):
        """Stop as a crash would and start again."""
        self._stop()
        self._start()

    def _run(self, program, *arguments):
        command = [*self._as_user, str(self._bin / program), *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_STOP_S * 2,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace')}")
