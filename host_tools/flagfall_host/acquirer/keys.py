"""Where the terminals' master keys are, behind one small interface.

Working keys come from the acquirer under the terminal master key (TMK) and are kept as they came;
whoever holds the TMK makes MACs with them. Three places: a key in memory (tests, the simulator's
key), a file sealed by a passphrase (`key_file`), a token that speaks PKCS#11 (`token_keys`).
"""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from flagfall_host.acquirer.errors import KeysError
from flagfall_host.acquirer.mac import Mac, check_value, tdes, under_key
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.working_keys import load_master_key, unwrap

EVERY = "*"  # the terminal id of a key that serves all terminals without one of their own


MASTER_BYTES = 16


class TerminalKeys(Protocol):
    """Holds terminals' master keys; none of them is ever handed out."""

    def mac(self, profile: Profile, terminal_id: str, wrapped: bytes) -> Mac:
        """What makes MACs under the working keys that a sign-in brought (`wrapped`, DE62).

        Raises KeysError if there is no master key, or if a working key does not match its check
        value.
        """
        ...

    def add(self, terminal_id: str, key: bytes) -> None:
        """Keep a terminal's master key of 16 bytes, in place of the one before it."""
        ...

    def check_values(self) -> dict[str, str]:
        """Terminal id -> key check value, 8 hex digits: what custodians compare."""
        ...

    def close(self) -> None:
        """Give up what is held."""
        ...


class KeysInMemory:
    """Master keys by terminal id; `EVERY` stands for all others. Its text shows no key."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)

    def __repr__(self) -> str:
        return f"KeysInMemory({len(self._keys)})"

    def master_key(self, terminal_id: str) -> bytes:
        """Raises KeysError."""
        key = self._keys.get(terminal_id) or self._keys.get(EVERY)
        if key is None:
            raise KeysError(
                f"no master key for terminal {terminal_id}: `flagfall acquirer keys add` takes it"
            )
        return key

    def mac(self, profile: Profile, terminal_id: str, wrapped: bytes) -> Mac:
        decrypt = functools.partial(tdes, self.master_key(terminal_id), decrypt=True)
        return under_key(profile.mac, unwrap(profile, decrypt, wrapped)["mak"])

    def add(self, terminal_id: str, key: bytes) -> None:
        if len(key) != MASTER_BYTES:
            raise KeysError(f"a terminal master key has 16 bytes, not {len(key)}")
        self._keys[terminal_id] = key

    def check_values(self) -> dict[str, str]:
        return {name: check_value(key).hex().upper() for name, key in self._keys.items()}

    def close(self) -> None:
        self._keys.clear()


def open_keys(where: str, secret: str | None = None) -> TerminalKeys:
    """The keys that `where` names: a sealed file, `pkcs11:...`, TOML with `tmk`; "": the test key.

    `secret` is the file's passphrase or the token's PIN; default: the environment's.
    """
    from flagfall_host.acquirer import key_file, token_keys  # they need this module

    if not where:
        return public_test_keys()
    if where.startswith(token_keys.SCHEME):
        return token_keys.TokenKeys(where, secret)
    if where.endswith(".toml"):
        return KeysInMemory({EVERY: load_master_key(Path(where))})
    if secret is None:
        secret = os.environ.get(key_file.SECRET_VARIABLE, "")
    return key_file.KeyFile(Path(where), secret)


def public_test_keys() -> KeysInMemory:
    """The project's public test key, which the simulator has too."""
    return KeysInMemory({EVERY: load_master_key()})
