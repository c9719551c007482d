# What waits for upload: approved taps that no receipt covers yet. Their count, sum and age limit
# what the unit may still approve offline.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.journal import schema
from flagfall.journal.record import Damage

_APPROVED = (schema.APPROVED, schema.TORN_DEBITED)


class Waiting:
    """Approved payments after the newest receipt; read from the journal when a receipt came."""

    def __init__(self, journal):
        self._journal = journal
        self._acked = -1
        self._count = self._amount = 0
        self._oldest = 0

    def add(self, seq, amount, time):
        """A payment was just approved as record `seq`."""
        if self._journal.acked_seq == self._acked and seq > self._acked:
            self._note(amount, time)

    def _note(self, amount, time):
        if not self._count:
            self._oldest = time
        self._count += 1
        self._amount += amount

    def total(self, now):
        """(payments, minor units, age of the oldest in seconds)."""
        if self._journal.acked_seq != self._acked:
            self._acked = self._journal.acked_seq
            self._count = self._amount = 0
            for record in self._journal.read(self._acked + 1):
                if isinstance(record, Damage) or record.type != schema.PAYMENT:
                    continue
                fields = schema.unpack(schema.PAYMENT, record.body)
                if fields["outcome"] in _APPROVED:
                    self._note(fields["amount"], record.time)
        return self._count, self._amount, max(0, now - self._oldest) if self._count else 0
