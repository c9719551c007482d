"""A gateway of a hundred lines: TLS, and the depot's own pull behind it. One unit at a time.

What the unit must bear is easier to do on purpose here than in a real gateway.
"""

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

from flagfall.link import messages
from flagfall_host.depot.fleet import Fleet
from flagfall_host.depot.link import Link
from flagfall_host.depot.link_errors import LinkError, PortLost
from flagfall_host.depot.pull import pull
from flagfall_host.depot.push import push
from flagfall_host.ledger import Ledger

NAME = "gateway.test"
PORT = 9105


class TlsWire:
    """A unit's connection as the link sees it."""

    baud = 1_000_000  # only used to reckon how long a frame takes

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.name = "uplink"
        self._connection = connection

    def write(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as e:
            raise PortLost(f"uplink: {e}") from e

    def read(self, timeout_s: float) -> bytes:
        try:
            self._connection.settimeout(max(timeout_s, 0.001))
            data = self._connection.recv(4096)
        except TimeoutError:
            return b""
        except OSError as e:
            raise PortLost(f"uplink: {e}") from e
        if not data:
            raise PortLost("uplink: closed by the unit")
        return data

    def set_baud(self, baud: int) -> None:
        raise AssertionError("no speed on TLS")

    def now(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        self._connection.close()


class PlainGateway:
    """Serves units of `fleet` into the ledger at `ledger`, until `close`.

    pushes   (kind, blob): given to the unit after its records
    mute     no PONG any more                  bye    say BYE after the records
    issued   another certificate than the fleet's own for NAME
    """

    def __init__(self, folder: Path, fleet: Fleet, ledger: Path, issued=None) -> None:
        authority = fleet.authority()
        issued = issued or authority.issue_gateway([NAME])
        folder.mkdir(parents=True, exist_ok=True)
        for name, pem in (
            ("ca.pem", authority.pem),
            ("gw.pem", issued.certificate_pem),
            ("gw.key", issued.key_pem),
        ):
            (folder / name).write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "gw.pem", folder / "gw.key")
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context
        self._fleet = fleet
        self._ledger = ledger
        self.pushes: list[tuple[str, bytes]] = []
        self.mute = self.bye = False
        self.sessions = self.done = 0
        self.pings = 0
        self.repeated = 0
        self.infos: list[dict] = []
        self.faults: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._closing = False
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        self._listener.close()
        with contextlib.suppress(OSError, AttributeError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            socket.create_connection(self.address, 1).close()
        self._thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _run(self) -> None:
        while not self._closing:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self._connection = raw
            raw.settimeout(10)
            try:
                connection = self._context.wrap_socket(raw, server_side=True)
            except OSError as e:
                self.faults.append(f"handshake: {e}")
                raw.close()
                continue
            self.sessions += 1
            try:
                self._serve(connection)
            except LinkError as e:
                self.faults.append(str(e))
            finally:
                connection.close()

    def _serve(self, connection: ssl.SSLSocket) -> None:
        link = Link(TlsWire(connection), self._fleet.unit_key)
        talk = link.talk
        answer = talk._pong

        async def pong(ping) -> None:
            await answer(ping)
            self.pings += 1
            self.done += talk.quiet_at is not None and talk.newest <= talk.quiet_at

        talk._pong = pong
        link.open()
        self.infos.append(link.ask(messages.INFO))
        self._pull(link)
        while self.pushes:
            push(link, *self.pushes[0])
            self.pushes.pop(0)
        if self.bye:
            self.bye = False
            link.ask(messages.BYE)
            return
        while not self._closing:
            if self.mute:
                self._wait_for_the_end(connection)
            if talk.newest > talk.quiet_at:
                self._pull(link)
            link.receive(time.monotonic() + 0.2)

    def _pull(self, link: Link) -> None:
        with Ledger.open(self._ledger) as ledger:
            self.repeated += pull(link, ledger).repeated
            # The newest record is the receipt's own, which is nothing to pull for.
            link.talk.quiet_at = ledger.last_seq(link.unit.unit_id) + 1

    def _wait_for_the_end(self, connection: ssl.SSLSocket) -> None:
        connection.settimeout(30)
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass
        raise PortLost("uplink: closed by the unit")
