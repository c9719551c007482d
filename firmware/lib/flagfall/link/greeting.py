# The handshake on the unit's side: challenges given, proofs checked, wrong tries slowed.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.hmac_sha256 import equal

from . import messages
from .proof import NO_PROOF, NONCE, host_proof, session_key, unit_proof

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


LONGEST_WAIT_S = const(60)  # after a wrong key: 1, 2, 4 ... up to this many seconds
_EVENT_WRONG_KEY = const(9)


class WrongKey(Exception):
    """The host's proof is not that of the unit's link key."""


class Waiting(Exception):
    """A wrong key was tried a moment ago; str() says how long proofs are still refused."""


class Greeting:
    """One challenge at a time, good for one try.

    `wrong_tries` counts since power-up or the last right key. Each 1st, 2nd, 4th, 8th ... is
    reported as an event, so that who keeps trying cannot fill the journal.
    """

    def __init__(self, unit, random_bytes):
        self._unit = unit
        self._random = random_bytes
        self._host_nonce = None  # of the challenge that is open
        self._unit_nonce = None
        self._used = None  # host nonce of the session in force
        self.wrong_tries = 0
        self._tried_at = 0

    @property
    def open(self):
        """Whether a challenge waits for its proof."""
        return self._host_nonce is not None

    def session_ended(self):
        """No session is in force any more: any HELLO is a new one."""
        self._used = None

    def challenge(self, host_nonce):
        """The payload of CHALLENGE, or None for a HELLO that belongs to the session in force."""
        if host_nonce == self._used:
            return None
        if host_nonce != self._host_nonce:
            self._unit_nonce = self._random(NONCE)
            self._host_nonce = host_nonce
        unit = self._unit
        state = messages.FACTORY
        proof = NO_PROOF
        unit_id = unit.unit_id or ""
        if unit.link_key is not None:
            state = messages.PROVISIONED
            proof = unit_proof(unit.link_key, host_nonce, self._unit_nonce, unit_id.encode())
        return messages.pack_challenge(
            self._unit_nonce, state, proof, unit.model, unit.version, unit_id
        )

    def prove(self, proof):
        """Check the host's proof; return the session key. Raises WrongKey or Waiting."""
        self._check_wait()
        unit = self._unit
        key = unit.link_key
        host_nonce, unit_nonce = self._host_nonce, self._unit_nonce
        self._host_nonce = None
        if not equal(proof, host_proof(key, host_nonce, unit_nonce, unit.unit_id.encode())):
            self._count()
            raise WrongKey("the host's proof is not that of this unit's key")
        self.wrong_tries = 0
        self._used = host_nonce
        return session_key(key, host_nonce, unit_nonce)

    def _check_wait(self):
        if not self.wrong_tries:
            return
        wait = LONGEST_WAIT_S if self.wrong_tries > 6 else 1 << (self.wrong_tries - 1)
        left = self._tried_at + min(wait, LONGEST_WAIT_S) - self._unit.now()
        # A clock that was set back must not lock the unit for longer than the limit.
        if 0 < left <= LONGEST_WAIT_S:
            raise Waiting("a wrong key was tried: wait %d s" % left)

    def _count(self):
        self.wrong_tries += 1
        self._tried_at = self._unit.now()
        n = self.wrong_tries
        if n & (n - 1) == 0:
            self._unit.event(_EVENT_WRONG_KEY, "wrong key on the link, tries: %d" % n)
