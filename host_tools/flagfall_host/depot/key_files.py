"""Files of keys: written once, with rights for their owner only, sealed under a secret.

A key of raw bytes is sealed with AES-256-GCM under scrypt; a private key is PKCS #8, encrypted.
"""

import json
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from flagfall_host.errors import FlagfallError

SECRET_VARIABLE = "FLAGFALL_FLEET_SECRET"  # noqa: S105 - the name of a variable
MASTER_BYTES = 32
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_MASTER = b"flagfall master key"
_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1}


class FleetError(FlagfallError):
    """The fleet folder cannot be made, read or trusted."""


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not be there yet, 0600 and on the disk. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def read_private_file(path: Path) -> bytes:
    """The content of a file that nobody else may read. Raises FleetError."""
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


def seal(master: bytes, secret: str | None) -> bytes:
    """A master key as it stands in its file; without a secret in plain hex."""
    if not secret:
        return master.hex().encode() + b"\n"
    return json.dumps(seal_fields(master, secret, _MASTER)).encode() + b"\n"


def seal_fields(data: bytes, secret: str, what: bytes) -> dict[str, str]:
    """`data` sealed under `secret`, as named fields in hex; `what` is bound into the seal."""
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = AESGCM(_derive(secret, salt)).encrypt(nonce, data, what)
    return {"kdf": "scrypt", "salt": salt.hex(), "nonce": nonce.hex(), "sealed": sealed.hex()}


def open_sealed(fields: dict[str, str], secret: str, what: bytes) -> bytes:
    """What `seal_fields` sealed. Raises InvalidTag for another secret, ValueError, KeyError."""
    key = _derive(secret, bytes.fromhex(fields["salt"]))
    return AESGCM(key).decrypt(
        bytes.fromhex(fields["nonce"]), bytes.fromhex(fields["sealed"]), what
    )


def unseal(path: Path, secret: str | None) -> bytes:
    """The master key in a file that `seal` made. Raises FleetError."""
    text = read_private_file(path).decode("ascii", "replace").strip()
    try:
        if not text.startswith("{"):
            master = bytes.fromhex(text)
        else:
            if not secret:
                raise FleetError(
                    f"{path}: sealed: set {SECRET_VARIABLE} to the secret it was sealed under"
                )
            master = open_sealed(json.loads(text), secret, _MASTER)
    except InvalidTag as e:
        raise FleetError(f"{path}: the secret is not the one it was sealed under") from e
    except (ValueError, KeyError, TypeError) as e:
        raise FleetError(f"{path}: damaged; restore it from the backup") from e
    if len(master) != MASTER_BYTES:
        raise FleetError(f"{path}: damaged; restore it from the backup")
    return master


def private_pem(key: PrivateKey, secret: str | None) -> bytes:
    """PKCS #8 in PEM, encrypted if there is a secret."""
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(secret.encode())
        if secret
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def read_private(path: Path, secret: str | None) -> PrivateKey:
    """The key in a file that `private_pem` made. Raises FleetError."""
    pem = read_private_file(path)
    password = secret.encode() if secret and b"ENCRYPTED" in pem else None
    try:
        key = serialization.load_pem_private_key(pem, password)
    except TypeError as e:
        raise FleetError(
            f"{path}: sealed: set {SECRET_VARIABLE} to the secret it was sealed under"
        ) from e
    except ValueError as e:
        raise FleetError(f"{path}: damaged, or not sealed under this secret") from e
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise FleetError(f"{path}: neither an RSA nor an elliptic-curve key")
    return key
