"""Terminals' master keys in one file, sealed under a passphrase (scrypt, AES-256-GCM).

Lost means lost: the acquirer has to inject new keys then.
"""

import json
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag

from flagfall_host.acquirer.errors import KeysError
from flagfall_host.acquirer.keys import KeysInMemory
from flagfall_host.depot.key_files import open_sealed, read_private_file, seal_fields, write_new
from flagfall_host.errors import FlagfallError

SECRET_VARIABLE = "FLAGFALL_KEYS_SECRET"  # noqa: S105 - the name of a variable
_WHAT = b"flagfall terminal master keys"


class KeyFile(KeysInMemory):
    """An opened key file; a file that is not there yet is empty and made by the first `add`."""

    def __init__(self, path: Path, secret: str) -> None:
        self._path, self._secret = path, secret
        if not secret:
            raise KeysError(f"{path}: sealed: set {SECRET_VARIABLE} to its passphrase")
        super().__init__(self._read() if path.exists() else {})

    def _read(self) -> dict[str, bytes]:
        try:
            fields = json.loads(read_private_file(self._path))
            plain = open_sealed(fields, self._secret, _WHAT)
            return {name: bytes.fromhex(key) for name, key in json.loads(plain).items()}
        except FlagfallError as e:
            raise KeysError(str(e)) from e
        except InvalidTag as e:
            raise KeysError(f"{self._path}: the passphrase is not the one of this file") from e
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise KeysError(f"{self._path}: damaged; restore it from the backup") from e

    def add(self, terminal_id: str, key: bytes) -> None:
        super().add(terminal_id, key)
        plain = json.dumps({name: one.hex() for name, one in self._keys.items()}).encode()
        sealed = json.dumps(seal_fields(plain, self._secret, _WHAT)).encode() + b"\n"
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            write_new(fresh, sealed)
            fresh.replace(self._path)
        except OSError as e:
            raise KeysError(f"{self._path}: cannot be written: {e.strerror}") from e
