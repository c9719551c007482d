"""Permits: the office signs one change of what the unit's seal protects.

docs/formats.md section 9. A permit serves once: it names the unit, the change's number in the
unit's audit counter, and the SHA-256 of what is put in force.
"""

import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from flagfall import permit
from flagfall.link import messages

from flagfall_host.depot.link import Link
from flagfall_host.depot.push import push

TIME, TARIFF, CONFIG, K = permit.TIME, permit.TARIFF, permit.CONFIG, permit.K


def make_permit(
    private_key: RSAPrivateKey, unit_id: str, action: str, counter: int, content: bytes
) -> bytes:
    """The permit as it is pushed. `counter`: the unit's audit counter after the change."""
    digest = hashlib.sha256(content).digest()
    signature = private_key.sign(
        permit.message(unit_id, action, counter, digest), PKCS1v15(), SHA256()
    )
    fields = {
        "action": action,
        "counter": counter,
        "sha256": digest.hex(),
        "signature": signature.hex(),
    }
    return json.dumps(fields).encode()


def push_permit(link: Link, private_key: RSAPrivateKey, action: str, content: bytes) -> bool:
    """Permit one change on the unit; False if it has nothing under seal yet."""
    audit = link.ask(messages.INFO).get("audit")
    if not isinstance(audit, int) or link.unit is None:
        return False
    signed = make_permit(private_key, link.unit.unit_id, action, audit + 1, content)
    push(link, "permit", signed)
    return True
