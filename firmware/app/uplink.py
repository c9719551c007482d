# The uplink's task: dial the gateway when there is something to say, and never be waited for.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# The same session as on the cable, over TLS (docs/formats.md section 10). Modem and network may
# take their time at any moment; the one step that stalls the unit, the TLS handshake, is made only
# while nobody is hired and no card is waited for. Intervals and waits between tries are of the
# board's time, waits for the modem and the gateway of real time.

import gc
from time import ticks_diff, ticks_ms

from app.uplink_report import Report
from drivers.modem import Modem, ModemError, SimFault
from drivers.tls_wire import CertificateRefused, TlsWire, client_context
from flagfall.link.messages import Refused
from flagfall.link.session import Session
from flagfall.meter.taximeter import FOR_HIRE, HIRED
from flagfall.modem import ladder
from flagfall.modem.ladder import Ladder, spread
from micropython import const

_LOOK_MS = const(1000)
_PPP_MS = const(30000)  # until the network has given an address
_CONNECT_MS = const(20000)
_HANDSHAKE_MS = const(30000)
_GREETING_MS = const(30000)  # until the gateway has proved the key
_WRITE_MS = const(30000)
_CHUNK = const(512)
_IDLE_READ_MS = const(200)
_PINGS = const(2)  # unanswered, after which the link is dead
_ASK_MS = const(1000)  # quiet time after which the gateway is asked whether that was all
_ASK_AGAIN_MS = const(5000)
_AGAIN_MS = const(10000)  # longest wait before dialling again after a BYE
_CLOCK_OFF_S = const(10)  # less than this the network's time cannot tell better than ours
_EARLIEST = const(820454400)  # 2026-01-01: a clock that shows less was never set
_RESTART_AGAIN_MS = const(86400000)  # a dead modem does not restart the unit more than once a day
_restarted_at = [-_RESTART_AGAIN_MS]  # board's ticks; outlives the unit's restart


class UplinkError(Exception):
    """A try came to nothing. `rung`: of the ladder, None if no rung of it can help."""

    def __init__(self, text, rung):
        super().__init__(text)
        self.rung = rung


class _Unit:
    """The unit as the gateway sees it: all that the cable's host may do, at one speed."""

    def __init__(self, maintenance):
        self._maintenance = maintenance

    def __getattr__(self, name):
        if name in ("bauds", "set_baud"):
            raise AttributeError(name)
        return getattr(self._maintenance, name)


