# Receipts on paper, made from the journal: what is printed is what is recorded.
# MIT licence, (c) 2026 The Flagfall contributors.

import asyncio

from flagfall import receipt
from flagfall.journal import schema

_SEARCH = 200  # records back from the newest: far more than one trip writes


class Receipts:
    """Prints what is due. Without paper the receipt stays due and can be printed later."""

    def __init__(self, printer, configuration, meter, duty, booking, screen):
        self._printer = printer
        self._configuration = configuration
        self._meter = meter
        self._duty = duty
        self._booking = booking
        self._screen = screen
        self.fault = ""  # of the printer, until it has printed again

    async def due(self, copy=False):
        """Print the receipt of the trip that was just booked."""
        trip, payment = self._find(self._duty.trip)
        if trip is None:
            self._screen.say("No trip to print")
            return
        meter = self._meter
        price = meter.taximeter.unit_price
        c = self._configuration
        lines = receipt.lines(
            c.settings,
            trip,
            payment,
            price,
            meter.utc_offset_s,
            meter.minor_digits,
            copy,
            c.texts,
            c.campaigns,
            c.words,
        )
        if await self._put(lines):
            self._duty.receipt_due = False
            self._booking.event(schema.RECEIPT_PRINTED, "trip %d" % trip["trip"])
            self._meter.checkpoint()

    async def again(self):
        """The driver asks for it: the first print if that failed, else a copy."""
        await self.due(copy=not self._duty.receipt_due)

    async def shift(self):
        """The summary of the shift."""
        duty = self._duty
        digits = self._meter.minor_digits
        words = self._configuration.words
        cash = duty.shift_fares - duty.shift_card_amount - duty.shift_discounts
        lines = [
            receipt.centred(words("SHIFT %d", duty.shift)),
            receipt.row(words("Driver"), duty.driver),
            receipt.row(words("Trips"), "%d" % duty.shift_trips),
            receipt.row(words("Fares"), receipt.money(duty.shift_fares, digits)),
            receipt.row(
                words("By card (%d)", duty.shift_cards),
                receipt.money(duty.shift_card_amount, digits),
            ),
        ]
        if duty.shift_discounts:
            off = receipt.money(duty.shift_discounts, digits)
            lines.append(receipt.row(words("Paid by campaigns"), off))
        lines.append(receipt.row(words("Cash"), receipt.money(cash, digits)))
        await self._put(lines)

    async def _put(self, lines):
        printed = []
        for line in lines:
            printed.append(self._configuration.words.printed(line))
            await asyncio.sleep_ms(0)  # each looks into a file: the meter's tick goes between
        try:
            await self._printer.print(printed)
        except OSError as e:
            self.fault = str(e)
            self._screen.say("Printer: %s. PRINT tries again.", str(e))
            return False
        self.fault = ""
        return True

    def _find(self, number):
        """The TRIP record of trip `number` and its approved PAYMENT, as dicts or None."""
        trip = self._newest(schema.TRIP, number)
        payment = self._newest(schema.PAYMENT, number)
        if trip is None or (trip["paid"] == schema.CARD and payment is None):
            return self._search(number)
        return trip, payment

    def _newest(self, kind, number):
        """Its record if it is the newest of its kind, as it mostly is."""
        record = self._booking.journal.newest(kind)
        return None if record is None else _of_trip(record, number)

    def _search(self, number):
        journal = self._booking.journal
        trip = payment = None
        for record in journal.read(max(1, journal.last_seq - _SEARCH)):
            kind = getattr(record, "type", None)
            if kind == schema.TRIP:
                trip = _of_trip(record, number) or trip
            elif kind == schema.PAYMENT:
                payment = _of_trip(record, number) or payment
        return trip, payment


def _of_trip(record, number):
    """The fields of a TRIP or an approved PAYMENT of trip `number`, or None."""
    if schema.trip_of(record.body) != number:
        return None
    fields = schema.unpack(record.type, record.body)
    approved = fields.get("outcome", schema.APPROVED) in (schema.APPROVED, schema.TORN_DEBITED)
    return fields if approved else None
