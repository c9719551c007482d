"""What the office has placed for units that dial in, and units that it has shut out.

All gateways read it from the ledger's database, so that any of them serves any unit.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa

from flagfall_host.ledger.database import insert
from flagfall_host.ledger.errors import LedgerError
from flagfall_host.ledger.ledger import Ledger, checked
from flagfall_host.ledger.tables import FILES, PLACEMENTS, REVOCATIONS, UNITS

WAITING, TAKEN, REFUSED = STATES = ("waiting", "taken", "refused")
_PERMITS = b"\0permits"
_WHY = 200  # characters of a unit's reason that are kept


class Placement(NamedTuple):
    """A file that waits for a unit. `sha256` in hex names its content."""

    kind: str
    sha256: str


class Admission(NamedTuple):
    """What a gateway must know of a unit that has dialled in."""

    revoked: bool
    waiting: tuple[Placement, ...]


def place(ledger: Ledger, unit_ids: Iterable[str], kind: str, content: bytes) -> int:
    """Let `content` wait for the units, in the place of an older file of this kind.

    Returns how many units it waits for. A unit that has it already gets it no second time.
    """
    digest = hashlib.sha256(content).hexdigest()
    now = ledger.now()
    rows = [
        {
            "unit_id": checked(unit_id),
            "kind": kind,
            "sha256": digest,
            "state": WAITING,
            "placed_at": now,
            "changed_at": now,
            "why": "",
        }
        for unit_id in unit_ids
    ]
    if not rows:
        raise LedgerError("no unit to place the file for: name one with --unit")
    with ledger.writing() as connection:
        file = insert(connection, FILES).values(sha256=digest, content=content)
        connection.execute(file.on_conflict_do_nothing())
        statement = insert(connection, PLACEMENTS)
        new = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["unit_id", "kind"],
                set_={
                    "sha256": new.sha256,
                    "state": new.state,
                    "placed_at": new.placed_at,
                    "changed_at": new.changed_at,
                    "why": new.why,
                },
                where=sa.or_(PLACEMENTS.c.sha256 != new.sha256, PLACEMENTS.c.state != TAKEN),
            ),
            rows,
        )
        used = sa.select(PLACEMENTS.c.sha256)
        connection.execute(FILES.delete().where(FILES.c.sha256.not_in(used)))
    return len(rows)


def with_permits(content: bytes, permits: list[bytes]) -> bytes:
    """A file that is under a unit's seal, with permits for the audit counters that come next."""
    words = json.dumps([permit.decode() for permit in permits]).encode()
    return _PERMITS + len(words).to_bytes(4, "little") + words + content


def without_permits(file: bytes) -> tuple[bytes, dict[int, bytes]]:
    """The file itself, and the permits by the audit counter that each is for."""
    if not file.startswith(_PERMITS):
        return file, {}
    start = len(_PERMITS) + 4
    end = start + int.from_bytes(file[len(_PERMITS) : start], "little")
    permits = [permit.encode() for permit in json.loads(file[start:end])]
    return file[end:], {json.loads(permit)["counter"]: permit for permit in permits}


def known_units(ledger: Ledger) -> list[str]:
    """Every unit that has records or a placement."""
    with ledger.reading() as connection:
        both = sa.union(sa.select(UNITS.c.unit_id), sa.select(PLACEMENTS.c.unit_id))
        return sorted(connection.execute(both).scalars())


def admission(ledger: Ledger, unit_id: str) -> Admission:
    """Whether the unit is let in, and what waits for it."""
    with ledger.reading() as connection:
        return _admission(connection, unit_id)


def _admission(connection: sa.Connection, unit_id: str) -> Admission:
    revoked = connection.execute(
        sa.select(REVOCATIONS.c.unit_id).where(REVOCATIONS.c.unit_id == unit_id)
    ).first()
    p = PLACEMENTS.c
    waiting = connection.execute(
        sa.select(p.kind, p.sha256)
        .where(p.unit_id == unit_id, p.state == WAITING)
        .order_by(p.placed_at, p.kind)
    )
    return Admission(revoked is not None, tuple(Placement(*row) for row in waiting))


def content_of(ledger: Ledger, placement: Placement) -> bytes | None:
    """The bytes to push; None: the file was replaced meanwhile."""
    with ledger.reading() as connection:
        question = sa.select(FILES.c.content).where(FILES.c.sha256 == placement.sha256)
        content = connection.execute(question).scalar()
        return None if content is None else bytes(content)


def settle_placement(
    ledger: Ledger, unit_id: str, placement: Placement, state: str, why: str = ""
) -> None:
    """Note that the unit has taken or refused this file. A newer one goes on waiting."""
    p = PLACEMENTS.c
    with ledger.writing() as connection:
        connection.execute(
            PLACEMENTS.update()
            .where(p.unit_id == unit_id, p.kind == placement.kind, p.sha256 == placement.sha256)
            .values(state=state, changed_at=ledger.now(), why=why[:_WHY])
        )


def revoke(ledger: Ledger, unit_id: str, why: str) -> None:
    """Shut a unit out: stolen, sold, or its keys are known."""
    row = {"unit_id": checked(unit_id), "at": ledger.now(), "why": why}
    with ledger.writing() as connection:
        connection.execute(insert(connection, REVOCATIONS).values(row).on_conflict_do_nothing())


def readmit(ledger: Ledger, unit_id: str) -> bool:
    """Let a unit in again; False if it was not shut out."""
    with ledger.writing() as connection:
        where = REVOCATIONS.c.unit_id == checked(unit_id)
        return connection.execute(REVOCATIONS.delete().where(where)).rowcount > 0


def turned_away(ledger: Ledger) -> set[str]:
    """All units that are revoked."""
    with ledger.reading() as connection:
        return set(connection.execute(sa.select(REVOCATIONS.c.unit_id)).scalars())


def with_something_waiting(ledger: Ledger, unit_ids: Iterable[str]) -> set[str]:
    """Those of the units for which a file waits."""
    wanted = sorted(unit_ids)
    found: set[str] = set()
    p = PLACEMENTS.c
    with ledger.reading() as connection:
        for i in range(0, len(wanted), 500):
            question = sa.select(p.unit_id).where(
                p.state == WAITING, p.unit_id.in_(wanted[i : i + 500])
            )
            found.update(connection.execute(question).scalars())
    return found
