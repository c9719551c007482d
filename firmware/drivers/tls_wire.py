# TLS over a connected socket, without ever waiting for the other end.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# What takes time is our own arithmetic: the step of the handshake that follows the gateway's
# certificate (P-256, several multiplications) is done in one go by mbedTLS and cannot be divided.
# Who calls `handshake` chooses the moment (docs/uplink.md has the figures).

import asyncio
import ssl

from micropython import const

_PIECE = const(1024)
# What TLS adds, for the count of bytes: header 5, nonce 8 and tag 16 of AES-GCM (RFC 5288).
RECORD_BYTES = const(29)
HANDSHAKE_UP = const(750)  # mutual P-256, as measured; +-10 %
HANDSHAKE_DOWN = const(1200)


class CertificateRefused(Exception):
    """The gateway's certificate is not one to talk to: name, date or authority."""


class TlsError(OSError):
    """The connection is gone; str() says how."""

    def __str__(self):
        return str(self.args[0]) if self.args else ""


def client_context(certificate, key, authority):
    """A context that shows `certificate` and trusts `authority` alone. All DER. ValueError if
    they make no sense."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=authority)
    return context


class TlsWire:
    """`read`, `write`, `close` over `connection`, a connected non-blocking socket.

    `name` is what the gateway's certificate must say. `up` and `down` count bytes, TLS's own
    included (estimated). Raises CertificateRefused and TlsError.
    """

    def __init__(self, connection, context, name):
        self._socket = connection
        self._tls = context.wrap_socket(
            connection, server_hostname=name, do_handshake_on_connect=False
        )
        self._tls.setblocking(False)
        self._stream = asyncio.StreamReader(self._tls)
        self._first = b""
        self.up = HANDSHAKE_UP
        self.down = HANDSHAKE_DOWN

    async def handshake(self, limit_ms):
        """Shake hands; return when the gateway has spoken, as it does first."""
        # The first read sends our hello; each goes on with what has come.
        self._first = self._now(_PIECE)
        if not self._first:
            self._first = await self.read(_PIECE, limit_ms)
        if not self._first:
            raise TlsError("the gateway did not speak within %d s" % (limit_ms // 1000))

    async def read(self, n, timeout_ms):
        """Return 1 to `n` bytes as soon as any are there, b"" after `timeout_ms`."""
        if self._first:
            data, self._first = self._first[:n], self._first[n:]
            return data
        await asyncio.sleep_ms(0)
        data = self._now(n)
        if data or timeout_ms <= 0:
            return data
        try:
            data = await asyncio.wait_for_ms(self._stream.read(n), timeout_ms)
        except asyncio.TimeoutError:
            return b""
        except (OSError, ValueError) as e:
            raise _error(e) from None
        return self._came(data)

    def _now(self, n):
        try:
            data = self._tls.read(n)
        except (OSError, ValueError) as e:
            raise _error(e) from None
        return b"" if data is None else self._came(data)

    def _came(self, data):
        if not data:
            raise TlsError("the gateway closed the connection")
        self.down += len(data) + RECORD_BYTES
        return data

    async def write(self, data, limit_ms):
        """Send all of `data`."""
        self._stream.write(data)
        try:
            await asyncio.wait_for_ms(self._stream.drain(), limit_ms)
        except asyncio.TimeoutError:
            raise TlsError("nothing could be sent for %d s" % (limit_ms // 1000)) from None
        except (OSError, ValueError) as e:
            raise _error(e) from None
        self.up += len(data) + RECORD_BYTES

    def close(self):
        """Say goodbye if it can be said at once, and let go."""
        try:
            self._tls.close()
        except (OSError, ValueError):
            pass  # it is gone already
        try:
            self._socket.close()
        except OSError:
            pass


def _error(e):
    # MicroPython raises ValueError with mbedTLS's words for a certificate that does not verify.
    if isinstance(e, ValueError):
        text = " ".join(str(e).split())
        return CertificateRefused(text[:90] or "certificate refused")
    return TlsError("connection lost (%s)" % (e.args[-1] if e.args else "?"))
