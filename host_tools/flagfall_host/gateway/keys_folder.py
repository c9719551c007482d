"""A gateway's folder of keys: what a machine on the internet needs, and no more.

    gateway.pem           its certificate
    gateway-private.pem   the certificate's key
    authority.pem         the fleet's CA, by which it knows the units
    master.key            the fleet's master key, in hex or sealed under a secret

The keys that open card data, sign files and issue certificates stay in the office.
"""

import datetime
import os
import ssl
from pathlib import Path

from cryptography import x509

from flagfall_host.depot.authority import GATEWAY_DAYS
from flagfall_host.depot.fleet import Fleet, UnitKeys
from flagfall_host.depot.key_files import (
    SECRET_VARIABLE,
    FleetError,
    read_private_file,
    unseal,
    write_new,
)

CERTIFICATE = "gateway.pem"
PRIVATE = "gateway-private.pem"
AUTHORITY = "authority.pem"
MASTER = "master.key"


def make_gateway_folder(
    fleet: Fleet, folder: Path, names: list[str], days: int = GATEWAY_DAYS
) -> x509.Certificate:
    """Write the folder of a gateway that units dial under `names`; renew its certificate if the
    folder is there already. Raises FleetError.
    """
    secret = os.environ.get(SECRET_VARIABLE)
    authority = fleet.authority(secret)
    issued = authority.issue_gateway(names, days)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / MASTER).exists():
            write_new(folder / MASTER, fleet.for_a_gateway(secret))
        _replace(folder / AUTHORITY, authority.pem)
        _replace(folder / PRIVATE, issued.key_pem)
        _replace(folder / CERTIFICATE, issued.certificate_pem)
    except OSError as e:
        raise FleetError(f"{folder}: the gateway's folder cannot be written: {e.strerror}") from e
    return issued.certificate


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    write_new(new, data)
    new.replace(path)


class GatewayKeys(UnitKeys):
    """An opened folder."""

    def __init__(self, folder: Path, master_key: bytes, certificate: x509.Certificate) -> None:
        super().__init__(master_key)
        self.folder = folder
        self.certificate = certificate

    def __repr__(self) -> str:
        return f"GatewayKeys({str(self.folder)!r})"

    @staticmethod
    def open(folder: Path, secret: str | None = None) -> "GatewayKeys":
        """Read a folder; `secret` defaults to the environment's. Raises FleetError."""
        if not (folder / CERTIFICATE).exists():
            raise FleetError(
                f"{folder}: no gateway's folder: `flagfall gateway certificate` makes one"
            )
        try:
            certificate = x509.load_pem_x509_certificate(read_private_file(folder / CERTIFICATE))
        except ValueError as e:
            raise FleetError(f"{folder / CERTIFICATE}: damaged; make it again") from e
        master = unseal(folder / MASTER, secret or os.environ.get(SECRET_VARIABLE))
        return GatewayKeys(folder, master, certificate)

    def left(self, now: datetime.datetime | None = None) -> datetime.timedelta:
        """How long the certificate is good for; negative: it is not any more."""
        return self.certificate.not_valid_after_utc - (now or datetime.datetime.now(datetime.UTC))

    def tls(self) -> ssl.SSLContext:
        """TLS as docs/formats.md section 10 has it, the unit's certificate demanded."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.num_tickets = 0
        try:
            context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
            context.set_ecdh_curve("prime256v1")
            read_private_file(self.folder / PRIVATE)
            context.load_cert_chain(self.folder / CERTIFICATE, self.folder / PRIVATE)
            context.load_verify_locations(self.folder / AUTHORITY)
        except (ssl.SSLError, OSError) as e:
            raise FleetError(f"{self.folder}: not a certificate and its key: {e}") from e
        return context


def unit_of(certificate_der: bytes) -> str:
    """The unit id in a certificate that the CA's signature has been checked on.

    "" when its subject is anything but one common name.
    """
    subject = x509.load_der_x509_certificate(certificate_der).subject
    names = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 and len(list(subject)) == 1 else ""
