"""The fleet folder: master key, RSA key pair, and the unit keys that follow from them.

    fleet.toml           name, creation time, key id
    master.key           the master key, in hex or sealed under a secret
    fleet-private.pem    opens the card data of every unit; PKCS #8, encrypted under the secret
    fleet-public.pem     what each unit is given
    authority.pem        the certificate authority of the uplink, and its private key beside it

All files are 0600. docs/formats.md section 1 has the derivations. A folder that is lost cannot
be made again: no unit could be spoken to, and no card data opened.
"""

import datetime
import hashlib
import os
import re
import secrets
import tomllib
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flagfall_host.depot.authority import Authority
from flagfall_host.depot.key_files import (
    MASTER_BYTES,
    SECRET_VARIABLE,
    FleetError,
    private_pem,
    read_private,
    read_private_file,
    seal,
    unseal,
    write_new,
)

__all__ = ["SECRET_VARIABLE", "Fleet", "FleetError", "UnitKeys"]

_RSA_BITS = 2048
_PUBLIC_EXPONENT = 65_537
_NAME = re.compile(r"[A-Za-z0-9 ._-]{1,40}")


class UnitKeys:
    """The keys of all units of a fleet, each derived from the master key when it is asked for."""

    def __init__(self, master_key: bytes) -> None:
        self._master = master_key

    def unit_key(self, unit_id: str) -> bytes:
        """The 32-byte key of this unit."""
        kdf = HKDF(SHA256(), 32, salt=b"flagfall", info=b"unit" + unit_id.encode())
        return kdf.derive(self._master)


class Fleet(UnitKeys):
    """An opened fleet folder. Keys are bytes and never part of its text."""

    def __init__(
        self, folder: Path, name: str, master_key: bytes, private_key: rsa.RSAPrivateKey
    ) -> None:
        self.folder = folder
        self.name = name
        self.private_key = private_key
        super().__init__(master_key)

    def __repr__(self) -> str:
        return f"Fleet({self.name!r}, {str(self.folder)!r})"

    @property
    def public_der(self) -> bytes:
        """The fleet's public key, DER SubjectPublicKeyInfo."""
        return self.private_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def key_id(self) -> bytes:
        """8 bytes that name the fleet key in KEY records."""
        return hashlib.sha256(self.public_der).digest()[:8]

    @staticmethod
    def must_be_free(folder: Path) -> None:
        """Raise FleetError if there is a fleet in `folder` already."""
        if (folder / "fleet.toml").exists() or (folder / "master.key").exists():
            raise FleetError(
                f"{folder}: there is a fleet in this folder already; its keys are not replaced. "
                "Choose another folder"
            )

    @staticmethod
    def create(folder: Path, name: str = "fleet", secret: str | None = None) -> "Fleet":
        """Make a new folder with new keys, sealed under `secret` if there is one.

        Raises FleetError if there is a fleet already.
        """
        if not _NAME.fullmatch(name):
            raise FleetError(f"fleet name {name!r}: 1 to 40 letters, digits, spaces, . _ -")
        Fleet.must_be_free(folder)
        master = secrets.token_bytes(MASTER_BYTES)
        private = rsa.generate_private_key(_PUBLIC_EXPONENT, _RSA_BITS)
        fleet = Fleet(folder, name, master, private)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_new(folder / "master.key", seal(master, secret))
            write_new(folder / "fleet-private.pem", private_pem(private, secret))
            write_new(folder / "fleet-public.pem", _public_pem(private))
            Authority.create(folder, name, secret)
            write_new(folder / "fleet.toml", fleet._toml(secret))
        except OSError as e:
            raise FleetError(f"{folder}: the fleet cannot be written: {e.strerror}") from e
        return fleet

    @staticmethod
    def open(folder: Path, secret: str | None = None) -> "Fleet":
        """Read a folder; `secret` defaults to the environment's FLAGFALL_FLEET_SECRET."""
        if secret is None:
            secret = os.environ.get(SECRET_VARIABLE)
        try:
            settings = tomllib.loads(read_private_file(folder / "fleet.toml").decode())
            name = str(settings["name"])
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
            raise FleetError(f"{folder / 'fleet.toml'}: not TOML: {e}") from e
        except KeyError as e:
            raise FleetError(f"{folder / 'fleet.toml'}: {e} is missing") from e
        master = unseal(folder / "master.key", secret)
        private = read_private(folder / "fleet-private.pem", secret)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise FleetError(f"{folder / 'fleet-private.pem'}: not an RSA key")
        fleet = Fleet(folder, name, master, private)
        if settings.get("key_id") not in (None, fleet.key_id.hex()):
            raise FleetError(
                f"{folder}: fleet-private.pem is not the key that fleet.toml names; restore both "
                "from the same backup"
            )
        return fleet

    def for_a_gateway(self, secret: str | None = None) -> bytes:
        """The master key as a gateway's folder holds it, sealed under `secret` if there is one.

        A gateway proves units and checks records with it. It opens no card data and signs nothing.
        """
        return seal(self._master, secret)

    def authority(self, secret: str | None = None) -> Authority:
        """The fleet's CA; `secret` as in `open`. Raises FleetError."""
        return Authority.open(self.folder, secret or os.environ.get(SECRET_VARIABLE))

    def _toml(self, secret: str | None) -> bytes:
        made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        sealed = "true" if secret else "false"
        return (
            "# Keep a copy of this whole folder in a safe place. Without it no unit can be\n"
            "# spoken to and no card data opened; there is no second way.\n"
            f'name = "{self.name}"\ncreated = {made}\nkey_id = "{self.key_id.hex()}"\n'
            f"sealed = {sealed}\n"
        ).encode()


def _public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
