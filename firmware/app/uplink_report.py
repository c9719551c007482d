# What the uplink tells others: the office in `unit info` and events, the driver only what matters.
# MIT licence, (c) 2026 The Flagfall contributors.

from flagfall.clock import iso8601
from flagfall.journal import schema
from flagfall.meter.taximeter import FOR_HIRE
from micropython import const

_DAY_S = const(86400)
_TELL_AGAIN_S = const(21600)  # the same trouble is booked four times a day at most


class Report:
    """Figures since power-up, and those of the day (UTC). `state` is what is being done now."""

    def __init__(self, board, booking, screen, meter):
        self._board = board
        self._booking = booking
        self._screen = screen
        self._meter = meter
        self.state = "idle"
        self.why = ""  # the last failure, until something worked
        self.clock = ""  # why the network's time was not taken
        self.modem = ""
        self.signal_dbm = None
        self.handshake_ms = 0
        self.failures = 0  # in a row
        self.remedies = [0, 0, 0, 0, 0]  # how often each rung of the ladder was taken
        self.last_s = 0  # when all was last said
        self.calls = self.up = self.down = 0  # of the day
        self._day = board.utc_s() // _DAY_S
        self._told_s = None
        self._told = ""

    def figures(self):
        """What INFO answers as `uplink`."""
        return {
            "state": self.state,
            "why": self.why,
            "modem": self.modem,
            "signal_dbm": self.signal_dbm,
            "failures": self.failures,
            "remedies": self.remedies,
            "last": self.last_s,
            "calls_today": self.calls,
            "up_today": self.up,
            "down_today": self.down,
            "handshake_ms": self.handshake_ms,
            "clock": self.clock,
        }

    def carried(self, up, down):
        """A call has ended that carried so many bytes."""
        self.up += up
        self.down += down

    def day(self):
        """Book the day's bytes when it is over."""
        today = self._board.utc_s() // _DAY_S
        if today == self._day:
            return
        if self.calls:
            date = iso8601(self._day * _DAY_S)[:10]
            text = "%s: %d calls, %d up, %d down" % (date, self.calls, self.up, self.down)
            self._booking.event(schema.UPLINK, text)
        self._day = today
        self.calls = self.up = self.down = 0

    def worked(self):
        self.why = ""
        self.failures = 0
        self.last_s = self._board.utc_s()

    def failed(self, text, failures, must_be_mended):
        """A try came to nothing. No network is normal; what somebody must mend is booked and
        shown to the driver, once."""
        self.why = text[:100]
        self.failures = failures
        if not must_be_mended:
            return
        now = self._board.utc_s()
        if text == self._told and abs(now - self._told_s) < _TELL_AGAIN_S:
            return
        if text != self._told and self._meter.position == FOR_HIRE:
            self._screen.say("4G: %s. Tell the workshop", text.split(":")[0])
        self._told, self._told_s = text, now
        self._booking.event(schema.UPLINK, text)
