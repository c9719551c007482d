"""Opening what a unit sealed, with the fleet's RSA private key (docs/formats.md section 4).

Only the maker of an acquirer message opens sealed data, and it keeps what it opened to itself.
"""

import hashlib
from bisect import bisect_right, insort
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from flagfall.journal import schema
from flagfall.journal.record import Record

from flagfall_host.errors import FlagfallError

_OAEP = rsa_padding.OAEP(
    mgf=rsa_padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None
)


class SealedDataError(FlagfallError):
    """Sealed data, or the key to it, that does not open."""


def load_private_key(path: Path | str, password: bytes | None = None) -> rsa.RSAPrivateKey:
    """The fleet's RSA private key from a PEM or DER file (PKCS#8). Raises SealedDataError."""
    try:
        raw = Path(path).read_bytes()
        if raw.lstrip().startswith(b"-----"):
            key = serialization.load_pem_private_key(raw, password)
        else:
            key = serialization.load_der_private_key(raw, password)
    except OSError as e:
        raise SealedDataError(f"{path}: {e.strerror}: give the fleet's private key file") from e
    except (ValueError, TypeError) as e:
        raise SealedDataError(f"{path} is not a private key that opens: check the file") from e
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SealedDataError(f"{path} is not an RSA key: give the fleet's private key file")
    return key


def fleet_key_id(private_key: rsa.RSAPrivateKey) -> bytes:
    """The 8 bytes by which KEY records name the fleet key."""
    der = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).digest()[:8]


class SealedData:
    """The data keys of one unit's epochs, and what they open.

    Give it every KEY record (`learn`), before or after the payments; it keeps them wrapped until
    one is needed.
    """

    def __init__(self, private_key: rsa.RSAPrivateKey):
        self._private_key = private_key
        self._fleet_key_id = fleet_key_id(private_key)
        self._wrapped: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._epochs: dict[int, list[int]] = {}  # of each key number, in order
        # The data key used last: payments come in runs of one epoch, and RSA takes milliseconds.
        self._opened: tuple[bytes, bytes] = (b"", b"")

    def learn(self, records: Iterable[Record]) -> None:
        """Take the KEY records among `records`. Raises SealedDataError for a malformed one."""
        for record in records:
            if record.type == schema.KEY:
                self.learn_key(record.epoch, record.body)

    def learn_key(self, epoch: int, key_body: bytes) -> None:
        """Take the body of a KEY record of `epoch`."""
        try:
            fields = schema.unpack(schema.KEY, key_body)
        except schema.SchemaError as e:
            raise SealedDataError(f"a KEY record of epoch {epoch} is malformed: {e}") from e
        place = (epoch, fields["key_number"])
        if place not in self._wrapped:
            insort(self._epochs.setdefault(place[1], []), epoch)
        self._wrapped[place] = (fields["fleet_key_id"], fields["wrapped"])

    def open(self, epoch: int, sealed: bytes) -> bytes:
        """The plain card data (BER-TLV) of a PAYMENT of `epoch`. Raises SealedDataError."""
        if len(sealed) < 34 or (len(sealed) - 18) % 16:
            raise SealedDataError(f"sealed data of {len(sealed)} bytes is malformed")
        number = int.from_bytes(sealed[:2], "little")
        # A tap cut off by the power is recorded after the restart, sealed under the key before it.
        epochs = self._epochs.get(number, [])
        at = bisect_right(epochs, epoch)
        if not at:
            raise SealedDataError(
                f"no KEY record of epoch {epoch}, key {number}: pull the unit's whole journal"
            )
        key_id, wrapped = self._wrapped[epochs[at - 1], number]
        if key_id != self._fleet_key_id:
            raise SealedDataError(
                f"epoch {epoch} is sealed to fleet key {key_id.hex()}, this is "
                f"{self._fleet_key_id.hex()}: give the fleet key of that time"
            )
        try:
            if self._opened[0] != wrapped:
                self._opened = (wrapped, self._private_key.decrypt(wrapped, _OAEP))
            data_key = self._opened[1]
            decryptor = Cipher(algorithms.AES256(data_key), modes.CBC(sealed[2:18])).decryptor()
            unpadder = padding.PKCS7(128).unpadder()
            padded = decryptor.update(sealed[18:]) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError as e:
            raise SealedDataError(
                f"sealed data of epoch {epoch}, key {number} does not open: it is damaged"
            ) from e
