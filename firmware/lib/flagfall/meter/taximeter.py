# The taximeter: three operating positions, distance from pulses, time from ticks, one fare.
# MIT licence, (c) 2026 The Flagfall contributors.
#
#     meter = Taximeter(tariff, k, totals)     # k: 100 to 65,535 pulses a kilometre
#     meter.advance(pulses, now_ms)            # often, in every position
#     meter.hire(now_ms, utc_s, options)       # For Hire -> Hired
#     meter.stop(now_ms)                       # Hired -> Stopped: the final value stands
#     meter.resume(now_ms)                     # Stopped -> Hired
#     meter.clear(now_ms)                      # Stopped -> For Hire: the fare is booked, cleared
#     meter.add_supplement(minor)              # Hired or Stopped; never part of the fare
#     meter.interrupt()                        # power was away too long: close at the last fare
#     meter.position .fare .supplements .total .unit_price .distance_mm .slow_ms .hired_ms
#     meter.pulses_hired .slow .night .start_utc_s .options .steps .local_minute
#     meter.snapshot() -> SNAPSHOT_SIZE bytes; meter.restore(snapshot, pulses, now_ms, gap_ms)
#     meter.faults, meter.take_faults()        # (code, value) pairs: noticed and not charged
#
# `pulses` is the absolute count of the hardware counter and may start anywhere; `now_ms` is
# `time.ticks_ms()`. Call advance() with the latest count before a change of position.
#
# Where pulses lie between two calls. The pulses that a call reports are taken to have come
# evenly since the call before, the last of them at this call's `now_ms`. A pulse is so placed
# late by less than one interval of the calls, never early, and all time is charged to the
# millisecond. Calls every 10 ms and calls with stalls of 500 ms see the same distances and the
# same total times; only the moment at which the cab crossed the threshold is known more or less
# finely (flagfall.meter.threshold).
#
# Positions are those of OIML R 21 / MID Annex IX: For Hire (no fare), Hired, Stopped (final
# fare shown; neither time nor distance is charged, distance is still recorded).

from flagfall.meter.fare import Fare
from flagfall.meter.snapshot import SNAPSHOT_SIZE, pack_trip, unpack_trip  # noqa: F401
from flagfall.meter.steps import common_divisor
from flagfall.meter.tariff import FROZEN, MODE_D
from flagfall.meter.threshold import SpeedThreshold
from flagfall.meter.trip_clock import TripClock

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


FOR_HIRE = 0
HIRED = 1
STOPPED = 2

FAULT_OVERSPEED = 1  # more pulses than 250 km/h; value: pulses not charged
FAULT_COUNTER = 2  # the pulse counter went back; value: by how much
FAULT_CLOCK = 3  # ticks went back or leapt ahead; value: ms not charged

MIN_K = 100
MAX_K = 65535

_FOR_HIRE = const(0)
_HIRED = const(1)
_STOPPED = const(2)
_TICKS_MASK = const(0x3FFFFFFF)
_TICKS_HALF = const(0x20000000)
_LONGEST_GAP = const(10000)  # ms; the watchdog ends a stall before this
_MINUTE = const(60000)
_PULSE_COST = const(14400)  # 250 km/h is k / 14400 pulses a ms
_MAX_PULSES = const(65535)  # in one call, above any honest count
_MAX_FAULTS = const(8)
_MAX_SUPPLEMENTS = const(100000000)


class MeterError(Exception):
    """The operation does not fit the position, or a value is out of range."""


