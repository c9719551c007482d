"""Units that dial: the firmware's own Session and Journal, in CPython, many in one event loop.

Each keeps what a test must know: the records it wrote, the receipts it took, and whether a gateway
ever asked again for what it had receipted (which would be a false receipt).
"""

import asyncio
import hashlib
import os
import random
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from flagfall.hmac_sha256 import hmac_sha256
from flagfall.journal import schema
from flagfall.journal.ring import Journal
from flagfall.link import messages
from flagfall.link.proof import journal_key, link_key
from flagfall.link.session import Session
from flagfall_host.depot.link_errors import LinkError
from flagfall_host.gateway.limits import Limits
from flagfall_host.gateway.tls_wire import TlsWire
from nor_flash import NorFlash

_ASK_S = 0.3  # of quiet, after which the unit asks whether it may go
_LINK = Limits(rate=1 << 30, burst=1 << 30, held=1 << 20)
SECTORS = 8


class DialWire(TlsWire):
    """The same wire from the other end."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        super().__init__(context, _LINK, lambda wire: None, lambda wire: None)
        self._server_name = name

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = self._context.wrap_bio(self._in, self._out, server_hostname=self._server_name)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()


@dataclass
class SimUnit:
    """What a Session asks of a unit (firmware/lib/flagfall/link/session.py)."""

    unit_id: str
    unit_key: bytes
    sectors: int = SECTORS
    model: str = "simulated"
    version: str = "0 test"
    clock: int = 830_000_000
    pushed: list[tuple[str, bytes]] = field(default_factory=list)
    refuses: str = ""  # a kind of file
    audit: int | None = None  # changes under its seal
    receipts: list[tuple[int, int]] = field(default_factory=list)
    asked_again: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.link_key = link_key(self.unit_key)
        self.flash = NorFlash(self.sectors * 4096)
        self.journal = _Watched(self, Journal(self.flash, journal_key(self.unit_key)))
        self.journal.mount(1)
        self.events: list[tuple[int, str]] = []
        self.receipted_at = 0.0
        self.wanted = 0  # the newest seq that is worth a call

    def append(self, count: int) -> None:
        """`count` PAYMENT records of 128 bytes, declined: no money, but a payment's weight."""
        for _ in range(count):
            n = self.journal.last_seq + 1
            body = schema.pack(
                schema.PAYMENT,
                trip=n,
                shift=1,
                outcome=schema.DECLINED,
                profile=schema.ECASH,
                amount=1200,
                currency=156,
                last_digits="0011",
                atc=n & 0xFFFF,
                balance_after=schema.UNKNOWN_BALANCE,
                torn_seq=0,
                card_tag=hmac_sha256(self.unit_key, b"%d" % n)[:8],
                reason="",
                sealed=hmac_sha256(self.unit_key, b"sealed%d" % n) + bytes(20),
            )
            self.journal.append(schema.PAYMENT, body, self.clock)
        self.wanted = self.journal.last_seq

    def digest(self, first: int, last: int) -> str:
        """SHA-256 over the bytes of these records."""
        out = hashlib.sha256()
        for record in self.journal.unwatched.read(first):
            if record.seq > last:
                break
            out.update(record.raw)
        return out.hexdigest()

    @property
    def done(self) -> bool:
        return self.journal.acked_seq >= self.wanted

    def now(self) -> int:
        return self.clock

    def info(self) -> dict[str, Any]:
        fields = {
            "unit_id": self.unit_id,
            "model": self.model,
            "time": self.clock,
            "last_seq": self.journal.last_seq,
        }
        return fields if self.audit is None else fields | {"audit": self.audit}

    def set_time(self, t: int) -> int:
        was, self.clock = self.clock, t
        return was

    def push(self, kind: str, blob: bytearray) -> None:
        if kind == self.refuses:
            raise messages.Refused("this makes no sense")
        self.pushed.append((kind, bytes(blob)))

    def provision(self, message: dict[str, Any]) -> None:
        raise messages.Refused("not here")

    def event(self, code: int, text: str) -> None:
        self.events.append((code, text))


class _Watched:
    """The journal, with an eye on what the host asks for."""

    def __init__(self, unit: SimUnit, journal: Journal) -> None:
        self._unit = unit
        self.unwatched = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unwatched, name)

    def read(self, seq: int) -> Any:
        if seq <= self.unwatched.acked_seq:
            self._unit.asked_again.append((seq, self.unwatched.acked_seq))
        return self.unwatched.read(seq)

    def acknowledge(self, epoch: int, seq: int, link: bytes, time: int) -> int:
        freed = self.unwatched.acknowledge(epoch, seq, link, time)
        self._unit.receipts.append((epoch, seq))
        self._unit.receipted_at = monotonic()
        return freed


def client_context(authority: Path, certificate: Path | None) -> ssl.SSLContext:
    """TLS as a unit speaks it; `certificate`: PEM of certificate and key, None: has none."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(authority))
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


async def dial(
    host: str, port: int, context: ssl.SSLContext, seconds: float = 20.0, name: str = "localhost"
) -> DialWire:
    """A connection after its handshake. Raises LinkError, OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        _, wire = await loop.create_connection(lambda: DialWire(context, name), host, port)
        await wire.handshaken()
    return wire


async def talk(
    unit: SimUnit, wire: DialWire, stay: asyncio.Event | None = None, ping_s: float = _ASK_S
) -> None:
    """Be a unit on `wire` until the gateway has all, or ends; with `stay` until that is set.

    Raises LinkError when the line is lost.
    """
    session = Session(unit, os.urandom)
    opened = False
    asked = False
    while True:
        quiet = ping_s if session.more is False and unit.done else _ASK_S
        data = await wire.read(20.0 if asked else quiet)
        if data:
            for i in range(0, len(data), 2048):
                session.feed(data[i : i + 2048])
                await _answer(session, wire)
        if session.authenticated:
            opened = True
        elif opened:
            return  # BYE
        if session.more is False and unit.done and (stay is None or stay.is_set()):
            return
        asked = session.waits_for_pong
        if not data and opened and not asked:
            asked = session.ping()
            await _answer(session, wire)


async def _answer(session: Session, wire: DialWire) -> None:
    while (out := session.next_output()) is not None:
        await wire.write(bytes(out))


async def drive(
    unit: SimUnit, host: str, port: int, context: ssl.SSLContext, seconds: float
) -> dict[str, Any]:
    """Dial until the gateway has receipted everything; returns what it took.

    Raises TimeoutError.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    dials = 0
    wait = 0.2
    first: float | None = None
    async with asyncio.timeout(seconds):
        while not unit.done:
            dials += 1
            wire = None
            dialled = monotonic()
            try:
                wire = await dial(host, port, context)
                await talk(unit, wire)
                wait = 0.2
            except (LinkError, OSError, TimeoutError):
                pass
            finally:
                if wire is not None:
                    wire.close()
            if unit.done:
                first = unit.receipted_at - dialled
                break
            await asyncio.sleep(wait * (0.5 + random.random() / 2))
            wait = min(wait * 2, 3.0)
    return {"dials": dials, "seconds": loop.time() - began, "last": first}
