"""The fleet folder: master key, RSA key pair, and the unit keys that follow from them.

    fleet.toml           name, creation time, key id
    master.key           the master key, in hex or sealed under a secret
    fleet-private.pem    opens the card data of every unit; PKCS #8, encrypted under the secret
    fleet-public.pem     what each unit is given

All files are 0600. docs/formats.md section 1 has the derivations. A folder that is lost cannot
be made again: no unit could be spoken to, and no card data opened.
"""

import datetime
import hashlib
import json
import os
import re
import secrets
import tomllib
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from flagfall_host.errors import FlagfallError

SECRET_VARIABLE = "FLAGFALL_FLEET_SECRET"  # noqa: S105 - the name of a variable
_MASTER_BYTES = 32
_RSA_BITS = 2048
_PUBLIC_EXPONENT = 65_537
_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1}
_NAME = re.compile(r"[A-Za-z0-9 ._-]{1,40}")


class FleetError(FlagfallError):
    """The fleet folder cannot be made, read or trusted."""


class Fleet:
    """An opened fleet folder. Keys are bytes and never part of its text."""

    def __init__(
        self, folder: Path, name: str, master_key: bytes, private_key: rsa.RSAPrivateKey
    ) -> None:
        self.folder = folder
        self.name = name
        self.private_key = private_key
        self._master = master_key

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

    def unit_key(self, unit_id: str) -> bytes:
        """The 32-byte key of this unit."""
        kdf = HKDF(SHA256(), 32, salt=b"flagfall", info=b"unit" + unit_id.encode())
        return kdf.derive(self._master)

    @staticmethod
    def create(folder: Path, name: str = "fleet", secret: str | None = None) -> "Fleet":
        """Make a new folder with new keys, sealed under `secret` if there is one.

        Raises FleetError if there is a fleet already.
        """
        if not _NAME.fullmatch(name):
            raise FleetError(f"fleet name {name!r}: 1 to 40 letters, digits, spaces, . _ -")
        if (folder / "fleet.toml").exists() or (folder / "master.key").exists():
            raise FleetError(
                f"{folder}: there is a fleet in this folder already; its keys are not replaced. "
                "Choose another folder"
            )
        master = secrets.token_bytes(_MASTER_BYTES)
        private = rsa.generate_private_key(_PUBLIC_EXPONENT, _RSA_BITS)
        fleet = Fleet(folder, name, master, private)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(folder / "master.key", _seal(master, secret))
            _write(folder / "fleet-private.pem", _private_pem(private, secret))
            _write(folder / "fleet-public.pem", _public_pem(private))
            _write(folder / "fleet.toml", fleet._toml(secret))
        except OSError as e:
            raise FleetError(f"{folder}: the fleet cannot be written: {e.strerror}") from e
        return fleet

    @staticmethod
    def open(folder: Path, secret: str | None = None) -> "Fleet":
        """Read a folder; `secret` defaults to the environment's FLAGFALL_FLEET_SECRET."""
        if secret is None:
            secret = os.environ.get(SECRET_VARIABLE)
        try:
            settings = tomllib.loads(_read(folder / "fleet.toml").decode())
            name = str(settings["name"])
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
            raise FleetError(f"{folder / 'fleet.toml'}: not TOML: {e}") from e
        except KeyError as e:
            raise FleetError(f"{folder / 'fleet.toml'}: {e} is missing") from e
        master = _unseal(folder / "master.key", secret)
        private = _private_key(folder / "fleet-private.pem", secret)
        fleet = Fleet(folder, name, master, private)
        if settings.get("key_id") not in (None, fleet.key_id.hex()):
            raise FleetError(
                f"{folder}: fleet-private.pem is not the key that fleet.toml names; restore both "
                "from the same backup"
            )
        return fleet

    def _toml(self, secret: str | None) -> bytes:
        made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        sealed = "true" if secret else "false"
        return (
            "# Keep a copy of this whole folder in a safe place. Without it no unit can be\n"
            "# spoken to and no card data opened; there is no second way.\n"
            f'name = "{self.name}"\ncreated = {made}\nkey_id = "{self.key_id.hex()}"\n'
            f"sealed = {sealed}\n"
        ).encode()


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def _read(path: Path) -> bytes:
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise FleetError(
                f"{path}: others on this machine may read it: run `chmod 600 {path}`, and think "
                "of who may have read it already"
            )
        return path.read_bytes()
    except FileNotFoundError as e:
        raise FleetError(
            f"{path}: not there: is {path.parent} a fleet folder? `flagfall fleet init` makes one"
        ) from e
    except OSError as e:
        raise FleetError(f"{path}: cannot be read: {e.strerror}") from e


def _derive(secret: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, **_SCRYPT).derive(secret.encode())


def _seal(master: bytes, secret: str | None) -> bytes:
    if not secret:
        return master.hex().encode() + b"\n"
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = AESGCM(_derive(secret, salt)).encrypt(nonce, master, b"flagfall master key")
    fields = {"kdf": "scrypt", "salt": salt.hex(), "nonce": nonce.hex(), "sealed": sealed.hex()}
    return json.dumps(fields).encode() + b"\n"


def _unseal(path: Path, secret: str | None) -> bytes:
    text = _read(path).decode("ascii", "replace").strip()
    try:
        if not text.startswith("{"):
            master = bytes.fromhex(text)
        else:
            if not secret:
                raise FleetError(
                    f"{path}: sealed: set {SECRET_VARIABLE} to the secret it was sealed under"
                )
            fields = json.loads(text)
            key = _derive(secret, bytes.fromhex(fields["salt"]))
            nonce, sealed = bytes.fromhex(fields["nonce"]), bytes.fromhex(fields["sealed"])
            master = AESGCM(key).decrypt(nonce, sealed, b"flagfall master key")
    except InvalidTag as e:
        raise FleetError(f"{path}: the secret is not the one it was sealed under") from e
    except (ValueError, KeyError, TypeError) as e:
        raise FleetError(f"{path}: damaged; restore it from the backup") from e
    if len(master) != _MASTER_BYTES:
        raise FleetError(f"{path}: damaged; restore it from the backup")
    return master


def _private_pem(key: rsa.RSAPrivateKey, secret: str | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(secret.encode())
        if secret
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def _public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _private_key(path: Path, secret: str | None) -> rsa.RSAPrivateKey:
    pem = _read(path)
    password = secret.encode() if secret and b"ENCRYPTED" in pem else None
    try:
        key = serialization.load_pem_private_key(pem, password)
    except TypeError as e:
        raise FleetError(
            f"{path}: sealed: set {SECRET_VARIABLE} to the secret it was sealed under"
        ) from e
    except ValueError as e:
        raise FleetError(f"{path}: damaged, or not sealed under this secret") from e
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FleetError(f"{path}: not an RSA key")
    return key
