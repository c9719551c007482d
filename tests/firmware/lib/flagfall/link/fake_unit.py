# A unit for the link's tests: a real journal on flash in RAM, everything else noted down.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.hmac_sha256 import hmac_sha256
from flagfall.journal.ring import Journal
from flagfall.link.messages import Refused
from flagfall.link.proof import journal_key, link_key
from nor_flash import NorFlash

UNIT_KEY = b"a test unit's key, 32 bytes long"
UNIT_ID = "TEST-1"
EVENT = 5


class FakeUnit:
    """A provisioned unit, or with `unit_key=None` one in factory state. `clock` is its now()."""

    model = "fake"
    version = "0.0 test"

    def __init__(self, unit_key=UNIT_KEY, sectors=64):
        self.unit_id = None if unit_key is None else UNIT_ID
        self.link_key = None if unit_key is None else link_key(unit_key)
        self.flash = NorFlash(sectors * 4096)
        self.journal = Journal(self.flash, journal_key(unit_key or b"none"))
        self.journal.mount(1)
        self.clock = 1000
        self.events = []
        self.pushed = []
        self.provisioned = []
        self.acknowledged = []
        self.times = []

    def append(self, count, size=90):
        """Put `count` EVENT records in the journal, with bodies of about `size` bytes."""
        for _ in range(count):
            n = self.journal.last_seq + 1
            text = (b"record %d " % n) * (size // 8 + 1)
            text = text[: max(1, (size * (n % 5 + 2)) // 6)]
            body = b"\x01\x01\x00" + bytes((min(len(text), 255),)) + text[:255]
            self.journal.append(EVENT, body, self.clock)

    def now(self):
        return self.clock

    def info(self):
        return {"unit_id": self.unit_id, "last_seq": self.journal.last_seq}

    def set_time(self, t):
        was = self.clock
        self.clock = t
        self.times.append(t)
        return was

    def push(self, kind, blob):
        if kind == "nonsense":
            raise Refused("this makes no sense")
        self.pushed.append((kind, bytes(blob)))

    def selftest(self, part):
        if part != "reader":
            raise Refused("no such part")
        return {"state": "pass", "detail": part}

    def files(self):
        return {"kinds": {}}

    def provision(self, message):
        if "unit_id" not in message:
            raise Refused("unit_id is missing")
        self.provisioned.append(message)
        self.unit_id = message["unit_id"]
        self.link_key = link_key(bytes.fromhex(message["unit_key"]))

    def event(self, code, text):
        self.events.append((code, text))


class Stream:
    """Repeatable random bytes."""

    def __init__(self, seed):
        self._seed = seed
        self._n = 0

    def __call__(self, n):
        self._n += 1
        return hmac_sha256(self._seed, b"%d" % self._n)[:n]

    def below(self, limit):
        """An integer from 0 to limit - 1."""
        b = self(4)
        return (b[0] | b[1] << 8 | b[2] << 16) % limit
