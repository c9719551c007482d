# What is wrong with the unit, in words that say what to do: the one place that decides which
# warning the driver sees, and when a part that is not well keeps cards away.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The gravest warning stands on the face until it is over; what the driver is told meanwhile
# (app/screen.py, `say`) has its own line. Parts that a board does not have cannot be wrong.

from flagfall.journal import schema
from flagfall.meter.taximeter import HIRED
from micropython import const

_CLOCK_FLOOR = const(820454400)  # 2026-01-01: no unit of this release is older
_NO_CARDS_MV = const(9500)  # of a 12 V vehicle; twice that in one of 24 V
_LOW_MV = const(11300)
_RISE_MV = const(400)  # so much above a limit the supply is well again: a starter makes it swing
_24_VOLTS_MV = const(17000)  # more than a 12 V vehicle ever has
_STEADY = const(3)  # seconds
_SENSOR_S = const(600)  # how long a sensor that gave nonsense is spoken of
_NO_PULSES_S = const(1200)  # hired for so long without a pulse: a long wait, or a broken cable
_NO_PULSES = const(4)  # code in the text of a SENSOR_FAULT; 1 to 3 are the taximeter's
_DISPLAY_S = const(15)  # it is tried once a second at least


class Warnings:
    """`look` once a second. `no_cards()`: why no card may be taken now, or None."""

    def __init__(self, board, files, duty, meter, payment, receipts, booking, screen):
        self._board = board
        self._files = files
        self._duty = duty
        self._meter = meter
        self._payment = payment
        self._receipts = receipts
        self._booking = booking
        self._screen = screen
        self._seal_open = False
        self._ignition = None
        self._mv = 0
        self._volts = 1  # 2 in a vehicle of 24 V
        self._weak = self._low = False
        self._well = 0  # seconds above the limits
        self._clock = None
        self._sensor_faults = 0
        self._sensor_until = 0
        self._pulses = 0
        self._pulses_s = 0  # when the last pulse came, or the hire began
        self._no_pulses = False
        self._fare_faults = 0
        self._dark_until = 0  # the fare display does not answer
        self._old_files = False
        self._files_looked_at = -1

    def look(self):
        """Look at everything once, book what has changed, show the gravest warning."""
        self._look_at_supply()
        self._look_at_seal()
        self._look_at_clock()
        self._look_at_ignition()
        self._look_at_sensor()
        self._look_at_fare_display()
        self.look_at_files()
        self._screen.warn(*self.gravest())

    def no_cards(self):
        """Why no card may be taken now, as Screen.say takes it, or None. Clock and journal are
        the payment's own."""
        if self._weak:
            return "Supply %s: start the engine. Take cash.", _volts(self._mv)
        if self._old_files:
            return ("Old files: the office must push. Take cash.",)
        return None

    def gravest(self):
        """The gravest warning: its text and what is to be filled in; empty: all is well."""
        journal = self._booking.journal
        if self._weak:
            return "Supply %s: start the engine, no cards", _volts(self._mv)
        if self._board.utc_s() < _CLOCK_FLOOR:
            return ("Clock lost: office must set it, no cards",)
        if self._old_files:
            return ("Old files: the office must push, no cards",)
        if not journal.room_for_card():
            return ("Memory full: have it pulled, no cards",)
        if self._dark_until:
            return ("Fare display dark: say the fare, no new trip, have it repaired",)
        if self._payment is not None and self._payment.fault:
            return "Card reader: %s. CARD tries again", self._payment.fault
        if self._receipts.fault:
            return "Printer: %s. PRINT tries again", self._receipts.fault
        if self._sensor_until:
            return ("Distance sensor: have it looked at today",)
        if self._no_pulses:
            return ("No distance for 20 min: if you drive, STOP and have the sensor looked at",)
        if self._clock:
            return ("Clock chip: have it repaired before the power goes",)
        if self._low:
            return "Supply %s low: have the battery tested", _volts(self._mv)
        if journal.nearly_full:
            return ("Memory 80 % full: have it pulled soon",)
        if self._seal_open:
            return ("Seal open: close the lid, tell the office",)
        if self._ignition is False and self._meter.position == HIRED:
            return ("Ignition off, the meter runs: STOP ends the ride",)
        return ()

    def _look_at_supply(self):
        measure = getattr(self._board, "supply_mv", None)
        if measure is None:
            return
        mv = self._mv = measure()
        if mv > _24_VOLTS_MV:
            self._volts = 2
        scale = self._volts
        if mv < _NO_CARDS_MV * scale:
            self._well = 0
            if not self._weak:
                self._weak = self._low = True
                # What has to be kept is kept now: it may be the last moment for it.
                self._meter.checkpoint()
                self._booking.event(schema.SUPPLY, "%d mV" % mv)
            return
        self._low = self._low and mv < (_LOW_MV + _RISE_MV) * scale or mv < _LOW_MV * scale
        if mv >= (_NO_CARDS_MV + _RISE_MV) * scale:
            self._well += 1
            if self._well >= _STEADY:
                self._weak = False

    def _look_at_seal(self):
        is_open = self._board.seal_open()
        if is_open != self._seal_open:
            self._seal_open = is_open
            self._booking.event(schema.SEAL, "opened" if is_open else "closed")

    def _look_at_clock(self):
        fault = getattr(self._board, "clock_fault", None)
        if fault != self._clock:
            self._clock = fault
            if fault:
                self._booking.event(schema.CLOCK_FAULT, fault)

    def look_at_files(self):
        """Old limits, keys and lists that somebody put back keep cards away until the office
        pushes its own."""
        if self._files.writes == self._files_looked_at:
            return
        self._files_looked_at = self._files.writes
        versions = self._files.versions()
        known = self._duty.file_versions
        older = self._duty.older_files(versions)
        if versions > known:
            self._meter.checkpoint()  # from here on nobody puts back what was before
        if older and not self._old_files:
            text = "versions come to %d, there were %d" % (versions, known)
            self._booking.event(schema.FILES_ROLLED_BACK, text)
        self._old_files = older

    def _look_at_ignition(self):
        ask = getattr(self._board, "ignition", None)
        if ask is None:
            return
        on = ask()
        if self._ignition and not on:
            self._meter.checkpoint()  # who switches off may pull the battery next
        self._ignition = on

    def _look_at_sensor(self):
        now = self._board.ticks_ms() // 1000
        if self._meter.sensor_faults != self._sensor_faults:
            self._sensor_faults = self._meter.sensor_faults
            self._sensor_until = now + _SENSOR_S
        if self._sensor_until and now > self._sensor_until:
            self._sensor_until = 0
        pulses = self._board.pulses()
        if pulses != self._pulses or self._meter.position != HIRED:
            self._pulses = pulses
            self._pulses_s = now
            self._no_pulses = False
        elif not self._no_pulses and now - self._pulses_s >= _NO_PULSES_S:
            self._no_pulses = True
            self._booking.event(schema.SENSOR_FAULT, "%d: %d" % (_NO_PULSES, now - self._pulses_s))

    def _look_at_fare_display(self):
        """A MAX7219 has no way to answer: only a person sees that it is dark."""
        now = self._board.ticks_ms() // 1000
        faults = getattr(self._board.display, "fare_faults", 0)
        if faults != self._fare_faults:
            self._fare_faults = faults
            if not self._dark_until:
                self._booking.event(schema.DISPLAY_FAULT, "fare display does not answer")
            self._dark_until = now + _DISPLAY_S
        elif self._dark_until and now > self._dark_until:
            self._dark_until = 0
            self._booking.event(schema.DISPLAY_FAULT, "fare display answers again")


def _volts(mv):
    return "%d.%d V" % (mv // 1000, mv % 1000 // 100)
