"""The fleet's certificate authority: who may dial in, and who may be dialled.

    authority.pem           the CA's certificate, which every unit and every gateway trusts
    authority-private.pem   its private key; stays in the office, encrypted under the secret

docs/formats.md section 10 has the profiles. ECDSA on P-256 throughout: a mutual handshake is then
half as long as with RSA, and a unit's TLS needs a third of the memory.
"""

import datetime
import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flagfall_host.depot.key_files import FleetError, private_pem, read_private, write_new

CERTIFICATE = "authority.pem"
PRIVATE = "authority-private.pem"
UNIT_DAYS = 20 * 365  # longer than a taximeter lives
GATEWAY_DAYS = 825
_AUTHORITY_DAYS = 23 * 365
_BEFORE = datetime.timedelta(days=1)  # for a clock that is a little late
_DNS = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_P256 = ec.SECP256R1()


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"Issued({self.certificate.subject.rfc4514_string()})"  # never the key

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Not encrypted: a gateway starts without anyone who types."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    @property
    def key_der(self) -> bytes:
        """SEC 1 ECPrivateKey (RFC 5915), as a unit takes it."""
        return self.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )


class Authority:
    """An opened CA."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @staticmethod
    def create(folder: Path, fleet: str, secret: str | None = None) -> "Authority":
        """Make the CA of the fleet in `folder`. Raises FleetError if there is one."""
        if (folder / PRIVATE).exists():
            raise FleetError(f"{folder}: there is an authority already; it is not replaced")
        key = ec.generate_private_key(_P256)
        name = _name(f"{fleet} authority")
        now = _now()
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + datetime.timedelta(days=_AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(True, 0), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, SHA256())
        )
        try:
            write_new(folder / PRIVATE, private_pem(key, secret))
            write_new(folder / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))
        except OSError as e:
            raise FleetError(f"{folder}: the authority cannot be written: {e.strerror}") from e
        return Authority(certificate, key)

    @staticmethod
    def open(folder: Path, secret: str | None = None) -> "Authority":
        """Read the CA of a fleet folder. Raises FleetError."""
        if not (folder / PRIVATE).exists():
            raise FleetError(
                f"{folder}: no certificate authority in this fleet folder: restore "
                f"{PRIVATE} and {CERTIFICATE} from the backup; a folder that never had them gets "
                "them by `flagfall fleet authority`"
            )
        key = read_private(folder / PRIVATE, secret)
        path = folder / CERTIFICATE
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except OSError as e:
            raise FleetError(f"{path}: cannot be read: {e.strerror}") from e
        except ValueError as e:
            raise FleetError(f"{path}: damaged; restore it from the backup") from e
        if not isinstance(key, ec.EllipticCurvePrivateKey) or (
            certificate.public_key() != key.public_key()
        ):
            raise FleetError(
                f"{folder}: {PRIVATE} is not the key of {CERTIFICATE}: restore both from the "
                "same backup"
            )
        return Authority(certificate, key)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def issue_unit(self, unit_id: str, days: int = UNIT_DAYS) -> Issued:
        """The certificate with which this unit dials in."""
        return self._issue(unit_id, days, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def issue_gateway(self, names: list[str], days: int = GATEWAY_DAYS) -> Issued:
        """The certificate of a gateway that units may dial under any of `names` (DNS or IP)."""
        if not names:
            raise FleetError("a gateway needs at least one name that the units dial")
        kind = ExtendedKeyUsageOID.SERVER_AUTH
        return self._issue(names[0], days, kind, [_general_name(n) for n in names])

    def _issue(
        self, cn: str, days: int, kind: x509.ObjectIdentifier, names: list[x509.GeneralName]
    ) -> Issued:
        key = ec.generate_private_key(_P256)
        now = _now()
        until = min(now + datetime.timedelta(days=days), self.certificate.not_valid_after_utc)
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        mine = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(cn))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, until) - _BEFORE)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(usage, True)
            .add_extension(x509.ExtendedKeyUsage([kind]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(mine), False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        return Issued(builder.sign(self._key, SHA256()), key)


def certificate_file(authority: Authority, issued: Issued) -> bytes:
    """What a unit is given as kind `certificate` (docs/formats.md section 7)."""
    fields = {
        "certificate": issued.certificate.public_bytes(serialization.Encoding.DER).hex(),
        "key": issued.key_der.hex(),
        "authority": authority.der.hex(),
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def _name(cn: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if len(name) > 64 or not _DNS.fullmatch(name):
        raise FleetError(f"{name!r} is neither a host's name (at most 64 characters) nor an IP")
    return x509.DNSName(name)
