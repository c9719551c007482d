"""The gateway's door: connections in, their limits kept, each unit given its visit."""

import asyncio
import os
import signal
from collections import OrderedDict
from collections.abc import Callable

import sqlalchemy as sa

from flagfall_host.depot.link_errors import LinkError, UnitRefused, UnknownUnit, WrongKey
from flagfall_host.depot.pulled import PullResult
from flagfall_host.errors import FlagfallError
from flagfall_host.gateway.desk import Desk
from flagfall_host.gateway.figures import Figures
from flagfall_host.gateway.keys_folder import GatewayKeys, unit_of
from flagfall_host.gateway.limits import SOCKET_BACKLOG, Limits
from flagfall_host.gateway.tls_wire import TlsWire
from flagfall_host.gateway.visit import House, Shut, Visit
from flagfall_host.gateway.watch_port import WatchPort
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.errors import LedgerError
from flagfall_host.ledger.placements import turned_away, with_something_waiting

STUCK_S = 20.0  # a commit that takes longer says that the database is not well
_QUIET_S = 60.0  # the same word is said once in this time


class CannotListen(FlagfallError):
    """The port is taken or may not be used."""


class Gateway:
    """Serves units until `stop` is called, or the process is told to end (SIGTERM, SIGINT)."""

    def __init__(
        self,
        ledger: Ledger,
        keys: GatewayKeys,
        limits: Limits,
        say: Callable[[str], None],
        *,
        desk: Callable[[Ledger, Callable[[int, float], None]], Desk] = Desk,
        nonce: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.limits = limits
        self.figures = Figures()
        self.port = self.watch_port = 0
        self._ledger = ledger
        self._keys = keys
        self._say_now = say
        self._said: dict[str, float] = {}
        self._open: set[TlsWire] = set()
        self._shaking: OrderedDict[TlsWire, None] = OrderedDict()
        self._visits: dict[str, Visit] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._well, self._word = False, "starting"
        self._tls = keys.tls()
        self._desk = desk(ledger, self._booked)
        self._house = House(
            ledger, self._desk, limits, keys.unit_key, self._receipted, self.say, nonce
        )

    # --- life -------------------------------------------------------------------------------

    async def run(self, listen: tuple[str, int], watch: tuple[str, int] | None) -> None:
        """Listen and serve. Raises CannotListen."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.renew)
        watcher = WatchPort(lambda: (self._well, self._word), self._metrics)
        try:
            await self._look_at_database()
            server = await loop.create_server(
                self._wire, *listen, backlog=SOCKET_BACKLOG, reuse_port=False
            )
            if watch is not None:
                self.watch_port = await watcher.start(*watch)
        except OSError as e:
            raise CannotListen(
                f"{listen[0]}:{listen[1]}: cannot listen there: {e.strerror or e}: is another "
                "gateway running? Name another place with --listen or --watch"
            ) from e
        self.port = server.sockets[0].getsockname()[1]
        self._say_now(f"listening on {listen[0]}:{self.port}" + self._watch_words(watch))
        rounds = [loop.create_task(self._watch_database()), loop.create_task(self._make_rounds())]
        try:
            await self._stopping.wait()
        finally:
            server.close()
            for each in rounds:
                each.cancel()
            await self._drain()
            watcher.close()
            self._desk.close()
            self._say_now("ended")

    def _watch_words(self, watch: tuple[str, int] | None) -> str:
        return f", /metrics and /health on {watch[0]}:{self.watch_port}" if watch else ""

    def stop(self) -> None:
        """Take nobody any more, finish what is under way, end."""
        self._well, self._word = False, "draining"
        self._stopping.set()

    def renew(self) -> None:
        """Take up a renewed certificate; connections that stand keep theirs."""
        try:
            keys = GatewayKeys.open(self._keys.folder)
            self._tls, self._keys = keys.tls(), keys
            self._say_now("certificate taken up anew")
        except FlagfallError as e:
            self._say_now(f"the old certificate stays: {e}")

    async def _drain(self) -> None:
        for wire in list(self._shaking):
            wire.abort("the gateway ends")
        for visit in list(self._visits.values()):
            visit.end()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.limits.drain_s)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.limits.drain_s)

    # --- connections ------------------------------------------------------------------------

    def _wire(self) -> TlsWire:
        return TlsWire(self._tls, self.limits, self._made, self._lost)

    def _made(self, wire: TlsWire) -> None:
        self.figures.accepted.inc()
        if self._stopping.is_set() or len(self._open) >= self.limits.connections:
            self.figures.turned_away.labels("full").inc()
            wire.abort("full")
            return
        if len(self._shaking) >= self.limits.handshakes:
            # Who floods us with half-open connections only drives out his own oldest ones: a
            # unit needs a second or two for its handshake.
            oldest, _ = self._shaking.popitem(last=False)
            oldest.abort("full")
        self._open.add(wire)
        self._shaking[wire] = None
        task = asyncio.get_running_loop().create_task(self._serve(wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lost(self, wire: TlsWire) -> None:
        self._open.discard(wire)
        self._shaking.pop(wire, None)

    async def _serve(self, wire: TlsWire) -> None:
        try:
            unit_id = await self._handshake(wire)
            if unit_id:
                await self._visit(wire, unit_id)
        finally:
            wire.close()

    async def _handshake(self, wire: TlsWire) -> str:
        """The unit id in the client's certificate; "" when it came to none."""
        try:
            async with asyncio.timeout(self.limits.handshake_s):
                await wire.handshaken()
        except (LinkError, TimeoutError) as e:
            self.figures.turned_away.labels("full" if wire.why == "full" else "handshake").inc()
            if wire.why != "full":
                self.say(f"{wire.name}: no TLS: {e or 'too slow'}", "no TLS")
            return ""
        finally:
            self._shaking.pop(wire, None)
        unit_id = unit_of(wire.certificate())
        if not unit_id:
            self.figures.turned_away.labels("certificate").inc()
            self.say(f"{wire.name}: a certificate that names no unit", "certificate")
        return unit_id

    async def _visit(self, wire: TlsWire, unit_id: str) -> None:
        visit = Visit(wire, unit_id, self._house)
        before = self._visits.get(unit_id)
        self._visits[unit_id] = visit
        if before is not None:
            before.wire.abort("the unit has dialled again")
        end = "done"
        try:
            await visit.run()
        except Shut as e:
            self.figures.turned_away.labels("revoked" if "revoked" in str(e) else "key").inc()
            self.say(str(e), unit_id)
        except (UnknownUnit, WrongKey) as e:
            self.figures.turned_away.labels("key").inc()
            self.say(str(e), unit_id)
        except UnitRefused as e:
            end = "fault"
            self.say(str(e), unit_id)
        except LinkError as e:
            end = "lost" if wire.why else "fault"
            self.say(str(e), unit_id)
        except LedgerError as e:
            end = "database"
            self.say(str(e), "database")
        except TimeoutError:
            end = "limit"
            self.say(f"{wire.name}: too slow", unit_id)
        finally:
            if self._visits.get(unit_id) is visit:
                del self._visits[unit_id]
        if visit.proved:
            self.figures.visits.labels(end).inc()
        elif end != "done":
            self.figures.turned_away.labels("greeting").inc()

    # --- rounds -----------------------------------------------------------------------------

    async def _watch_database(self) -> None:
        while True:
            await asyncio.sleep(self.limits.health_s)
            await self._look_at_database()

    async def _look_at_database(self) -> None:
        try:
            async with asyncio.timeout(STUCK_S):
                await self._desk.look(self._ask_database)
            stuck = self._desk.longest_wait()
            well, word = stuck < STUCK_S, "ok"
            if not well:
                word = f"the database has not committed for {stuck:.0f} s"
        except (LedgerError, TimeoutError) as e:
            well, word = False, f"no database: {e or 'no answer'}"
        if self._stopping.is_set():
            return
        if (well, word) != (self._well, self._word):
            self.say(f"health: {word}", word)
        self._well, self._word = well, word

    def _ask_database(self) -> None:
        with self._ledger.reading() as connection:
            connection.execute(sa.select(1))

    async def _make_rounds(self) -> None:
        """Now and then: units that were revoked are sent off, placed files are given."""
        while True:
            await asyncio.sleep(self.limits.look_s)
            try:
                here = set(self._visits)
                if not here:
                    continue
                for unit_id in sorted(await self._desk.look(turned_away, self._ledger) & here):
                    if unit_id in self._visits:
                        self._visits[unit_id].wire.abort("revoked")
                waited_for = await self._desk.look(with_something_waiting, self._ledger, here)
                for unit_id in sorted(waited_for):
                    if unit_id in self._visits:
                        self._visits[unit_id].look_again()
            except LedgerError as e:
                self.say(str(e), "database")

    # --- what is said and counted -----------------------------------------------------------

    def say(self, words: str, about: str = "") -> None:
        """A line for the log; about the same thing at most one in a minute."""
        now = asyncio.get_running_loop().time()
        if about:
            if now - self._said.get(about, -_QUIET_S) < _QUIET_S:
                return
            if len(self._said) > self.limits.connections:
                self._said.clear()
            self._said[about] = now
        self._say_now(words)

    def _booked(self, units: int, seconds: float) -> None:
        self.figures.batch.observe(units)
        self.figures.booking_s.observe(seconds)

    def _receipted(self, visit: Visit, result: PullResult) -> None:
        figures = self.figures
        figures.records.inc(result.records - result.repeated)
        figures.repeated.inc(result.repeated)
        figures.losses.inc(len(result.damaged) + len(result.refused) + len(result.missing))
        if not visit.pulled:
            visit.pulled = True
            figures.receipt_s.observe(visit.wire.now() - visit.wire.made_at)

    def _metrics(self) -> bytes:
        figures = self.figures
        figures.connections.set(len(self._open))
        figures.handshakes.set(len(self._shaking))
        figures.certificate_left.set(self._keys.left().total_seconds())
        figures.healthy.set(self._well)
        return figures.text()
