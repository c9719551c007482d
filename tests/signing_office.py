# An office with a small test key, for tests on both runtimes: signs files as the host does.
# MIT licence, (c) 2026 The Flagfall contributors.

import hashlib

from flagfall import signed_file

# A test key of 512 bits: no office has such a short one.
N = int(
    "b36e8c72be7cb4cbf92522e6858d17e51227e058cf1eb1973a6a191c812f2832"
    "977494237652ddc7a437348047390fc93a549ac2bf8b94b2bede64e640ee06c9",
    16,
)
_D = int(
    "151f67733e8f69ad356834c2946836aee5c341fad26f1792e8f282804388ec9f"
    "4d86025b7bdf620c026f11e36d896ff82941678a50e24333e4baa95debf5ad3d",
    16,
)
PUBLIC_KEY = (N, 65537)
_TAIL = b"\0" + bytes.fromhex("3031300d060960864801650304020105000420")


def sign(message):
    tail = _TAIL + hashlib.sha256(message).digest()
    block = b"\0\1" + b"\xff" * (62 - len(tail)) + tail
    return pow(int.from_bytes(block, "big"), _D, N).to_bytes(64, "big")


def signed(kind, content, version=1, unit_id="", made=825000000):
    """A whole signed file."""
    digest = hashlib.sha256(content).digest()
    head = signed_file.to_sign(kind, unit_id, version, made, len(content), digest)
    return signed_file.close(head, sign(signed_file.message(head))) + content
