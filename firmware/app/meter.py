# The meter's task: pulses and time into the taximeter, positions, checkpoints, trip records.
# MIT licence, (c) 2026 The Flagfall contributors.

import gc

from flagfall import campaign
from flagfall.journal import schema
from flagfall.meter import power
from flagfall.meter.taximeter import FOR_HIRE, HIRED, STOPPED, MeterError, Taximeter
from micropython import const

# A loss of power costs at most a second of a trip or of the totals: this, a tick, and a program.
_CHECKPOINT_MS = const(900)
_STILL_CHECKPOINT_MS = const(60000)  # not hired, and no wheel turns
_DIP_MS = const(20000)  # a loss of power up to this long resumes the trip (MID Annex IX 9)
_DAY_MS = const(86400000)
_INTERRUPTED = const(1)  # flag of a TRIP record


class Refused(Exception):
    """A key that does not fit the position; `args` are what the driver reads, as Screen.say takes
    them."""


class Meter:
    """Runs the taximeter and owns everything about the trip in progress."""

    def __init__(self, board, tariff, settings, duty, booking, checkpoints, screen, promote):
        self._board = board
        self._tariff = tariff
        self._next_tariff = None  # waits for the end of the trip, or for its day
        self._promote = promote  # makes the next tariff's file the one in force
        self._k = settings["k"]
        self._dip_ms = settings.get("dip_ms", _DIP_MS)
        self.currency = settings["currency"]
        self._duty = duty
        self._booking = booking
        self._checkpoints = checkpoints
        self._screen = screen
        self.taximeter = Taximeter(tariff, self._k, duty.totals)
        self._checkpoint_at = 0
        self._checkpoint_pulses = 0
        self.heap_peak = 0
        self.sensor_faults = 0  # times that the sensor gave nonsense
        self.campaigns = lambda: ()  # those in force

    @property
    def position(self):
        return self.taximeter.position

    @property
    def tariff(self):
        """The tariff in force."""
        return self._tariff

    @property
    def due(self):
        """What the passenger owes: fare and supplements, minor units."""
        return self.taximeter.total

    def discount(self):
        """(minor units, campaign) that a tap takes off this trip's due; (0, None): nothing."""
        t = self.taximeter
        return campaign.best(self.campaigns(), t.start_utc_s, t.fare, self.due)

    @property
    def utc_offset_s(self):
        """Seconds from UTC to the tariff's local time, now."""
        return self._tariff.local_time.offset_s(self._board.utc_s())

    @property
    def minor_digits(self):
        return self._tariff.minor_digits

    # Start after a loss of power.

    def recover(self):
        """Take up what the last checkpoint and the journal say. Call once, before `run`."""
        record = self._checkpoints.newest(schema.CHECKPOINT)
        if record is None:
            self._duty.replay(self._booking.journal)
            return
        fields = schema.unpack(schema.CHECKPOINT, record.body)
        snapshot = self._duty.unpack(fields["snapshot"])
        self._duty.replay(self._booking.journal)
        if fields["position"] == FOR_HIRE:
            return
        gap_ms = max(0, self._board.utc_s() - record.time) * 1000
        after = power.after_dip(record.time, self._board.utc_s(), self._dip_ms // 1000)
        text = "trip %d, %d s without power" % (self._duty.trip, gap_ms // 1000)
        try:
            self.taximeter.restore(
                snapshot, self._board.pulses(), self._board.ticks_ms(), min(gap_ms, _DAY_MS)
            )
        except MeterError as e:
            text = "%s: %s" % (text, e)
        self._booking.event(schema.POWER_LOST_IN_TRIP, text)
        if self._duty.paid == schema.CARD and not self._duty.trip_booked:
            # The payment was in flash and the power went before the trip's own record.
            self.paid(schema.CARD)
        elif after == power.CLOSE and not self._duty.trip_booked:
            self._book_trip(schema.OPEN, _INTERRUPTED)
            self._screen.say("Trip %d ended by loss of power", self._duty.trip)
        if self._duty.trip_booked and self._duty.paid == schema.OPEN:
            # Its record says that nobody paid: the trip is over, it cannot be taken up again.
            self.taximeter.interrupt()
        self.checkpoint()

    # The task.

    async def run(self):
        """Follow pulses and time for ever."""
        self._screen.refresh()
        while True:
            await self._board.tick()
            self.step()

    def step(self):
        """One tick: account for what has passed, and keep it."""
        board = self._board
        now = board.ticks_ms()
        self.taximeter.advance(board.pulses(), now)
        if self.taximeter.faults:
            self.sensor_faults += 1
            for code, value in self.taximeter.take_faults():
                self._booking.event(schema.SENSOR_FAULT, "%d: %d" % (code, value))
        if self._next_tariff is not None:
            self._activate()
        still = self.position != HIRED and board.pulses() == self._checkpoint_pulses
        if now - self._checkpoint_at >= (_STILL_CHECKPOINT_MS if still else _CHECKPOINT_MS):
            self.checkpoint()
            self.note_heap()
        self._screen.refresh()

    def note_heap(self):
        """Keep the most that was ever in use. This walks the whole heap: not at every tick."""
        self.heap_peak = max(self.heap_peak, gc.mem_alloc())

    def checkpoint(self):
        """Put the trip, totals and shift in flash, so that they survive the next second."""
        blob = self._duty.pack(self.taximeter.snapshot(), self._booking.journal.last_seq)
        body = schema.pack(schema.CHECKPOINT, position=self.position, snapshot=blob)
        self._checkpoints.append(schema.CHECKPOINT, body, self._board.utc_s())
        self._checkpoint_at = self._board.ticks_ms()
        self._checkpoint_pulses = self._board.pulses()

    # Positions (OIML R 21: For Hire, Hired, Stopped).

    def hire(self):
        if self.position == HIRED:
            return
        if self.position == STOPPED:
            if self._duty.paid != schema.OPEN:
                raise Refused("Trip is paid: press FOR HIRE")
            self.taximeter.resume(self._board.ticks_ms())
        else:
            self._duty.new_trip()
            self.taximeter.hire(self._board.ticks_ms(), self._board.utc_s())
        self._shown_and_kept()

    def stop(self):
        if self.position != HIRED:
            raise Refused("Not hired")
        self.taximeter.stop(self._board.ticks_ms())
        self._shown_and_kept()

    def supplement(self, minor):
        if self.position == FOR_HIRE or self._duty.paid != schema.OPEN:
            raise Refused("No open trip")
        self.taximeter.add_supplement(minor)
        self._shown_and_kept()

    def _shown_and_kept(self):
        """A key has its answer first: nothing is paid by it. Then it is made durable."""
        self._screen.refresh()
        self.checkpoint()

    def for_hire(self):
        """Clear the fare. An unpaid trip is recorded as such."""
        if self.position == HIRED:
            raise Refused("Press STOP first")
        if self.position == FOR_HIRE:
            return
        if not self._duty.trip_booked:
            self._book_trip(schema.OPEN, 0)
        self._clear()

    def paid(self, how):
        """The trip is paid: book it. `how` is schema.CASH or schema.CARD."""
        self._book_trip(how, 0)
        self.checkpoint()

    def change_tariff(self, tariff):
        """Take a tariff that is kept as the next one: in force now, or when the trip in progress
        has ended, or at its activation time."""
        self._next_tariff = tariff
        self._activate()

    def _activate(self):
        """Put the next tariff in force if its time has come. Only in For Hire."""
        tariff = self._next_tariff
        if self.position != FOR_HIRE or tariff.valid_from > self._board.utc_s():
            return
        self.taximeter.set_tariff(tariff)
        self._tariff, self._next_tariff = tariff, None
        self._promote()
        self._screen.say("Tariff %s version %d is in force", tariff.name, tariff.version)

    def trip_fields(self, paid, flags):
        """The TRIP record of the trip in progress."""
        t = self.taximeter
        fields = {
            "trip": self._duty.trip,
            "shift": self._duty.shift,
            "start_time": t.start_utc_s,
            "end_time": self._board.utc_s(),
            "distance_mm": t.distance_mm,
            "pulses": t.pulses_hired,
            "slow_ms": t.slow_ms,
            "hired_ms": t.hired_ms,
            "fare": t.fare,
            "supplements": t.supplements,
            "currency": self.currency,
            "paid": paid,
            "flags": flags,
            "tariff_version": self._tariff.version,
            "tariff": self._tariff.name,
        }
        if paid == schema.CARD:
            off, found = self.discount()
            if off:
                fields["discount"] = off
                fields["campaign"] = found["id"]
        return fields

    def _book_trip(self, paid, flags):
        fields = self.trip_fields(paid, flags)
        self._booking.trip(**fields)
        self._duty.trip_closed(paid, self.due, fields.get("discount", 0))

    def _clear(self):
        self.taximeter.clear(self._board.ticks_ms())
        # The checkpoint before the record: totals that hold the fare of a trip not yet cleared
        # would take it in a second time.
        self._shown_and_kept()
        self._booking.totals(self._duty.totals.pack())
        if self._next_tariff is not None:
            self._activate()
