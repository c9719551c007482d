# A counter of fare steps: distance and time fill a step, a full step adds its amount to the fare.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# One step is `size` units, chosen so that 0.1 mm and 1 ms are whole numbers of units at the
# prices in force (or multiples of 1/den where that would need more than `limit` units; the rest
# is carried). So progress is exact, whatever the pieces in which it arrives. When the prices
# change within a step, the fraction of the step that is done stays done.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


_MAX_SIZE = const(1 << 29)


def common_divisor(a, b):
    """The greatest common divisor; allocates nothing."""
    while b:
        a, b = b, a % b
    return a


class StepCounter:
    """`fill` of `size` units in the step begun, `amount` minor units a step, `steps` completed."""

    def __init__(self):
        self.fill = 0
        self.size = 1
        self.amount = 0
        self.steps = 0
        self.den = 1
        self.x_num = 0  # units * den for 0.1 mm
        self.t_num = 0  # units * den for 1 ms
        self.x_rest = 0
        self.t_rest = 0
        self.limit = _MAX_SIZE  # of `size`; lower where a fill begins several steps below 0

    def set_prices(self, step, x_price, x_per, t_price, t_per):
        """Set the amount of a step and the prices: x_price for x_per 0.1 mm, t_price for t_per ms.

        All are integers; prices may carry a common factor with `per` (percentages do).
        """
        x_per *= step
        t_per *= step
        divisor = common_divisor(x_price, x_per)
        x_price //= divisor
        x_per //= divisor
        divisor = common_divisor(t_price, t_per)
        t_price //= divisor
        t_per //= divisor
        size = x_per // common_divisor(x_per, t_per) * t_per
        x_num = x_price * (size // x_per)
        t_num = t_price * (size // t_per)
        den = size // self.limit + 1
        most = den + 64
        while size % den and den < most:
            den += 1  # one that divides the step is exact; else it is wrong by 1 in 2^20 or less
        size //= den
        if size != self.size:
            self.fill = self.fill * size // self.size
        self.x_rest = self.x_rest * den // self.den
        self.t_rest = self.t_rest * den // self.den
        self.size = size
        self.amount = step
        self.x_num = x_num
        self.t_num = t_num
        self.den = den

    def add_x(self, x):
        """Distance, 0.1 mm; negative takes back what was only assumed."""
        if self.den == 1:
            self.fill += x * self.x_num
        else:
            rest = self.x_rest + x * self.x_num
            units = rest // self.den
            self.x_rest = rest - units * self.den
            self.fill += units

    def add_t(self, ms):
        """Time, ms."""
        if self.den == 1:
            self.fill += ms * self.t_num
        else:
            rest = self.t_rest + ms * self.t_num
            units = rest // self.den
            self.t_rest = rest - units * self.den
            self.fill += units

    def begun(self):
        """True when something of the next step has been used."""
        return self.fill > 0 or (self.fill == 0 and (self.x_rest > 0 or self.t_rest > 0))
