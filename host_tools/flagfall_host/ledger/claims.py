"""Who works for a terminal: one program at a time, and nobody once that program is dead.

On PostgreSQL a claim is a row lock that its transaction holds (FOR UPDATE SKIP LOCKED): the server
lets go of it when the connection ends. On SQLite it is a lock on a file beside the ledger, which
the operating system lets go of when the process ends. Neither knows a time after which it is void.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa

from flagfall_host.ledger import database
from flagfall_host.ledger.errors import Busy, CannotOpen
from flagfall_host.ledger.tables import CLAIMS

_LOOK_S = 0.1  # how often a claim that another program holds is tried again


@contextlib.contextmanager
def claim(engine: sa.Engine, terminal_ids: Sequence[str], most: int) -> Iterator[list[str]]:
    """Those of `terminal_ids` that nobody works for, `most` at most: ours until the block ends."""
    if engine.dialect.name == "postgresql":
        with _rows(engine, terminal_ids, most) as taken:
            yield taken
    else:
        with _files(engine, terminal_ids, most) as taken:
            yield taken


@contextlib.contextmanager
def claim_one(engine: sa.Engine, terminal_id: str, wait_s: float) -> Iterator[None]:
    """This terminal, as soon as it is free. Raises Busy after `wait_s`."""
    until = time.monotonic() + wait_s
    while True:
        with claim(engine, [terminal_id], 1) as taken:
            if taken:
                yield
                return
        if time.monotonic() >= until:
            raise Busy(
                f"another program works for terminal {terminal_id}: let it finish, then run the "
                "same command again"
            )
        time.sleep(_LOOK_S)


@contextlib.contextmanager
def _rows(engine: sa.Engine, terminal_ids: Sequence[str], most: int) -> Iterator[list[str]]:
    with database.writing(engine) as connection:
        connection.execute(
            database.insert(connection, CLAIMS).on_conflict_do_nothing(),
            [{"terminal_id": one} for one in sorted(terminal_ids)],
        )
    with database.translated(engine), engine.connect() as connection, connection.begin():
        query = (
            sa.select(CLAIMS.c.terminal_id)
            .where(CLAIMS.c.terminal_id.in_(terminal_ids))
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        yield list(connection.execute(query).scalars())


@contextlib.contextmanager
def _files(engine: sa.Engine, terminal_ids: Sequence[str], most: int) -> Iterator[list[str]]:
    import fcntl  # POSIX only, as are those who run several workers on one file

    folder = Path(engine.url.database or "").with_suffix(".claims")
    with contextlib.ExitStack() as held:
        taken: list[str] = []
        for one in terminal_ids:
            if len(taken) == most:
                break
            try:
                folder.mkdir(exist_ok=True)
                fd = os.open(folder / one.encode().hex(), os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as e:
                raise CannotOpen(f"{folder}: cannot be written: {e.strerror}") from e
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                continue
            held.callback(os.close, fd)
            taken.append(one)
        yield taken
