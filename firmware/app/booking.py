# Where a thing becomes durable: every record of the unit is appended here.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.journal import schema
from flagfall.journal.ring import JournalFull


class Booking:
    """Appends typed records to the journal, with the time of the board's clock.

    A record that finds no room is counted in `lost`, except a payment: that raises, because
    nothing may be shown as paid that is not in flash.
    """

    def __init__(self, journal, utc_s):
        self.journal = journal
        self._utc_s = utc_s
        self.lost = 0
        self.news = journal.last_seq  # the newest record that is worth a call

    def payment(self, **fields):
        """Append a PAYMENT; return its seq. Raises JournalFull."""
        return self._worth_a_call(self._append(schema.PAYMENT, fields))

    def trip(self, **fields):
        return self._worth_a_call(self._or_count(schema.TRIP, fields))

    def shift(self, **fields):
        return self._worth_a_call(self._or_count(schema.SHIFT, fields))

    def event(self, code, text):
        return self._or_count(schema.EVENT, {"code": code, "text": text[:100]})

    def totals(self, packed):
        """Append the totals, packed as docs/formats.md section 3 says."""
        return self._or_count(schema.TOTALS, schema.unpack(schema.TOTALS, b"\x01" + packed))

    def key(self, body):
        """Append the KEY record of this epoch (its body from the sealer)."""
        return self.journal.append(schema.KEY, body, self._utc_s())

    def key_ahead(self):
        """What is sealed now may be recorded after a restart: its KEY record is near."""
        self.journal.key_ahead(self._utc_s())

    def key_of(self, sealed):
        """After a restart: repeat the KEY record of what the epoch before sealed, so that the
        sector in which it is recorded can be opened alone."""
        record = self.journal.newest(schema.KEY) if sealed else None
        if record is not None and record.body[1:3] == sealed[:2]:
            self.key(record.body)

    def _worth_a_call(self, seq):
        if seq is not None:
            self.news = seq
        return seq

    def _append(self, type, fields):
        fields.pop("version", None)
        return self.journal.append(type, schema.pack(type, **fields), self._utc_s())

    def _or_count(self, type, fields):
        try:
            return self._append(type, fields)
        except JournalFull:
            self.lost += 1
            return None
