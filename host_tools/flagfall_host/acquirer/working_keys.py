"""Working keys: as the sign-in answer brings them, under the terminal master key.

Only the wrapped form is ever stored. Each key is checked against its key check value.
"""

import os
import tomllib
from pathlib import Path

from flagfall_host.acquirer.errors import KeysError
from flagfall_host.acquirer.mac import Des, check_value, tdes
from flagfall_host.acquirer.profile import Profile

# Public test key of this project's simulator. A live terminal's TMK is injected by the acquirer.
TEST_MASTER_KEY = Path(__file__).parent / "test_terminal_master_key.toml"


def load_master_key(path: Path = TEST_MASTER_KEY) -> bytes:
    """The terminal master key, 16 bytes, from a TOML file with `tmk` in hex."""
    try:
        key = bytes.fromhex(tomllib.loads(path.read_text(encoding="ascii"))["tmk"])
    except (OSError, ValueError, KeyError, tomllib.TOMLDecodeError) as e:
        raise KeysError(f"{path}: no terminal master key there ({type(e).__name__})") from e
    if len(key) != 16:
        raise KeysError(f"{path}: the terminal master key has 16 bytes, not {len(key)}")
    return key


def unwrap(profile: Profile, decrypt: Des, wrapped: bytes) -> dict[str, bytes]:
    """Working keys by name from DE62; `decrypt` is 3DES under the master key.

    Raises KeysError if a length or a check value is wrong.
    """
    keys = {}
    at = 0
    for layout in profile.keys:
        size = layout.bytes + layout.padding + layout.check
        part = wrapped[at : at + size]
        if len(part) != size:
            raise KeysError(
                f"DE62 of the sign-in answer has {len(wrapped)} bytes, the profile "
                f"{profile.name} expects more: is this the acquirer's key layout?"
            )
        key = decrypt(part[: layout.bytes])
        if check_value(key)[: layout.check] != part[size - layout.check :]:
            raise KeysError(
                f"the {layout.name} from the sign-in does not match its check value: is the "
                "terminal master key the one that the acquirer has?"
            )
        keys[layout.name] = key
        at += size
    return keys


def wrap(profile: Profile, tmk: bytes, keys: dict[str, bytes]) -> bytes:
    """DE62 for `keys` by name: the acquirer's side of `unwrap`."""
    out = b""
    for layout in profile.keys:
        key = keys[layout.name]
        out += tdes(tmk, key) + bytes(layout.padding) + check_value(key)[: layout.check]
    return out


def fresh_keys(profile: Profile) -> dict[str, bytes]:
    """Random working keys of the profile's sizes, with odd parity as DES keys have."""
    return {
        layout.name: bytes(_odd(b) for b in os.urandom(layout.bytes)) for layout in profile.keys
    }


def _odd(byte: int) -> int:
    high = byte & 0xFE
    return high | (1 - high.bit_count() % 2)
