"""The fleet of a simulation: always the same test keys, so that the same seed is the same run."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flagfall_host.depot.fleet import Fleet

TEST_KEY = Path(__file__).with_name("test_fleet_key.pem")
_TEST_MASTER = bytes(range(32))


def test_fleet(folder: Path) -> Fleet:
    """A fleet under public test keys; nothing is written."""
    key = serialization.load_pem_private_key(TEST_KEY.read_bytes(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{TEST_KEY}: not an RSA key")
    return Fleet(folder, "simulation", _TEST_MASTER, key)
