# The maintenance cable's task, and what the unit does for whoever holds its key.
# MIT licence, (c) 2026 The Flagfall contributors.

import gc
from time import ticks_diff, ticks_ms

from app import metrology
from app.configuration import ConfigurationError
from flagfall import NOTICE, VERSION, permit
from flagfall.journal import schema
from flagfall.link import proof
from flagfall.link.session import Refused, Session
from flagfall.meter.clock_budget import ClockBudget, ClockRefused
from flagfall.meter.taximeter import FOR_HIRE
from micropython import const

_CHUNK = const(512)
_IDLE_READ_MS = const(50)
_GONE_MS = const(30000)  # silence after which a host on the cable is taken for gone
_QUIET_MS = const(3000)  # silence after which a session that waits for a restart is given up


class Maintenance:
    """The unit as the link sees it: identity, journal, and the few things that may be changed."""

    def __init__(self, board, configuration, booking, meter, duty, office, restart, seal=None):
        self._board = board
        self._office = office
        self._seal = seal  # None: not complete yet, nothing is sealed
        self._identity = None
        self._configuration = configuration
        self._booking = booking
        self._meter = meter
        self._duty = duty
        self.model = board.model
        self.version = "%s (%s)" % (VERSION, NOTICE)
        self.spool = office.spool
        port = board.cable_port()
        if hasattr(port, "bauds"):
            # The speeds of the cable, the one after power-up first; without them it has one.
            self.bauds = port.bauds
            self.set_baud = port.set_baud
            self.ticks_ms = ticks_ms
        self.tests = None  # app/selftest.py, in a complete unit
        self.wants_restart = False  # new settings are in force after a fresh start
        self.restart = restart  # an Event: set once nobody talks to the unit any more
        self.uplink = None  # its report, where there is one
        self.program = None  # says which programs are there, on a unit with slots

    @property
    def unit_id(self):
        return self._configuration.unit_id or ""

    @property
    def link_key(self):
        """32 bytes, or None while the unit is as the factory left it."""
        key = self._configuration.unit_key
        return None if key is None else proof.link_key(key)

    @property
    def journal(self):
        return None if self._booking is None else self._booking.journal

    def now(self):
        return self._board.utc_s()

    def event(self, code, text):
        if self._booking is not None:
            self._booking.event(code, text)

    def info(self):
        """What INFO answers (docs/formats.md, section 6)."""
        gc.collect()
        out = {
            "model": self.model,
            "version": self.version,
            "unit_id": self.unit_id,
            "time": self.now(),
            "heap_free": gc.mem_free(),
        }
        if self._meter is None:
            return out
        journal = self.journal
        totals = self._duty.totals
        t = self._meter.taximeter
        out["position"] = t.position
        out["driver"] = self._duty.driver
        out["shift"] = self._duty.shift
        out["trip"] = self._duty.trip
        out["k"] = t.k
        out["tariff"] = t.tariff.name
        out["tariff_version"] = t.tariff.version
        out["pulses"] = self._board.pulses()
        out["audit"] = self._duty.audit
        if self._identity is None:
            self._identity = metrology.describe()
        out["metrology"] = self._identity
        if self.program is not None:
            out["program"] = self.program()
        out["totals"] = {
            "distance_mm": totals.distance_mm,
            "hired_distance_mm": totals.hired_distance_mm,
            "hirings": totals.hirings,
            "supplements": totals.supplements,
            "fares": totals.fares,
            "card_payments": totals.card_payments,
            "card_amount": totals.card_amount,
        }
        out["last_seq"] = journal.last_seq
        out["journal"] = {
            "epoch": journal.epoch,
            "last_seq": journal.last_seq,
            "acked_seq": journal.acked_seq,
            "capacity": journal.capacity,
            "used": journal.used,
            "free": journal.free,
            "drops": self._booking.lost,
            "erases_on_append": journal.erases_on_append,
        }
        out["heap_peak"] = self._meter.heap_peak
        out["receipt_due"] = self._duty.receipt_due
        if self.uplink is not None:
            out["uplink"] = self.uplink.figures()
        return out

    def set_time(self, utc_s):
        """Set the clock; return what it was. Never during a trip."""
        was = self._board.utc_s()
        if self._meter is not None:
            vacant = self._meter.position == FOR_HIRE
            budget = ClockBudget(self._configuration.clock_budget)
            try:
                budget.correct(was, utc_s, vacant)
            except ClockRefused as e:
                if not vacant:
                    raise Refused(str(e)) from None
                try:
                    self._seal.require(permit.TIME, utc_s.to_bytes(4, "little"))
                except Refused as sealed:
                    raise Refused("%s; %s" % (e, sealed)) from None
                budget.set_under_seal()
            self._configuration.put_clock_budget(budget.pack())
        self._board.set_utc_s(utc_s)
        if self._seal is not None and was != utc_s:
            self._seal.changed(schema.TIME_SET, "clock %d to %d" % (was, utc_s))
        return was

    def first_time(self, utc_s):
        """Set a clock that was never set, by the mobile network's time: no budget is touched."""
        if self._meter.position != FOR_HIRE:
            raise Refused("the clock is not set during a trip")
        self._board.set_utc_s(utc_s)
        self._seal.changed(schema.TIME_SET, "clock set by the network to %d" % utc_s)

    def selftest(self, part):
        """How the test of a part stands; begins it."""
        if self.tests is None:
            raise Refused("no self-test before the unit has its settings and tariff")
        return self.tests.ask(part)

    def push(self, kind, blob):
        """Put a pushed file in force, or raise Refused and change nothing."""
        if self._office.push(kind, blob):
            self.wants_restart = True

    def ask_restart(self):
        """Start anew as soon as nobody is hired and nobody talks to the unit."""
        self.wants_restart = True

    def files(self):
        """What FILES answers (docs/formats.md, section 6)."""
        return {"unit_id": self.unit_id, "audit": self._audit(), "kinds": self._office.in_force()}

    def _audit(self):
        return None if self._seal is None else self._seal.counter

    def provision(self, message):
        """Give a factory-fresh unit its identity and keys."""
        try:
            self._configuration.provision(message)
        except ConfigurationError as e:
            raise Refused(str(e)) from None
        self.wants_restart = True

    @property
    def vacant(self):
        """Whether the unit may start anew: nobody is hired."""
        return self._meter is None or self._meter.position == FOR_HIRE