class Uplink:
    """Dials with `settings` (app/uplink_settings.py) and the configuration's certificate, which a
    push may replace at any time. `cable` is the maintenance cable's task: while it is in use, we
    are silent.
    """

    def __init__(
        self, board, settings, configuration, maintenance, cable, meter, keys, booking, screen
    ):
        self._board = board
        self._settings = settings
        self._configuration = configuration
        self._maintenance = maintenance
        self._unit = _Unit(maintenance)
        self._cable = cable
        self._meter = meter
        self._keys = keys
        self._booking = booking
        port = board.modem_port()
        self.modem = Modem(port, board.press_modem_key, board.sleep_ms, settings.model)
        self._ppp = board.ppp(port)
        self._ladder = Ladder(board.random)
        self._remedy = ladder.SOCKET
        self._online = False
        self._due = 0  # board's ticks; the first call tells the office that the unit is up
        self._not_before = 0
        self.report = Report(board, booking, screen, meter)

    async def run(self):
        while True:
            await self._board.sleep_ms(_LOOK_MS)
            self.report.day()
            if self._restart_is_due():
                self._maintenance.restart.set()
            now = self._board.ticks_ms()
            if now < self._not_before or self._cable.busy:
                continue
            if now >= self._due or self._booking.news > self._booking.journal.acked_seq:
                await self._try()

    def _restart_is_due(self):
        """Something pushed, or the ladder's last rung: never in the middle of a hire."""
        if self._meter.position != FOR_HIRE or self._cable.busy:
            return False
        if self._maintenance.wants_restart:
            return True
        now = self._board.ticks_ms()
        if self._remedy != ladder.UNIT or now - _restarted_at[0] < _RESTART_AGAIN_MS:
            return False
        _restarted_at[0] = now
        return True

    async def _try(self):
        report = self.report
        settings = self._settings
        try:
            await self._remedied()
            await self._network()
            again_ms = await self._call()
        except (UplinkError, ModemError) as e:
            self._failed(str(e), e.rung, isinstance(e, SimFault))
        except CertificateRefused as e:
            self._failed("gateway certificate refused: %s" % e, None, True)
        except OSError as e:  # of the data call, a socket or TLS
            rung = ladder.SOCKET if await self._ppp.alive() else ladder.PPP
            self._failed(str(e), rung, False)
        else:
            self._ladder.worked()
            self._remedy = ladder.SOCKET
            report.worked()
            now = self._board.ticks_ms()
            self._due = now + spread(1000 * settings.every_s, self._board.random)
            self._not_before = now + again_ms
            if again_ms:
                self._due = self._not_before
        gc.collect()

    def _failed(self, text, rung, must_be_mended):
        if rung is None:
            self._ladder.refused()
        else:
            self._remedy = self._ladder.failed(rung)
        if self._remedy:
            self._online = False
        self._not_before = self._board.ticks_ms() + self._ladder.wait_ms()
        self.report.failed(text, self._ladder.failures, must_be_mended)

    # Modem and network.

    async def _remedied(self):
        """Do what the ladder asks for before the next try."""
        remedy, self._remedy = self._remedy, ladder.SOCKET
        self.report.remedies[remedy] += 1
        if remedy == ladder.SOCKET:
            return
        self._online = False
        await self._ppp.down()
        if remedy >= ladder.POWER:
            await self.modem.power_cycle()
            return
        await self.modem.wake()
        if remedy == ladder.RADIO:
            await self.modem.restart_radio()

    async def _network(self):
        """The data call stands and the clock is set, or an error."""
        if self._online and await self._ppp.alive():
            return
        self._online = False
        await self._ppp.down()
        settings, report, modem = self._settings, self.report, self.modem
        report.state = "modem"
        await modem.wake()
        report.modem = modem.name
        await modem.open_sim(settings.pin)
        report.state = "network"
        await modem.register()
        report.signal_dbm = await modem.signal_dbm()
        self._set_clock(await modem.network_time())
        report.state = "dial"
        await modem.dial(settings.apn, settings.at)
        try:
            await self._ppp.up(settings.auth, settings.user, settings.password, _PPP_MS)
        except OSError as e:
            raise UplinkError(str(e), ladder.PPP) from None
        self._online = True

    def _set_clock(self, network):
        """Certificates have dates: the clock is right first. It keeps the seal's rules."""
        now = self._board.utc_s()
        if network is None:
            if now < _EARLIEST:
                raise UplinkError("the clock is not set and the network does not tell the time", 0)
            return
        if abs(network - now) < _CLOCK_OFF_S:
            return
        try:
            if now < _EARLIEST:
                self._maintenance.first_time(network)
            else:
                self._maintenance.set_time(network)
        except Refused as e:
            self.report.clock = str(e)

    # The call.

    async def _call(self):
        """Talk to the gateway until all is said; return the least wait before the next call."""
        settings, report = self._settings, self.report
        certificate = self._configuration.certificate
        if certificate is None:
            raise UplinkError("the unit has no certificate: push one over the cable", None)
        connection = await self._connection()
        wire = None
        try:
            gc.collect()
            try:
                context = client_context(*certificate)
            except (ValueError, OSError) as e:
                raise UplinkError("the unit's own certificate: %s" % e, None) from None
            wire = TlsWire(connection, context, settings.host)
            context = None
            report.state = "handshake"
            began = ticks_ms()
            await wire.handshake(_HANDSHAKE_MS)
            report.handshake_ms = ticks_diff(ticks_ms(), began)
            report.calls += 1
            report.state = "connected"
            return await self._talk(wire)
        finally:
            report.state = "idle"
            if wire is None:
                connection.close()
            else:
                report.carried(wire.up, wire.down)
                wire.close()

    async def _connection(self):
        """A connection to the gateway at a moment when the handshake may follow.

        Its arithmetic holds everything up: not while somebody is hired or taps.
        """
        settings = self._settings
        while True:
            while self._occupied():
                self.report.state = "waits for the end of the trip"
                await self._board.sleep_ms(_LOOK_MS)
                if not await self._ppp.alive():
                    raise UplinkError("the call ended", ladder.PPP)
            self.report.state = "connect"
            connection = await self._ppp.connect(settings.host, settings.port, _CONNECT_MS)
            if not self._occupied():
                return connection
            connection.close()

    def _occupied(self):
        return self._meter.position == HIRED or self._keys.tapping

    async def _talk(self, wire):
        session = Session(self._unit, self._board.random)
        began = heard = asked = ticks_ms()
        opened = False
        pings = 0
        said = 0  # the newest news that the gateway has been told of
        while True:
            data = await wire.read(_CHUNK, _IDLE_READ_MS)
            now = ticks_ms()
            if data:
                session.feed(data)
                heard = now
            await self._answer(session, wire)
            if self._cable.busy:
                return _AGAIN_MS  # somebody stands there with a cable: that is quicker
            if not session.authenticated:
                if opened:  # BYE
                    return spread(_AGAIN_MS, self._board.random)
                if ticks_diff(now, began) > _GREETING_MS:
                    raise UplinkError("the gateway does not prove its key", None)
                continue
            opened = True
            if session.waits_for_pong:
                if ticks_diff(now, asked) < 1000 * self._settings.pong_s:
                    continue
                if pings == _PINGS:
                    raise UplinkError("no answer from the gateway", ladder.SOCKET)
            elif session.more is False and not self._settings.stay and self._booking.news <= said:
                return 0
            else:
                pings = 0
                wait = self._ping_wait(session.more, said)
                if ticks_diff(now, heard) < wait or ticks_diff(now, asked) < wait:
                    continue
            if not await self._ppp.alive():
                raise UplinkError("the call ended", ladder.PPP)
            session.ping()
            said = self._booking.news
            pings += 1
            asked = now
            await self._answer(session, wire)

    def _ping_wait(self, more, said):
        """How long the line may be quiet before we speak. `more`: what the last PONG said."""
        if more is None or self._booking.news > said:
            return _ASK_MS
        return _ASK_AGAIN_MS if more else 1000 * self._settings.ping_s

    async def _answer(self, session, wire):
        """Send all that the session has to say; hear the gateway in between."""
        while True:
            out = session.next_output()
            if out is None:
                return
            await wire.write(out, _WRITE_MS)
            data = await wire.read(_CHUNK, 0)
            if data:
                session.feed(data)
