"""Signed files: the office's signature, version and date around what goes to its units.

docs/formats.md section 7. The layout and the check are the firmware's own, flagfall.signed_file.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from flagfall import signed_file


def sign_file(
    private_key: RSAPrivateKey,
    kind: str,
    content: bytes,
    version: int,
    made: int,
    unit_id: str = "",
) -> bytes:
    """The file as it is pushed. `made`: UTC seconds since 2000; `unit_id` empty: any unit."""
    digest = hashlib.sha256(content).digest()
    head = signed_file.to_sign(kind, unit_id, version, made, len(content), digest)
    signature = private_key.sign(signed_file.message(head), PKCS1v15(), SHA256())
    return signed_file.close(head, signature) + content
