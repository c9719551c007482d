# IP over the modem's data call: MicroPython's PPP on the modem's UART.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# MicroPython 1.27 or newer: earlier ones lose input and leak connections. A PPP object is made
# anew for each call, since one that has failed does not always come up again. The stream is taken
# away from it before the modem is spoken to: both would read the UART.

import asyncio
import os
import socket

import network
from flagfall import dns
from micropython import const

_POLL_MS = const(100)
_DOWN_MS = const(3000)
_DNS_TRIES = const(3)
_DNS_MS = const(3000)


class NetworkError(OSError):
    """The data call cannot be used; str() says why."""

    def __str__(self):
        return str(self.args[0]) if self.args else ""


class Ppp:
    """The call's data: `up`, `alive`, `connect`, `down`."""

    dns_port = dns.PORT

    def __init__(self, port):
        self._port = port
        self._ppp = None
        self._known = {}  # names and their addresses, while this call stands

    async def up(self, auth, user, password, limit_ms):
        """Negotiate (`auth`: none, pap or chap); return once there is an address. Raises
        NetworkError."""
        await self.down()
        ppp = self._ppp = network.PPP(self._port.uart)
        ppp.active(True)
        if auth == "none":
            ppp.connect()
        else:
            security = ppp.SEC_PAP if auth == "pap" else ppp.SEC_CHAP
            ppp.connect(security=security, user=user, key=password)
        for _ in range(limit_ms // _POLL_MS):
            if ppp.isconnected():
                return
            await asyncio.sleep_ms(_POLL_MS)
        await self.down()
        raise NetworkError("no address from the network")

    async def alive(self):
        """Whether the call still stands, as far as can be known at this end."""
        return self._ppp is not None and self._ppp.isconnected()

    async def connect(self, host, port, limit_ms):
        """A TCP connection as a non-blocking socket. Raises NetworkError or OSError."""
        if not await self.alive():
            raise NetworkError("no data call")
        ip = await self._resolve(host)
        try:
            opened = asyncio.open_connection(ip, port)
            stream, _ = await asyncio.wait_for_ms(opened, limit_ms)
        except asyncio.TimeoutError:
            raise NetworkError("%s: no answer" % host) from None
        return stream.s

    async def down(self):
        """Give the UART back to the AT commands."""
        ppp, self._ppp = self._ppp, None
        self._known.clear()
        if ppp is None:
            return
        ppp.disconnect()
        # Taking the stream away before it has gone has crashed the stack.
        for _ in range(_DOWN_MS // _POLL_MS):
            if not ppp.isconnected():
                break
            await asyncio.sleep_ms(_POLL_MS)
        ppp.config(stream=None)

    async def _resolve(self, host):
        if dns.is_address(host):
            return host
        if host not in self._known:
            self._known[host] = await self._ask(host)
        return self._known[host]

    async def _ask(self, host):
        server = network.ipconfig("dns")
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.setblocking(False)
            s.connect(socket.getaddrinfo(server, self.dns_port)[0][-1])  # an address: no waiting
            stream = asyncio.StreamReader(s)
            for _ in range(_DNS_TRIES):
                drawn = os.urandom(2)
                number = drawn[0] << 8 | drawn[1]
                s.send(dns.question(number, host))
                try:
                    data = await asyncio.wait_for_ms(stream.read(dns.MAX_ANSWER), _DNS_MS)
                except asyncio.TimeoutError:
                    continue
                ip = dns.address(number, data)
                if ip:
                    return ip
                if ip == "":
                    raise NetworkError("%s: no such name" % host)
        finally:
            s.close()
        raise NetworkError("%s: the name server does not answer" % host)
