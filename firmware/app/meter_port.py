# The port to a certified ISU: the unit answers as its taximeter (JT/T 905-2014).
# MIT licence, (c) 2026 The Flagfall contributors.
#
# Trips and shifts are told from the journal, each until the ISU has acknowledged it; how far it
# has got is kept in a small file, so that a loss of power on either side loses nothing and a trip
# that may have arrived is sent as a re-sent one. An ISU that is silent holds up nobody.

from flagfall.journal import schema
from flagfall.journal.record import Damage
from flagfall.jt905 import bodies
from flagfall.jt905.frame import ISU, TAXIMETER, Parser, encode
from flagfall.jt905.tariff_block import tariff_block
from flagfall.jt905.telling import Telling
from flagfall.meter.taximeter import FOR_HIRE
from micropython import const

_READ = const(256)
_READ_MS = const(100)
_ANSWER_READS = const(10)  # an ISU has a second to answer
_TRIES = const(3)
_LOOK_MS = const(500)  # how often the journal is looked at
_AGAIN_MS = const(60000)  # after an ISU did not answer
_HEARTBEAT_MS = const(30000)
_LOOK_BACK = const(200)  # records before the first to be told, for its shift and driver
_RELEASE = (1, 0, 1)  # hardware, software major and minor

# What is asked first, while the driver stands there; and what a second attempt is called.
_FIRST = {bodies.SIGNED_IN: bodies.SIGN_IN, bodies.SIGNED_OUT: bodies.SIGN_OUT}
_AGAIN = {bodies.TRIP: bodies.TRIP_AGAIN, bodies.SIGNED_OUT: bodies.SIGNED_OUT_AGAIN}


class MeterPort:
    """Speaks with the ISU on `port`; `run` never ends."""

    def __init__(self, board, port, configuration, meter, duty, booking):
        settings = configuration.settings
        digits = "".join(c for c in configuration.unit_id if "0" <= c <= "9")
        self._owner = bodies.Owner(
            settings["plate"],
            settings.get("certificate", ""),
            settings["isu_vendor"],
            int(digits[-6:] or "0"),
        )
        self._board = board
        self._port = port
        self._configuration = configuration
        self._meter = meter
        self._duty = duty
        self._journal = booking.journal
        self._parser = Parser()
        self._telling = Telling(self._owner, settings["k"], meter.minor_digits)
        self._was_hired = meter.position != FOR_HIRE
        self._answers = {}  # command: data, while one is waited for
        # Up to here the ISU has what concerns it; what came before there was an ISU is not sent.
        newest = self._journal.last_seq
        self._told = min(newest, configuration.isu_told(newest))
        self._seen = max(0, self._told - _LOOK_BACK)
        self._old = newest  # may have been sent before the power went
        self._next = None  # (seq, command, data) to be told
        self._look_at = self._heartbeat_at = 0

    async def run(self):
        while True:
            await self._listen()
            now = self._board.ticks_ms()
            hired = self._meter.position != FOR_HIRE
            if hired and not self._was_hired:
                # Told while it is true only: the trip's own record follows.
                await self._tell(bodies.HIRED, bodies.stamp(self._local_s(), 7))
            self._was_hired = hired
            if now >= self._heartbeat_at:
                self._heartbeat_at = now + _HEARTBEAT_MS
                body = bodies.heartbeat(self._owner, self._duty.driver, hired)
                await self._send(bodies.HEARTBEAT, body)
            if now >= self._look_at:
                self._look_at = now + (_LOOK_MS if await self._tell_next() else _AGAIN_MS)

    def _local_s(self):
        return self._board.utc_s() + self._meter.utc_offset_s

    # --- what the ISU asks ----------------------------------------------------------------------

    async def _listen(self):
        """Take what is there; wait a moment if nothing is."""
        data = await self._port.read(_READ, _READ_MS)
        frames = self._parser.feed(data) if data else self._parser.silence()
        for type, vendor, command, body in frames:
            if type not in (ISU, TAXIMETER) or vendor not in (0, self._owner.vendor):
                continue  # for another device on the line, or a maker's own
            reply = self._reply(command)
            if reply is None:
                self._answers[command & 0xFF] = body
            else:
                await self._send(command, reply)

    def _reply(self, command):
        """The answer's data to a question of the ISU's, or None if it is none."""
        if command == bodies.STATUS:
            full = not self._journal.room_for_card
            trips = self._duty.totals.hirings
            return bodies.status(self._owner, self._duty.driver, trips, full, _RELEASE)
        if command == bodies.CLOCK_CHECK:
            return bodies.stamp(self._local_s(), 7)
        if command == bodies.TARIFF_QUERY:
            return tariff_block(self._meter.tariff)
        if command == bodies.TARIFF_SET:
            # A tariff is under the seal: it comes from the office, with the inspector's leave.
            return bytes((bodies.UNSUPPORTED,)) + bodies.stamp(self._local_s(), 5)
        return None

    # --- what the ISU is told -------------------------------------------------------------------

    async def _send(self, command, data):
        await self._port.write(encode(command, data, vendor=self._owner.vendor))

    async def _tell(self, command, data):
        """Send until the ISU has taken it; False if it does not answer or refuses."""
        for _ in range(_TRIES):
            self._answers.clear()
            await self._send(command, data)
            for _ in range(_ANSWER_READS):
                await self._listen()
                answer = self._answers.get(command & 0xFF)
                if answer is not None:
                    if answer and answer[-1] == bodies.ACCEPTED:
                        return True
                    break
        return False

    async def _tell_next(self):
        """Tell the ISU what comes next in the journal; False if it did not take it."""
        if self._next is None:
            self._next = self._find()
        if self._next is None:
            return True
        seq, command, data = self._next
        if command in _FIRST and seq > self._old:
            await self._tell(_FIRST[command], bytes((bodies.ACCEPTED,)))
        if seq <= self._old:
            command = _AGAIN.get(command, command)
        self._old = max(self._old, seq)
        if not await self._tell(command, data):
            return False
        self._told = seq
        self._next = None
        self._configuration.put_isu_told(seq)
        return True

    def _find(self):
        """The first record that the ISU does not have and that concerns it."""
        meter = self._meter
        price = meter.taximeter.unit_price
        for record in self._journal.read(self._seen + 1):
            if isinstance(record, Damage):
                continue
            self._seen = record.seq
            totals = self._duty.totals if record.seq > self._old else None
            try:
                told = self._telling.take(record, meter.utc_offset_s, price, totals)
            except schema.SchemaError:
                continue  # written by a newer release
            if told and record.seq > self._told:
                return record.seq, told[0], told[1]
        return None
