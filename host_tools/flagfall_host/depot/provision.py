"""Provision: give a unit in factory state its name, its key and the fleet's public key.

The unit's key goes over the cable in the clear. Provision in the workshop, on a cable that you
can see from end to end.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from flagfall.link import messages
from flagfall.link.frame import MAX_PAYLOAD

from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import (
    AlreadyProvisioned,
    LinkError,
    NoAnswer,
    SessionLost,
    UnitRefused,
)
from flagfall_host.depot.push import NotAccepted, push

_UNIT_ID = re.compile(r"[A-Z0-9-]{1,16}")
FIRST_EPOCH = 1
_RESTART_TRIES = 5  # greetings while the unit starts anew with its key


class BadUnitId(LinkError):
    """Not 1 to 16 characters of A-Z, 0-9 and -."""


@dataclass(frozen=True)
class Identity:
    """What PROVISION carries. Keys are bytes; `fleet_key` is a DER SubjectPublicKeyInfo."""

    unit_id: str
    unit_key: bytes
    fleet_key: bytes
    epoch: int = FIRST_EPOCH

    def __post_init__(self) -> None:
        check_unit_id(self.unit_id)

    def __repr__(self) -> str:
        return f"Identity({self.unit_id})"  # never the key


def check_unit_id(unit_id: str) -> str:
    """Return `unit_id` if a unit may be called so. Raises BadUnitId."""
    if not _UNIT_ID.fullmatch(unit_id):
        raise BadUnitId(f"unit id {unit_id!r}: 1 to 16 characters of A-Z, 0-9 and - are allowed")
    return unit_id


def provision(
    link: Link,
    identity: Identity,
    config: dict[str, Any] | None = None,
    certificate: bytes | None = None,
) -> bool:
    """Provision the unit on `link` and prove that it took its key.

    `certificate` (authority.certificate_file) is what it dials the gateway with. False: the unit
    takes none, since its firmware has no uplink. Raises AlreadyProvisioned, UnitRefused, NoAnswer.
    """
    name = link.wire.name
    unit = link.greet()
    if unit.provisioned:
        raise AlreadyProvisioned(
            f"{name}: this unit is provisioned already, as {unit.unit_id}: a unit takes a new "
            "identity only after its flash was erased (`flagfall flash --erase`, after a pull)"
        )
    message: dict[str, Any] = {
        "unit_id": identity.unit_id,
        "unit_key": identity.unit_key.hex(),
        "fleet_key": identity.fleet_key.hex(),
        "epoch": identity.epoch,
        "config": config,
    }
    payload = json.dumps(message, separators=(",", ":")).encode()
    rest = None
    if len(payload) > MAX_PAYLOAD:
        message["config"], rest = None, config
        payload = json.dumps(message, separators=(",", ":")).encode()
    try:
        link.ask_bare(messages.PROVISION, payload)
    except (NoAnswer, SessionLost):
        pass  # it may have taken the key all the same and started anew: the proof tells
    except UnitRefused as e:
        if e.code != messages.NOT_AUTHENTICATED:
            raise
    _prove(link, identity)
    if rest is not None:
        push(link, "config", json.dumps(rest).encode())
    if certificate is None:
        return True
    try:
        push(link, "certificate", certificate)
    except NotAccepted:
        return False
    return True


def _prove(link: Link, identity: Identity) -> None:
    for last in (False,) * (_RESTART_TRIES - 1) + (True,):
        try:
            unit = link.open()
        except LinkError:
            if last:
                raise
            link.pause(1.0)
            continue
        if unit.unit_id != identity.unit_id:
            raise AlreadyProvisioned(
                f"{link.wire.name}: the unit calls itself {unit.unit_id}, not {identity.unit_id}"
            )
        return
