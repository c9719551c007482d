# What the unit is in the middle of: shift, trip, payment. Kept through a loss of power by a
# checkpoint in a ring of its own and a replay of the journal records that came after it.
# MIT licence, (c) 2026 The Flagfall contributors.

import struct

from flagfall.journal import schema
from flagfall.journal.record import Damage
from flagfall.meter.totals import SIZE, Totals

# trip, shift, paid, flags, journal seq, shift trips, fares, card payments, card amount, audit
_LAYOUT = "<IIBBIIIIII"
_FIXED = struct.calcsize(_LAYOUT)
_TORN = "<III8sB"  # seq, trip, shift, card tag, length of the context
_TORN_FIXED = struct.calcsize(_TORN)
# A payment that is about to debit: trip, shift, card tag, last digits, length of the context; then
# the kernel's context and the sealed card data.
INTENT = "<II8s4sB"
INTENT_FIXED = struct.calcsize(INTENT)


# PAYMENT outcomes that close a torn payment and say nothing of the one that is about to debit.
_OF_EARLIER = (schema.TORN_NOT_DEBITED, schema.TORN_GIVEN_UP)

# Each of these events is one change under the seal (app/seal.py).
_AUDITED = (
    schema.TARIFF_CHANGED,
    schema.TIME_SET,
    schema.KEYS_CHANGED,
    schema.K_CHANGED,
    schema.METROLOGY_CHANGED,
    schema.SETTINGS_CHANGED,
)


