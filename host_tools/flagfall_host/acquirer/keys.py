"""Where the terminals' master keys are, behind one small interface.

Working keys come from the acquirer under the terminal master key (TMK) and are kept as they came;
whoever holds the TMK makes MACs with them. Three places: a key in memory (tests, the simulator's
key), a file sealed by a passphrase (`key_file`), a token that speaks PKCS#11 (`token`).
"""

from collections.abc import Mapping
from typing import Protocol

from flagfall_host.acquirer.errors import KeysError
from flagfall_host.acquirer.mac import Mac, under_key
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.working_keys import load_master_key, unwrap

EVERY = "*"  # the terminal id of a key that serves all terminals without one of their own


class TerminalKeys(Protocol):
    """Holds terminals' master keys; none of them is ever handed out."""

    def mac(self, profile: Profile, terminal_id: str, wrapped: bytes) -> Mac:
        """What makes MACs under the working keys that a sign-in brought (`wrapped`, DE62).

        Raises KeysError if there is no master key, or if a working key does not match its check
        value.
        """
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
        keys = unwrap(profile, self.master_key(terminal_id), wrapped)
        return under_key(profile.mac, keys["mak"])

    def close(self) -> None:
        self._keys.clear()


def test_keys() -> KeysInMemory:
    """The project's public test key, which the simulator has too."""
    return KeysInMemory({EVERY: load_master_key()})
