# What the seal protects: k, tariff, settings, CA keys, the clock beyond its allowance. Each change
# needs the opened seal switch or a permit of the office, and moves a counter that only grows.
# MIT licence, (c) 2026 The Flagfall contributors.

import hashlib
import json
from binascii import unhexlify

from flagfall import permit
from flagfall.link.messages import Refused


class Seal:
    """Judges changes. A permit that was pushed waits in RAM for the change it allows."""

    def __init__(self, board, unit_id, public_key, duty, booking):
        self._board = board
        self._unit_id = unit_id
        self._public_key = public_key
        self._duty = duty
        self._booking = booking
        self._permit = None  # (action, counter, digest, signature)

    @property
    def counter(self):
        return self._duty.audit

    def take(self, blob):
        """A permit has come: {"action", "counter", "sha256", "signature"}, the last two in hex."""
        try:
            fields = json.loads(blob)
            self._permit = (
                fields["action"],
                int(fields["counter"]),
                unhexlify(fields["sha256"]),
                unhexlify(fields["signature"]),
            )
        except (ValueError, KeyError, TypeError):
            raise Refused("permit: action, counter, sha256 and signature are needed") from None

    def require(self, action, content):
        """Return if the change may be made; raise Refused if not. Changes nothing."""
        if self._board.seal_open():
            return
        if self._permit is None:
            raise Refused("the %s is under the seal: a permit of the office is needed" % action)
        given, counter, digest, signature = self._permit
        if (given, counter) != (action, self._duty.audit + 1):
            raise Refused(
                "the permit is for %s, change %d; this is %s, change %d"
                % (given, counter, action, self._duty.audit + 1)
            )
        if digest != hashlib.sha256(content).digest():
            raise Refused("the permit is for another %s than this one" % action)
        try:
            permit.check(self._public_key, signature, self._unit_id, action, counter, digest)
        except permit.PermitError as e:
            raise Refused(str(e)) from None

    def changed(self, code, text):
        """The change is made: count it, and put it in the audit trail."""
        self._permit = None
        self._duty.audit += 1
        self._booking.event(code, "audit %d: %s" % (self._duty.audit, text))