class Taximeter:
    def __init__(self, tariff, k, totals):
        if not MIN_K <= k <= MAX_K:
            raise MeterError("k must be %d to %d pulses/km, not %d" % (MIN_K, MAX_K, k))
        self.k = k
        self.totals = totals
        self._position = _FOR_HIRE
        self._gate = SpeedThreshold()
        self._clock = TripClock()
        self._gate_pulses = self._gate.pulses
        self._gate_time = self._gate.time
        self._add_distance = totals.add_distance
        self._account = self._piece
        self._pulse_whole = 10000000 // k  # 0.1 mm a pulse, and the rest in 1/k
        self._pulse_rest = 10000000 % k
        self._x_rest = 0
        self._count = None
        self._now = None
        self._budget_cap = _PULSE_COST * 2 + 500 * k
        self._budget = self._budget_cap
        self._faults = []
        self.faults_dropped = 0
        self._load(tariff)
        self._reset_trip()

    # --- read-only -------------------------------------------------------------------------------

    @property
    def position(self):
        return self._position

    @property
    def tariff(self):
        return self._tariff

    @property
    def fare(self):
        """Minor units, without supplements; 0 in For Hire."""
        return self._fare.shown if self._position else 0

    @property
    def supplements(self):
        """Minor units: entered by the driver, and fees that the tariff keeps out of the fare."""
        return self._supplements + self._fare.fee_supplements if self._position else 0

    @property
    def total(self):
        return self.fare + self.supplements

    @property
    def unit_price(self):
        """Minor units a kilometre, in force now."""
        return self._fare.unit_price

    @property
    def distance_mm(self):
        """Driven since the hire, in Hired and in Stopped."""
        return (self._pulses_hired + self._pulses_stopped) * 1000000 // self.k

    @property
    def pulses_hired(self):
        return self._pulses_hired

    @property
    def slow_ms(self):
        """Time below the threshold, as far as it is known to be so."""
        return self._slow_ms

    @property
    def hired_ms(self):
        """Time in Hired."""
        return self._hired_ms

    @property
    def slow(self):
        """True while the cab is below the threshold speed."""
        return self._position == _HIRED and self._gate.slow

    @property
    def night(self):
        """True while a surcharge on the distance price is in force."""
        return self._fare.surcharge_percent > 0

    @property
    def options(self):
        """Bit mask over `tariff.options`."""
        return self._fare.options if self._position else 0

    @property
    def start_utc_s(self):
        return self._start_utc_s

    @property
    def steps(self):
        """Fare steps completed since the hire, by distance and by time."""
        return self._fare.main.steps + self._fare.own.steps

    @property
    def flagfall(self):
        return self._fare.flagfall if self._position else 0

    @property
    def fees(self):
        """Fees of the trip that are part of the fare, minor units."""
        return self._fare.fees if self._position else 0

    @property
    def local_minute(self):
        """Local time in minutes of the day, while a trip is on."""
        return self._clock.minute

    @property
    def faults(self):
        """Faults since take_faults(): a list of (code, value)."""
        return self._faults

    def take_faults(self):
        faults = self._faults
        self._faults = []
        return faults

    # --- positions -------------------------------------------------------------------------------

    def set_tariff(self, tariff):
        """Put another tariff in force. Only in For Hire."""
        self._require(_FOR_HIRE, "change the tariff")
        self._load(tariff)

    def hire(self, now_ms, utc_s, options=0):
        """For Hire -> Hired. `utc_s` is UTC since 2000; from here on the trip's clock is ticks."""
        self._require(_FOR_HIRE, "hire")
        if options >> len(self._tariff.options) or options < 0:
            raise MeterError("the tariff has no such option: %d" % options)
        self._pass_time(now_ms)
        self._reset_trip()
        self._start_utc_s = utc_s
        self._edge = self._clock.begin(self._tariff.local_time, utc_s)
        self._fare.begin(self._clock.windows(self._tariff), options)
        self._set_threshold()
        self._gate.begin()
        self._position = _HIRED
        self.totals.add_hiring()

    def stop(self, now_ms):
        """Hired -> Stopped."""
        self._require(_HIRED, "stop")
        self._pass_time(now_ms)
        slow_ms = self._gate.settle()
        if slow_ms:
            self._slow(slow_ms, self._gate.slow_x)
        self._position = _STOPPED

    def resume(self, now_ms):
        """Stopped -> Hired: the driver stopped too early."""
        self._require(_STOPPED, "resume")
        self._pass_time(now_ms)
        self._gate.begin()
        self._position = _HIRED

    def clear(self, now_ms):
        """Stopped -> For Hire. Fare and supplements go into the totals."""
        self._require(_STOPPED, "clear")
        self._pass_time(now_ms)
        self._close()

    def interrupt(self):
        """Close a trip, in any position, at its last fare, and return to For Hire (MID IX 9)."""
        if self._position != _FOR_HIRE:
            self._close()

    def add_supplement(self, minor):
        """Add what the driver enters (luggage, booking), minor units."""
        if self._position == _FOR_HIRE:
            raise MeterError("no supplement without a hire")
        if not 0 <= minor <= _MAX_SUPPLEMENTS - self._supplements:
            raise MeterError("supplement out of range: %d" % minor)
        self._supplements += minor

    def _require(self, position, what):
        if self._position != position:
            raise MeterError("cannot %s in position %d" % (what, self._position))

    def _close(self):
        self.totals.add_trip(self.fare, self.supplements)
        self._position = _FOR_HIRE
        self._reset_trip()

    def _load(self, tariff):
        self._tariff = tariff
        self._fare = Fare(tariff)
        self._gate.inclusive = bool(tariff.flags & 1)
        self._mode_d = tariff.mode == MODE_D
        # Bound once: MicroPython looks a method up in the full table of the instance first.
        self._drive = self._fare.drive
        self._wait = self._fare.wait
        self._set_threshold()

    def _reset_trip(self):
        self._fare.begin(0, 0)
        self._supplements = 0
        self._pulses_stopped = 0
        self._pulses_hired = 0
        self._slow_ms = 0
        self._hired_ms = 0
        self._start_utc_s = 0
        self._edge = _MINUTE
        self._clock = TripClock()

    # --- power -----------------------------------------------------------------------------------

    def snapshot(self):
        """All that a trip is, and the totals, in SNAPSHOT_SIZE bytes."""
        return pack_trip(self)

    def restore(self, snapshot, pulses, now_ms, gap_ms):
        """Take up a trip after a power dip of `gap_ms`; the dip itself is not charged.

        `pulses` and `now_ms` are the first readings after the dip. Totals are raised to those of
        the snapshot. Raises MeterError, changing nothing, for a snapshot of another tariff or k.
        """
        self._require(_FOR_HIRE, "restore")
        if not 0 <= gap_ms <= 86400000:
            raise MeterError("a power dip of %d ms" % gap_ms)
        wrong = unpack_trip(self, snapshot)
        if wrong:
            raise MeterError(wrong)
        self._count = pulses
        self._now = now_ms
        self._budget = self._budget_cap
        while gap_ms >= self._edge:
            gap_ms -= self._edge
            self._next_minute()
        self._edge -= gap_ms

    # --- the hot path ----------------------------------------------------------------------------

    def advance(self, pulses, now_ms):
        """Account for all pulses and all time since the last call. Allocates nothing."""
        last = self._count
        if last is None:
            self._first_call(pulses, now_ms)
            last = pulses
        gap = (now_ms - self._now) & _TICKS_MASK
        self._now = now_ms
        if gap > _LONGEST_GAP:
            self._fault(FAULT_CLOCK, gap - _TICKS_MASK - 1 if gap >= _TICKS_HALF else gap)
            gap = 0
            self._budget = self._budget_cap
        count = pulses - last
        k = self.k
        budget = self._budget + gap * k
        x = 0
        position = self._position
        if count:
            self._count = pulses
            budget -= count * _PULSE_COST
            if count < 0 or budget < 0:
                count, budget = self._implausible(count, budget)
            if count:
                rest = self._x_rest + count * self._pulse_rest
                x = count * self._pulse_whole
                if rest >= k:
                    carry = rest // k
                    rest -= carry * k
                    x += carry
                self._x_rest = rest
                self._add_distance(x, position == _HIRED)
        cap = self._budget_cap
        self._budget = budget if budget < cap else cap
        if position:
            edge = self._edge - gap
            if edge <= 0:
                self._trip(count, x, gap)
            else:
                self._edge = edge
                if position == _HIRED:
                    self._account(count, x, gap)
                else:
                    self._pulses_stopped += count

    def _first_call(self, pulses, now_ms):
        self._count = pulses
        if self._now is None:
            self._now = now_ms

    def _pass_time(self, now_ms):
        """Account for the time up to a change of position."""
        if self._count is None:
            self._now = now_ms
        else:
            self.advance(self._count, now_ms)

    def _implausible(self, count, budget):
        """A counter that went back, or more than 250 km/h: nothing of it is taken.

        Return the pulses to take, none, and the budget from here on.
        """
        if count < 0:
            self._fault(FAULT_COUNTER, -count)
            return 0, self._budget
        if self._budget >= 0:
            self._fault(FAULT_OVERSPEED, count)
        return 0, budget if budget > -self._budget_cap else -self._budget_cap

    def _trip(self, count, x, gap):
        """A trip is on: `count` pulses, `x` 0.1 mm, in `gap` ms."""
        if gap >= self._edge:
            # A minute of local time begins within this piece: other prices may hold from there.
            before = self._edge
            done = count * before // gap if gap else 0
            done_x = x * done // count if count else 0
            self._piece(done, done_x, before)
            self._next_minute()
            self._trip(count - done, x - done_x, gap - before)
        else:
            self._edge -= gap
            self._piece(count, x, gap)

    def _piece(self, count, x, gap):
        if self._position != _HIRED:
            self._pulses_stopped += count
            return
        self._hired_ms += gap
        fare = self._fare
        if count:
            self._pulses_hired += count
            self._drive(x)
            if fare.changed:
                self._set_threshold()
            slow_ms = self._gate_pulses(count, x, gap)
        else:
            slow_ms = self._gate_time(gap)
        if self._mode_d:
            self._slow_ms += slow_ms
            self._wait(gap, 0)
        elif slow_ms:
            self._slow_ms += slow_ms
            self._wait(slow_ms, self._gate.slow_x)

    def _slow(self, ms, x):
        self._slow_ms += ms
        if not self._mode_d:
            self._fare.wait(ms, x)

    # --- local time ------------------------------------------------------------------------------

    def _next_minute(self):
        self._edge = _MINUTE
        self._clock.next_minute()
        windows = self._clock.windows(self._tariff)
        if windows != self._fare.windows and not self._tariff.flags & FROZEN:
            self._fare.set_windows(windows)
            self._set_threshold()

    def _set_threshold(self):
        """The threshold in force, as the time of one pulse at that speed."""
        fare = self._fare
        fare.changed = False
        if fare.pulse_t:
            num = 10000000 * fare.pulse_t
            den = self.k * fare.pulse_x
            divisor = common_divisor(num, den)
            self._gate.set_pulse_time(num // divisor, den // divisor)
        else:
            self._gate.set_pulse_time(0, 1)

    def _fault(self, code, value):
        if len(self._faults) < _MAX_FAULTS:
            self._faults.append((code, value))
        else:
            self.faults_dropped += 1
