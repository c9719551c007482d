# The bench unit's stand-in for network.PPP, and the wire to its modem's power key.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# MicroPython's unix port has no PPP. After the modem's CONNECT this logs in with one line on the
# serial port, and TCP goes through the bench modem's relay, which dies with the carrier
# (flagfall_host/bench/modem_relay.py has the lines). Everything above sees what a board gives.

import asyncio
import socket
import struct

from micropython import const

_AF_UNIX = const(1)
_READ = const(64)
_POLL_MS = const(50)


class NetworkError(OSError):
    """The data call cannot be used; str() says why."""

    def __str__(self):
        return str(self.args[0]) if self.args else ""


async def press_key(relay, ms):
    """Press the modem's power key; the caller's clock says when it is let go."""
    s = _dial(relay, "KEY %d\n" % ms)
    stream = asyncio.StreamReader(s)
    try:
        await asyncio.wait_for_ms(stream.readline(), 2000)
    finally:
        s.close()


class Ppp:
    """The call's data: `up`, `alive`, `connect`, `down`."""

    def __init__(self, port, relay):
        self._port = port
        self._relay = relay
        self._up = False

    async def up(self, auth, user, password, limit_ms):
        """Log in (`auth`: none, pap or chap); return once there is an address. Raises
        NetworkError."""
        await self._port.write(b"LOGIN %s %s\n" % (user.encode(), password.encode()))
        said = b""
        for _ in range(limit_ms // _POLL_MS):
            said += await self._port.read(_READ, _POLL_MS)
            if b"\n" in said:
                break
        self._up = said.startswith(b"IP ")
        if b"DENIED" in said:
            raise NetworkError("the network does not take user and password")
        if not self._up:
            raise NetworkError("no address from the network")

    async def alive(self):
        """Whether the call still stands, as far as can be known at this end."""
        if self._up and b"NO CARRIER" in await self._port.read(_READ, 0):
            self._up = False
        return self._up

    async def connect(self, host, port, limit_ms):
        """A TCP connection as a non-blocking socket. Raises NetworkError."""
        s = _dial(self._relay, "TCP %s %d\n" % (host, port))
        stream = asyncio.StreamReader(s)
        said = b""
        try:
            # Byte by byte: what follows the line is the other end's.
            while not said.endswith(b"\n"):
                byte = await asyncio.wait_for_ms(stream.read(1), limit_ms)
                if not byte:
                    break
                said += byte
        except asyncio.TimeoutError:
            pass
        if said != b"OK\n":
            s.close()
            text = str(said, "ascii").strip() or "no answer"
            raise NetworkError("%s: %s" % (host, text.lower()))
        return s

    async def down(self):
        """End the data mode's stand-in; the modem driver hangs up."""
        self._up = False


def _dial(path, line):
    s = socket.socket(_AF_UNIX)
    s.connect(struct.pack("<H108s", _AF_UNIX, path.encode()))
    s.setblocking(False)
    s.write(line)
    return s
