# From charged distance and time to the fare, under the tariff rows that hold at the moment.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# fare = flagfall + completed steps (+ the step begun, where steps are charged in advance) + fees
# of the trip, less the discount on the part above a level, rounded. Supplements are kept apart
# (MID Annex IX 11). Distances are in 0.1 mm, times in ms, money in minor units.

from flagfall.meter import tariff as form
from flagfall.meter.steps import StepCounter, common_divisor

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_NEVER = const(1 << 29)


class Fare:
    """The fare of one trip. `shown` is what the passenger sees; it never falls."""

    def __init__(self, tariff):
        self.tariff = tariff
        self.main = StepCounter()  # distance, and time where it shares the steps
        self.main.limit = self._initial_limit()
        self.own = StepCounter()  # time with steps of its own
        self.own_time = bool(tariff.times) and tariff.times[0][7] > 0
        self.takes_back = tariff.mode == form.MODE_S
        self.windows = 0
        self.options = 0
        self.shown = 0
        self.unit_price = 0
        self.surcharge_percent = 0
        self.pulse_x = 1
        self.pulse_t = 0
        self.changed = True  # the prices were chosen anew, and with them the threshold
        self.unpaid = False  # True while the step in progress is to be charged when it begins
        self.begin(0, 0)

    def _initial_limit(self):
        """Units a step may have, so that the steps that an initial distance covers stay small."""
        percent = 100
        for row in self.tariff.surcharges:
            percent += max(0, row[4])
        steps = 0
        for row in self.tariff.flagfalls:
            if row[5]:
                for rate in self.tariff.distances:
                    covered = row[4] * rate[5] * percent // (rate[6] * rate[7] * 100)
                    steps = max(steps, covered + 1)
        return max(65536, _NEVER // (steps + 1))

    # --- the trip -----------------------------------------------------------------------------

    def begin(self, windows, options):
        """Start a trip with these windows (bit mask) and options in force."""
        tariff = self.tariff
        self.windows = windows
        self.options = options
        self.metered = 0  # flagfall and completed steps
        self.flagfall = 0
        self.fees = 0
        self.fee_supplements = 0
        self.fees_done = 0
        self.shown = 0
        self.free_ms = tariff.free_ms
        self.free_x = 0
        self.beyond_x = 0
        self.hired_x_km = 0
        self.hired_x = 0
        self.next_x = 0
        self.span = 0  # next_x when the prices were last chosen
        self.next_fare = _NEVER
        for counter in (self.main, self.own):
            counter.fill = counter.steps = counter.x_rest = counter.t_rest = 0
        row = self._last(tariff.flagfalls)
        self.flagfall = (row[3] * (100 + self._percent(form.ON_FLAGFALL)) + 50) // 100
        self.metered = self.flagfall
        initial = 100 + self._percent(form.ON_INITIAL)
        if row[5]:
            # Initial distance or time, whichever mixture comes first: steps that cost nothing.
            main = self.main
            self._select()  # the price of a step
            main.fill = -(row[4] * 100 // initial * main.x_num // main.den)
        else:
            self.free_x = row[4] * 100 // initial
        self._select()
        self._charge_fees(True)
        self._show()

    def resume(self, state):
        """Take up a trip from the words of a snapshot, metered ... own.steps."""
        (
            self.metered,
            self.flagfall,
            self.fees,
            self.fee_supplements,
            self.fees_done,
            self.shown,
            self.free_ms,
            self.free_x,
            self.beyond_x,
            self.hired_x_km,
            self.hired_x,
        ) = state[:11]
        self.next_x = self.span = 0
        self._select()
        main = self.main
        own = self.own
        main.fill, main.x_rest, main.t_rest, main.steps = state[11:15]
        own.fill, own.t_rest, own.steps = state[15:18]
        self._show()

    def set_windows(self, windows):
        """The time of day, the day or the date has changed what holds."""
        if windows != self.windows and not self.tariff.flags & form.FROZEN:
            self.windows = windows
            self._select()
            self._charge_fees(False)
            self._show()

    def drive(self, x):
        """Charge a distance of `x` 0.1 mm."""
        ahead = self.next_x - x
        if ahead <= 0:
            x = self._cross_bands(x)
            ahead = self.next_x - x
        self.next_x = ahead
        if self.free_x:
            x = self._use_free(x)
        if self.takes_back:
            beyond = self.beyond_x + x
            self.beyond_x = beyond if beyond < _NEVER else _NEVER
        main = self.main
        if main.den == 1:
            fill = main.fill + x * main.x_num
            main.fill = fill
        else:
            main.add_x(x)
            fill = main.fill
        if fill >= main.size:
            self._complete_steps(True)
        elif self.unpaid and fill >= 0:
            self._show()

    def wait(self, ms, x=0):
        """Charge `ms` of time; in mode S the `x` driven in it is not charged as distance."""
        if x and self.takes_back:
            beyond = x if x < self.beyond_x else self.beyond_x
            self.beyond_x -= beyond
            self.free_x += x - beyond
            self.main.add_x(-beyond)
        if self.free_ms:
            free = ms if ms < self.free_ms else self.free_ms
            self.free_ms -= free
            ms -= free
        if self.own_time:
            self._wait_own(ms)
            return
        main = self.main
        if main.den == 1:
            fill = main.fill + ms * main.t_num
            main.fill = fill
        else:
            main.add_t(ms)
            fill = main.fill
        if fill >= main.size:
            self._complete_steps(False)
        elif self.unpaid and fill >= 0:
            self._show()

    def _wait_own(self, ms):
        """Time with steps of its own."""
        own = self.own
        own.add_t(ms)
        while own.fill >= own.size:
            own.fill -= own.size
            own.steps += 1
            self.metered += own.amount
            if self.metered >= self.next_fare:
                self._select()
        self._show()

    def _cross_bands(self, x):
        """Charge up to where a price band begins, as often as one does; return what is left."""
        while x >= self.next_x:
            part = self.next_x
            x -= part
            self.next_x = _NEVER  # so that this piece runs to the edge under the old price
            self.span += _NEVER - part
            self.drive(part)
            self._select()
        return x

    def _use_free(self, x):
        """The initial distance costs nothing; return what lies beyond it."""
        free = self.free_x
        if x <= free:
            self.free_x = free - x
            return 0
        self.free_x = 0
        return x - free

    def note_distance(self):
        """Bring `hired_x` up to date: between two choices of price only `next_x` is counted."""
        x = self.hired_x + self.span - self.next_x
        self.span = self.next_x
        while x >= 10000000:
            x -= 10000000
            self.hired_x_km += 1
        self.hired_x = x

    def _complete_steps(self, by_distance):
        main = self.main
        while main.fill >= main.size:
            rest = main.fill - main.size
            main.fill = 0
            main.steps += 1
            self.metered += main.amount
            if self.metered >= self.next_fare:
                # What is left over was driven or waited at the new price.
                old_num = main.x_num if by_distance else main.t_num
                old_den = main.den
                self._select()
                num = main.x_num if by_distance else main.t_num
                if old_num:
                    rest = rest * num * old_den // (old_num * main.den)
            main.fill = rest
        self._show()

    # --- what holds ---------------------------------------------------------------------------

    def _holds(self, row):
        windows = row[0]
        return (
            (not windows or windows & self.windows)
            and row[1] & self.options == row[1]
            and not row[2] & self.options
        )

    def _last(self, rows):
        found = None
        for row in rows:
            if self._holds(row):
                found = row
        return found

    def _percent(self, what):
        percent = 0
        for row in self.tariff.surcharges:
            if row[3] & what and self._holds(row):
                percent += row[4]
        cap = self.tariff.cap_percent
        return cap if cap and percent > cap else percent

    def _price(self, rows):
        """The last row that holds here; notes where the next one may begin."""
        found = None
        km = self.hired_x_km
        part = self.hired_x
        for row in rows:
            if not self._holds(row):
                continue
            row_km = row[3] // 10000000
            row_part = row[3] - row_km * 10000000
            if row_km > km or (row_km == km and row_part > part):
                if row_km - km < 50:
                    ahead = (row_km - km) * 10000000 + row_part - part
                    if ahead < self.next_x:
                        self.next_x = ahead
            elif row[4] > self.metered:
                if row[4] < self.next_fare:
                    self.next_fare = row[4]
            else:
                found = row
        return found

    def _select(self):
        """Find the prices that hold and set the counters to them."""
        tariff = self.tariff
        self.changed = True
        self.note_distance()
        self.next_x = 500000000  # look again after 50 km at the latest
        self.next_fare = _NEVER
        drive = self._price(tariff.distances)
        wait = self._price(tariff.times)
        self.span = self.next_x
        percent = 100 + self._percent(form.ON_DISTANCE)
        self.surcharge_percent = percent - 100
        x_price = 0 if tariff.mode == form.MODE_WAITING else drive[5] * percent
        t_price = 0
        t_per = 1
        if wait:
            t_price = wait[5] * (100 + self._percent(form.ON_TIME))
            t_per = wait[6]
        if self.own_time:
            self.main.set_prices(drive[7], x_price, drive[6] * 100, 0, 1)
            if wait:
                self.own.set_prices(wait[7], 0, 1, t_price, t_per * 100)
            else:
                self.own.t_num = 0
        else:
            self.main.set_prices(drive[7], x_price, drive[6] * 100, t_price, t_per * 100)
        self.unit_price = (x_price * 100000 + drive[6] // 2) // drive[6]
        # The cross-over speed: where time and distance cost the same, as ms for 0.1 mm.
        if tariff.threshold_m_h:
            self.pulse_t = 360
            self.pulse_x = tariff.threshold_m_h
        else:
            time_of_x = x_price * t_per
            price_of_x = t_price * drive[6]
            divisor = common_divisor(time_of_x, price_of_x) or 1
            self.pulse_t = time_of_x // divisor
            self.pulse_x = price_of_x // divisor
        if not t_price and not tariff.threshold_m_h:
            self.pulse_t = 0
            self.pulse_x = 1

    def _charge_fees(self, at_hire):
        bit = 1
        for row in self.tariff.fees:
            if not self.fees_done & bit and (at_hire or row[5]) and self._holds(row):
                self.fees_done |= bit
                if row[4] == form.FEE_IN_FARE:
                    self.fees += row[3]
                else:
                    self.fee_supplements += row[3]
            bit <<= 1

    # --- what is shown ------------------------------------------------------------------------

    def begun_amount(self):
        """What the steps that have begun cost, where they are charged in advance."""
        flags = self.tariff.flags
        amount = 0
        self.unpaid = False
        if flags & form.PRECHARGE:
            if self.main.begun():
                amount = self.main.amount
            else:
                self.unpaid = True
        if flags & form.PRECHARGE_TIME and self.own.begun():
            amount += self.own.amount
        return amount

    def _show(self):
        tariff = self.tariff
        fare = self.metered + self.begun_amount()
        above = fare - tariff.discount_above
        if tariff.discount_percent and above > 0:
            fare -= (above * tariff.discount_percent + 99) // 100
        fare += self.fees
        unit = tariff.round_to
        if unit > 1:
            rule = tariff.round_rule
            if rule == form.ROUND_UP:
                fare += unit - 1
            elif rule == form.ROUND_NEAREST:
                fare += unit // 2
            fare -= fare % unit
        if fare > self.shown:
            self.shown = fare
