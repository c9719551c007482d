"""The gateway's keys and its end of the clear wire: what gateway/tls_wire.py takes for TLS.

OpenSSL has a clock and a source of chance of its own, so the simulated wire goes without it. The
client's first line says whose certificate it would show.
"""

import datetime
import json
import ssl
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flagfall_host.depot.fleet import Fleet
from flagfall_host.gateway.keys_folder import GatewayKeys

_FROM = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - x509 takes naive times for UTC
_UNTIL = datetime.datetime(2040, 1, 1)  # noqa: DTZ001
_HELLO = b"CLEAR "
_LONGEST = 64


def unit_certificate(name: str, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """A certificate that says `name`, the same bytes at each making."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(_FROM).not_valid_after(_UNTIL)
    return builder.sign(key, hashes.SHA256())


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def certificate_push(name: str, key: rsa.RSAPrivateKey) -> bytes:
    """What a unit gets as `certificate`. There is no key in it: nobody asks for it here."""
    der = _der(unit_certificate(name, key)).hex()
    return json.dumps({"certificate": der, "key": "3000", "authority": "3000"}).encode()


class ClearKeys(GatewayKeys):
    """A gateway's folder of keys that makes clear wires."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._certificates: dict[str, bytes] = {}
        certificate = unit_certificate("gateway", fleet.private_key)
        super().__init__(Path("nowhere"), b"", certificate)

    def unit_key(self, unit_id: str) -> bytes:
        return self._fleet.unit_key(unit_id)

    def tls(self) -> Any:  # type: ignore[override]
        return self

    def wrap_bio(self, came: ssl.MemoryBIO, goes: ssl.MemoryBIO, server_side: bool) -> Any:
        """As ssl.SSLContext.wrap_bio."""
        return _ClearTls(self, came, goes)

    def certificate_of(self, name: str) -> bytes:
        if name not in self._certificates:
            self._certificates[name] = _der(unit_certificate(name, self._fleet.private_key))
        return self._certificates[name]


class _ClearTls:
    """As ssl.SSLObject, for what gateway/tls_wire.py asks of it."""

    def __init__(self, keys: ClearKeys, came: ssl.MemoryBIO, goes: ssl.MemoryBIO) -> None:
        self._keys = keys
        self._came = came
        self._goes = goes
        self._line = b""

    def do_handshake(self) -> None:
        while not self._line.endswith(b"\n"):
            byte = self._came.read(1)
            if not byte:
                raise ssl.SSLWantReadError
            self._line += byte
            if not (_HELLO + b"?" * _LONGEST).startswith(self._line[: len(_HELLO)]):
                raise ssl.SSLError("no clear wire")
            if len(self._line) > _LONGEST:
                raise ssl.SSLError("the first line has no end")

    def getpeercert(self, binary_form: bool) -> bytes:
        return self._keys.certificate_of(self._line[len(_HELLO) : -1].decode())

    def read(self, n: int) -> bytes:
        data = self._came.read(n)
        if not data:
            raise ssl.SSLWantReadError
        return data

    def write(self, data: bytes) -> int:
        return self._goes.write(data)

    def unwrap(self) -> None:
        """Nobody waits for a goodbye here."""
