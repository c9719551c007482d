# The self-test: one part of the unit at a time, asked for over the link, never during a trip.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# A part's test is a task of its own: the first question begins it, the same question again says
# how far it is, the question after its end takes the result away.

import asyncio

from app.keys import KEYS
from flagfall.journal import schema
from flagfall.link.messages import Refused
from flagfall.meter.taximeter import FOR_HIRE
from micropython import const

PARTS = ("reader", "printer", "display", "flash", "clock", "sensor", "keys", "supply")

RUNNING = "running"
PASS = "pass"  # noqa: S105
FAIL = "fail"
LOOK = "look"  # only a person can tell
ABSENT = "absent"  # this unit has no such part, or nothing to test it with

_PERSON_MS = const(30000)  # how long a person may take to press keys or to move the car
_STEP_MS = const(100)
_CLOCK_MS = const(3000)
_LAMPS_MS = const(3500)  # every segment lit, longer than the 3 s of JJG 517
_CLOCK_SLACK_MS = const(1100)  # the calendar counts whole seconds
_CLOCK_FLOOR = const(820454400)  # 2026-01-01: a calendar before it has lost the year
_SENSOR_PULSES = const(3)
_SUPPLY_MV = (9000, 32000)  # of a 12 V or 24 V vehicle
_PAPER = ("SELF-TEST", "0123456789 ABCDEFGHIJKLMNOPQRSTU", "If you can read this, it prints.")


class SelfTest:
    """`ask(part)` begins a part's test or says how it stands: {"state", "detail"}."""

    def __init__(self, board, meter, payment, keys, booking, screen):
        self._board = board
        self._meter = meter
        self._payment = payment
        self._keys = keys
        self._booking = booking
        self._screen = screen
        self._part = None  # of the task that runs or has ended
        self._state = None
        self._detail = ""
        self._does = {
            "reader": self._reader,
            "printer": self._printer,
            "display": self._display,
            "flash": self._flash,
            "clock": self._clock,
            "sensor": self._sensor,
            "keys": self._press_keys,
            "supply": self._supply,
        }

    def ask(self, part):
        """Raises Refused during a trip, for an unknown part, and while another part is tested."""
        if part not in self._does:
            raise Refused("no such part: one of %s" % ", ".join(PARTS))
        if self._meter.position != FOR_HIRE:
            raise Refused("a self-test waits for the end of the trip: press FOR HIRE")
        if self._state == RUNNING:
            if part != self._part:
                raise Refused("the test of the %s is not over yet" % self._part)
        elif self._part != part:
            self._part = part
            self._state = RUNNING
            self._detail = ""
            asyncio.create_task(self._run(part))
        out = {"state": self._state, "detail": self._detail}
        if self._state != RUNNING:
            self._part = None  # told: the next question begins afresh
        return out

    async def _run(self, part):
        try:
            state, detail = await self._does[part]()
        except OSError as e:  # ReaderError and PrinterError among them
            state, detail = FAIL, str(e) or "no answer"
        except Exception as e:  # a defect of the test must not end the unit
            state, detail = FAIL, repr(e)
        self._keys.listener = None
        self._screen.say("")
        self._state = state
        self._detail = detail

    def _vacant(self):
        return self._meter.position == FOR_HIRE

    async def _reader(self):
        if self._payment is None:
            return ABSENT, "no card keys or limits are loaded, so no reader is used"
        await self._payment.probe()
        return PASS, "it answers, its field went on and off"

    async def _printer(self):
        await self._board.printer.print(_PAPER)
        return LOOK, "it says that three lines are on paper"

    async def _display(self):
        self._screen.say("Self-test: 0123456789")
        self._screen.tone("approved")
        faults = getattr(self._board.display, "faults", 0)
        light = getattr(self._board.display, "all_segments", None)
        if light is not None:
            light(True)
            try:
                await self._board.sleep_ms(_LAMPS_MS)
            finally:
                light(False)
        await self._board.sleep_ms(_CLOCK_MS)
        if getattr(self._board.display, "faults", 0) != faults:
            return FAIL, "it does not answer"
        return LOOK, "it shows 0123456789, and a tone sounded"

    async def _flash(self):
        journal = self._booking.journal
        lost = self._booking.lost
        self._booking.event(schema.SELF_TEST, "write and read")
        if self._booking.lost != lost:
            return FAIL, "a record could not be written"
        for item in journal.read(journal.last_seq):
            if getattr(item, "type", None) != schema.EVENT or item.seq != journal.last_seq:
                return FAIL, "a record that was written reads back as something else"
        used = journal.used * 100 // journal.capacity
        retired = journal.retired
        text = "a record was written and read back; %d %% full" % used
        if retired:
            text += ", %d of its sectors retired" % retired
        return PASS, text

    async def _clock(self):
        board = self._board
        if board.utc_s() < _CLOCK_FLOOR:
            return FAIL, "it has lost the date"
        ms, s = board.ticks_ms(), board.utc_s()
        await board.sleep_ms(_CLOCK_MS)
        off = (board.utc_s() - s) * 1000 - (board.ticks_ms() - ms)
        if abs(off) > _CLOCK_SLACK_MS:
            return FAIL, "it runs %d ms wrong in 3 s" % off
        return PASS, "it runs"

    async def _sensor(self):
        self._screen.say("Self-test: move the car one metre")
        began = self._board.pulses()
        until = self._board.ticks_ms() + _PERSON_MS
        while self._vacant() and self._board.ticks_ms() < until:
            pulses = self._board.pulses() - began
            self._detail = "%d pulses" % pulses
            if pulses >= _SENSOR_PULSES:
                return PASS, "%d pulses came" % pulses
            await self._board.sleep_ms(_STEP_MS)
        return FAIL, "%s came in 30 s" % (self._detail or "no pulses")

    async def _press_keys(self):
        missing = list(KEYS)
        self._keys.listener = lambda key: key in missing and missing.remove(key)
        until = self._board.ticks_ms() + _PERSON_MS
        while missing and self._vacant() and self._board.ticks_ms() < until:
            self._detail = "not pressed yet: " + ", ".join(missing)
            await self._board.sleep_ms(_STEP_MS)
        if missing:
            return FAIL, "no press came of " + ", ".join(missing)
        return PASS, "all %d function keys" % len(KEYS)

    async def _supply(self):
        measure = getattr(self._board, "supply_mv", None)
        if measure is None:
            return ABSENT, "this board does not measure its supply"
        mv = measure()
        text = "%d.%d V" % (mv // 1000, mv % 1000 // 100)
        return (PASS if _SUPPLY_MV[0] <= mv <= _SUPPLY_MV[1] else FAIL), text
