# What to do next when the uplink does not work: the gentlest thing that has not failed too often.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Each rung costs more than the one below it. It never ends and never gives up: after the last rung
# it begins again, with waits that stay at their longest.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


SOCKET = const(0)  # dial the gateway again
PPP = const(1)  # hang up and dial the network again
RADIO = const(2)  # radio off and on (AT+CFUN)
POWER = const(3)  # the modem's power key
UNIT = const(4)  # start the unit anew; the caller does it when the vehicle is vacant

NAMES = ("socket", "ppp", "radio", "power", "unit")
_TRIES = (3, 3, 2, 3)  # failures on a rung that make one of the next

FIRST_WAIT_MS = const(5000)
LONGEST_WAIT_MS = const(900000)  # 15 minutes


class Ladder:
    """Counts failures; `failed` says what is to be done before the next try, `wait_ms` after how
    long. `random_bytes(n)` spreads the units of a fleet over each wait's upper half."""

    def __init__(self, random_bytes):
        self._random = random_bytes
        self._counts = [0, 0, 0, 0]
        self.failures = 0  # in a row

    def worked(self):
        """Something got through: all is forgotten."""
        self._counts = [0, 0, 0, 0]
        self.failures = 0

    def failed(self, rung):
        """A try failed on `rung` (SOCKET: the gateway; PPP: the call; RADIO: the network; POWER:
        the modem itself). Return the rung of what to do."""
        self.failures += 1
        for i in range(rung, UNIT):
            self._counts[i] += 1
            if self._counts[i] < _TRIES[i]:
                return i
            self._counts[i] = 0
        return UNIT

    def refused(self):
        """A try failed on something that no rung can mend: only the waits grow."""
        self.failures += 1

    def wait_ms(self):
        """Milliseconds to the next try, at random from the upper half of 5 s, 10 s ... 15 min."""
        doublings = min(max(self.failures - 1, 0), 8)
        longest = min(FIRST_WAIT_MS << doublings, LONGEST_WAIT_MS)
        return spread(longest, self._random)


def spread(longest_ms, random_bytes):
    """A wait between half of `longest_ms` and all of it."""
    half = longest_ms // 2
    drawn = random_bytes(2)
    return half + half * (drawn[0] | drawn[1] << 8) // 65535
