# A permit: the office's signature under one change of what the seal protects.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Changing k, tariff, settings, CA keys or (beyond the week's allowance) the clock needs the opened
# seal switch or a permit (MID Annex IX 14). A permit names the unit, the action, the number that
# the unit's audit counter will have after it, and the SHA-256 of what is put in force, so that it
# serves once, for this unit and this content only. Signature: RSASSA-PKCS1-v1_5 with SHA-256 (RFC
# 8017 8.2) by the fleet's RSA key, whose public half the unit got when it was provisioned.

from flagfall import signature as signing

TARIFF = "tariff"
CONFIG = "config"
CAPK = "capk"
K = "k"
TIME = "time"
METROLOGY = "metrology"  # other metrology files; what is signed for is their hash


class PermitError(Exception):
    """The permit does not allow this. The text says why."""


def message(unit_id, action, counter, digest):
    """What is signed: texts ended by zero bytes, the counter as u32 little-endian, 32 bytes."""
    return b"".join(
        (
            b"flagfall permit\0",
            unit_id.encode(),
            b"\0",
            action.encode(),
            b"\0",
            counter.to_bytes(4, "little"),
            digest,
        )
    )


def check(public_key, signature, unit_id, action, counter, digest):
    """Raise PermitError unless `signature` permits the action. `public_key` is (n, e)."""
    size = signing.size(public_key)
    if len(signature) != size:
        raise PermitError("the permit's signature has %d bytes, not %d" % (len(signature), size))
    if not signing.good(public_key, signature, message(unit_id, action, counter, digest)):
        raise PermitError("the permit is not the office's for this unit, change and number")