class Duty:
    """The unit's place in the day. `totals` are shared with the taximeter."""

    def __init__(self):
        self.totals = Totals()
        self.trip = 0  # number of the current or last trip
        self.shift = 0
        self.driver = ""  # empty: nobody is signed in
        self.paid = schema.OPEN  # of the trip that is Stopped
        self.trip_booked = False  # the TRIP record of the current trip is in flash
        self.receipt_due = False
        self.torn = []  # (seq, trip, shift, card tag, kernel's context packed), not resolved
        self.audit = 0  # changes under the seal: only grows
        self.intent = b""  # a payment whose debit was being asked for (app/payment.py)
        self.shift_trips = self.shift_fares = 0
        self.shift_cards = self.shift_card_amount = 0
        self.shift_discounts = 0  # what campaigns paid of the shift's fares
        self.wrong_tries = 0  # to sign in, since the last good one
        self.file_versions = 0  # the highest sum of versions that the office's files ever had
        self._seq = 0

    def pack(self, snapshot, last_seq):
        """The snapshot field of a CHECKPOINT: everything here, then the taximeter's own."""
        driver = self.driver.encode()
        flags = (1 if self.trip_booked else 0) | (2 if self.receipt_due else 0)
        if self.shift_discounts:
            flags |= 4
        if self.wrong_tries:
            flags |= 8
        if self.file_versions:
            flags |= 16
        head = struct.pack(
            _LAYOUT,
            self.trip,
            self.shift,
            self.paid,
            flags,
            last_seq,
            self.shift_trips,
            self.shift_fares,
            self.shift_cards,
            self.shift_card_amount,
            self.audit,
        )
        if self.shift_discounts:
            head += struct.pack("<I", self.shift_discounts)
        if self.wrong_tries:
            head += bytes((min(self.wrong_tries, 255),))
        if self.file_versions:
            head += struct.pack("<I", self.file_versions)
        parts = [head, bytes((len(driver),)), driver, self.totals.pack(), bytes((len(self.torn),))]
        for seq, trip, shift, tag, context in self.torn:
            parts.append(struct.pack(_TORN, seq, trip, shift, tag, len(context)))
            parts.append(context)
        parts.append(struct.pack("<H", len(self.intent)))
        parts.append(self.intent)
        parts.append(snapshot)
        return b"".join(parts)

    def unpack(self, blob):
        """Take a checkpoint's content; return the taximeter's snapshot."""
        (
            self.trip,
            self.shift,
            self.paid,
            flags,
            self._seq,
            self.shift_trips,
            self.shift_fares,
            self.shift_cards,
            self.shift_card_amount,
            self.audit,
        ) = struct.unpack(_LAYOUT, blob[:_FIXED])
        self.trip_booked = bool(flags & 1)
        self.receipt_due = bool(flags & 2)
        at = _FIXED
        self.shift_discounts = 0
        if flags & 4:
            self.shift_discounts = struct.unpack("<I", blob[at : at + 4])[0]
            at += 4
        self.wrong_tries = 0
        if flags & 8:
            self.wrong_tries = blob[at]
            at += 1
        self.file_versions = 0
        if flags & 16:
            self.file_versions = struct.unpack("<I", blob[at : at + 4])[0]
            at += 4
        n = blob[at]
        at += 1
        self.driver = blob[at : at + n].decode()
        at += n
        self.totals.raise_to(blob[at : at + SIZE])
        at += SIZE + 1
        for _ in range(blob[at - 1]):
            seq, trip, shift, tag, n = struct.unpack(_TORN, blob[at : at + _TORN_FIXED])
            at += _TORN_FIXED
            self.torn.append((seq, trip, shift, tag, blob[at : at + n]))
            at += n
        n = blob[at] | blob[at + 1] << 8
        at += 2
        self.intent = blob[at : at + n]
        return blob[at + n :]

    def replay(self, journal):
        """Apply the journal records that came after the checkpoint."""
        for record in journal.read(self._seq + 1):
            if isinstance(record, Damage):
                continue  # the host will name it
            try:
                self._apply(record)
            except schema.SchemaError:
                continue  # written by a newer release
        self._seq = journal.last_seq

    def _apply(self, record):
        type, body = record.type, record.body
        if type == schema.PAYMENT:
            fields = schema.unpack(type, body)
            if fields["outcome"] in (schema.APPROVED, schema.TORN_DEBITED):
                self.card_paid(fields["amount"])
            if fields["trip"] == self.trip:
                if fields["outcome"] == schema.TORN and self.intent:
                    self._tear(record.seq)
                if fields["outcome"] not in _OF_EARLIER:
                    self.intent = b""  # what came of it is in this record
            if fields["torn_seq"]:
                self.torn = [t for t in self.torn if t[0] != fields["torn_seq"]]
        elif type == schema.TRIP:
            fields = schema.unpack(type, body)
            self.trip = fields["trip"]
            amount = fields["fare"] + fields["supplements"]
            self.trip_closed(fields["paid"], amount, fields.get("discount", 0))
        elif type == schema.SHIFT:
            fields = schema.unpack(type, body)
            if fields["event"] == schema.SIGN_IN:
                self.sign_in(fields["shift"], fields["driver"])
            else:
                self.driver = ""
        elif type == schema.TOTALS:
            self.totals.raise_to(body[1:])
        elif type == schema.EVENT:
            code = schema.unpack(type, body)["code"]
            if code in _AUDITED:
                self.audit += 1
            self.receipt_due = self.receipt_due and code != schema.RECEIPT_PRINTED

    def _tear(self, seq):
        """The payment that was about to debit is torn, by record `seq`: its card may return."""
        trip, shift, tag, _, n = struct.unpack(INTENT, self.intent[:INTENT_FIXED])
        self.torn.append((seq, trip, shift, tag, self.intent[INTENT_FIXED : INTENT_FIXED + n]))

    def older_files(self, versions):
        """Whether the office's files, whose versions have this sum, are older than those there
        were: somebody put old ones back. The highest sum goes into the checkpoints."""
        self.file_versions = max(self.file_versions, versions)
        return versions < self.file_versions

    # Changes, each after its record is in flash.

    def sign_in(self, shift, driver):
        self.shift = shift
        self.driver = driver
        self.shift_trips = self.shift_fares = 0
        self.shift_cards = self.shift_card_amount = self.shift_discounts = 0

    def card_paid(self, amount):
        self.totals.add_card_payment(amount)
        self.shift_cards += 1
        self.shift_card_amount += amount
        self.paid = schema.CARD

    def trip_closed(self, paid, amount, discount=0):
        self.paid = paid
        self.trip_booked = True
        self.receipt_due = paid != schema.OPEN
        self.shift_trips += 1
        self.shift_fares += amount
        self.shift_discounts += discount

    def new_trip(self):
        self.trip += 1
        self.paid = schema.OPEN
        self.trip_booked = self.receipt_due = False
