"""Files made ready to wait for a unit that dials in: with permits for what is under its seal.

A gateway holds no key that signs. A permit names the unit's audit counter (docs/formats.md section
9), which the office knows from the unit's booked events; a few permits for the counters that come
next go along, and the gateway hands over the one that fits.
"""

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flagfall.journal import schema

from flagfall_host.depot.permit import make_permit
from flagfall_host.depot.pushed_files import PushKind
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.placements import with_permits
from flagfall_host.ledger.tables import EVENTS

SEALED = (PushKind.TARIFF, PushKind.CAPK, PushKind.CONFIG)
PERMITS = 8  # changes under the seal, this one included, that may come until it is taken
_AUDITED = (
    schema.TARIFF_CHANGED,
    schema.TIME_SET,
    schema.KEYS_CHANGED,
    schema.K_CHANGED,
    schema.METROLOGY_CHANGED,
    schema.SETTINGS_CHANGED,
)


def file_for(
    private_key: RSAPrivateKey, ledger: Ledger, unit_id: str, kind: PushKind, content: bytes
) -> bytes:
    """`content` as it is placed for this unit."""
    if kind not in SEALED:
        return content
    given = permits_for(private_key, ledger, unit_id, kind.value, content)
    return with_permits(content, given)


def permits_for(
    private_key: RSAPrivateKey, ledger: Ledger, unit_id: str, action: str, content: bytes
) -> list[bytes]:
    """Permits of one action for the changes of this unit that come next."""
    audit = last_audit(ledger, unit_id)
    return [
        make_permit(private_key, unit_id, action, audit + n, content)
        for n in range(1, PERMITS + 1)
    ]


def last_audit(ledger: Ledger, unit_id: str) -> int:
    """The unit's audit counter as its newest booked event says it; 0: none has."""
    e = EVENTS.c
    question = (
        sa.select(e.text)
        .where(e.unit_id == unit_id, e.code.in_(_AUDITED), e.text.like("audit %"))
        .order_by(e.epoch.desc(), e.seq.desc())
        .limit(1)
    )
    with ledger.reading() as connection:
        text = connection.execute(question).scalar() or ""
    number = text.removeprefix("audit ").partition(":")[0]
    return int(number) if number.isdigit() else 0