class Cable:
    """Moves bytes between a port and the protocol's session."""

    def __init__(self, port, maintenance, random):
        self._port = port
        self._maintenance = maintenance
        self.session = Session(maintenance, random)
        self._heard_at = None

    @property
    def busy(self):
        """Whether somebody who has proved the key talks to the unit over the cable."""
        if self._heard_at is None or not self.session.authenticated:
            return False
        return ticks_diff(ticks_ms(), self._heard_at) < _GONE_MS

    async def run(self):
        quiet = 0
        known = False  # somebody has proved the key since this task began
        while True:
            known = known or self.session.authenticated
            data = await self._port.read(_CHUNK, _IDLE_READ_MS)
            self.session.feed(data)  # nothing: the line is silent, half a frame is given up
            if data:
                quiet = 0
                self._heard_at = ticks_ms()
            elif self._maintenance.wants_restart and self._maintenance.vacant:
                # At the end of the session that changed something: another file may follow.
                quiet += _IDLE_READ_MS
                if (known and not self.session.authenticated) or quiet >= _QUIET_MS:
                    self._maintenance.restart.set()
            while True:
                out = self.session.next_output()
                if out is None:
                    break
                await self._port.write(out)
                # Between two frames of a long pull: hear the host, let the meter run.
                data = await self._port.read(_CHUNK, 0)
                if data:
                    self.session.feed(data)
