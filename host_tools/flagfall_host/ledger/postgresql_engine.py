"""PostgreSQL: URLs with several hosts, dead machines noticed, commits that are on two disks.

    postgresql://user@db1:5432,db2:5432/flagfall

The hosts are tried in turn and the one that takes writes is used (libpq's `target_session_attrs`),
so that a program finds the database again after a failover by itself.
"""

import re
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

LOCK_WAIT_S = 30  # how long a transaction waits for another program's
CONNECT_S = 5  # for each host
DEAD_S = 15  # a machine that answers nothing for this long is gone
NOT_REPLICATED = "not_replicated"
_HOSTS = re.compile(r"^(postgresql(?:\+psycopg)?://(?:[^@/?]*@)?)([^/?@]*,[^/?]*)(.*)$", re.DOTALL)


def several_hosts(text: str) -> str:
    """A URL with `host:port,host:port` in SQLAlchemy's spelling; any other as it is."""
    found = _HOSTS.match(text)
    if found is None:
        return text
    head, hosts, rest = found.groups()
    wanted = "&".join(f"host={host}" for host in hosts.split(","))
    return f"{head}{rest}{'&' if '?' in rest else '?'}{wanted}"


def postgresql_engine(url: sa.URL) -> sa.Engine:
    """The engine for a PostgreSQL URL; what the URL says goes before what is set here."""
    ours: dict[str, Any] = {
        "connect_timeout": CONNECT_S,
        "options": f"-c lock_timeout={LOCK_WAIT_S}s",
        "target_session_attrs": "read-write",
        "keepalives_idle": DEAD_S,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": DEAD_S * 1_000,
    }
    arguments = {name: value for name, value in ours.items() if name not in url.query}
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"), connect_args=arguments)

    @event.listens_for(engine, "connect")
    def _watch(connection: psycopg.Connection[Any], record: Any) -> None:
        def note(diagnostic: psycopg.errors.Diagnostic) -> None:
            # The server says it when somebody cancels a COMMIT that waits for the standby: the
            # commit then stands on one machine only, and the driver reports success.
            if "synchronous replication" in (diagnostic.message_primary or ""):
                record.info[NOT_REPLICATED] = True

        connection.add_notice_handler(note)

    return engine
