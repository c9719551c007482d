# Sealing card data to the fleet's RSA key: what is sealed here cannot be opened here.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# docs/formats.md section 4 and record type KEY. RSAES-OAEP is RFC 8017 7.1 with SHA-256, MGF1
# with SHA-256 and an empty label; the public-key operation is the native pow(). AES is cryptolib's
# on MicroPython (mode 2, CBC) and the cryptography package's on CPython.

import hashlib
import struct

from flagfall.journal import schema

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


try:
    from cryptolib import aes as _aes
except ImportError:  # CPython
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    class _aes:  # noqa: N801 - stands for cryptolib.aes
        def __init__(self, key, _mode, iv):
            self._encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()

        def encrypt(self, data):
            return self._encryptor.update(data)


_CBC = const(2)
_AES_BLOCK = const(16)
_HASH = const(32)  # SHA-256
_DATA_KEY = const(32)
# SEQUENCE { OID 1.2.840.113549.1.1.1 rsaEncryption, NULL }, RFC 3279 2.3.1
_RSA_ALGORITHM = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"
# SHA-256 of the empty label
_LABEL_HASH = (
    b"\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24"
    b"\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55"
)


class SealError(Exception):
    """A public key that cannot be used, or data that does not fit."""


class Sealer:
    """One data key and what is sealed under it.

    `public_key` is the DER SubjectPublicKeyInfo (bytes) or (n, e) of the fleet's RSA key, 2048 to
    4096 bit. `random(n)` returns n bytes that nobody can guess. Raises SealError.
    """

    def __init__(self, public_key, random, key_number=1):
        if isinstance(public_key, (bytes, bytearray, memoryview)):
            der = bytes(public_key)
            n, e = parse_public_key(der)
            check_public_key(n, e)
        else:
            n, e = public_key
            check_public_key(n, e)
            der = build_public_key(n, e)
        self.key_number = key_number
        self.fleet_key_id = hashlib.sha256(der).digest()[:8]
        self._random = random
        self._data_key = bytearray(_drawn(random, _DATA_KEY))
        self._wrapped = oaep_encrypt(n, e, self._data_key, _drawn(random, _HASH))

    def forget(self):
        """The epoch ends: overwrite the data key. Nothing can be sealed after that."""
        for i in range(len(self._data_key)):
            self._data_key[i] = 0
        self._data_key = None

    def key_record_body(self):
        """The body of the KEY record that tells the fleet this data key."""
        return schema.pack(
            schema.KEY,
            key_number=self.key_number,
            fleet_key_id=self.fleet_key_id,
            wrapped=self._wrapped,
        )

    def seal(self, plain):
        """Return key number, IV and the encrypted `plain` (any length), see formats.md 4."""
        if self._data_key is None:
            raise SealError("the data key of this epoch is gone: start anew")
        iv = _drawn(self._random, _AES_BLOCK)
        pad = _AES_BLOCK - len(plain) % _AES_BLOCK
        padded = bytes(plain) + bytes((pad,)) * pad
        return (
            struct.pack("<H", self.key_number)
            + iv
            + _aes(self._data_key, _CBC, iv).encrypt(padded)
        )


def _drawn(random, n):
    data = bytes(random(n))
    if len(data) != n or (n >= _AES_BLOCK and data == bytes(n)):
        raise SealError("the random source gave no %d random bytes" % n)
    return data


def sealed_size(plain_length):
    """How many bytes `seal` makes of so many."""
    return 2 + _AES_BLOCK + (plain_length // _AES_BLOCK + 1) * _AES_BLOCK


# RSA


def check_public_key(n, e):
    """Raise SealError unless (n, e) can be an RSA key of 2048 to 4096 bit, in whole bytes."""
    size = _byte_length(n) if n > 0 else 0
    if not 256 <= size <= 512 or not n >> (8 * size - 1) or not n & 1:
        raise SealError("the fleet key must be an RSA key of 2048 to 4096 bit")
    if not 3 <= e < 1 << 32 or not e & 1:
        raise SealError("the fleet key's exponent %d is not an odd number below 2^32" % e)


def oaep_encrypt(n, e, message, seed):
    """RSAES-OAEP-ENCRYPT (RFC 8017 7.1.1), SHA-256, empty label; `seed` is 32 random bytes."""
    k = _byte_length(n)
    if len(message) > k - 2 * _HASH - 2:
        raise SealError("%d bytes are too many for this RSA key" % len(message))
    block = bytearray(k)
    block[1 : 1 + _HASH] = seed
    data = memoryview(block)[1 + _HASH :]
    data[:_HASH] = _LABEL_HASH
    data[len(data) - len(message) - 1] = 1
    data[len(data) - len(message) :] = message
    _mask(data, seed)
    _mask(memoryview(block)[1 : 1 + _HASH], data)
    return pow(int.from_bytes(block, "big"), e, n).to_bytes(k, "big")


def _mask(target, seed):
    """XOR `target` with MGF1(seed) (RFC 8017 B.2.1)."""
    offset = counter = 0
    while offset < len(target):
        digest = hashlib.sha256(seed)
        digest.update(struct.pack(">I", counter))
        for byte in digest.digest():
            if offset == len(target):
                break
            target[offset] ^= byte
            offset += 1
        counter += 1


def _byte_length(number):
    length = 0
    while number:
        number >>= 8
        length += 1
    return length


# DER (X.690), as much of it as a SubjectPublicKeyInfo needs. Only the one right encoding is taken.


def parse_public_key(der):
    """(n, e) of a DER SubjectPublicKeyInfo of an RSA key. Raises SealError for anything else."""
    outer, stop = _element(der, 0, len(der), 0x30)
    if stop != len(der):
        raise SealError("the public key has bytes after its end")
    start = outer + len(_RSA_ALGORITHM)
    if bytes(der[outer:start]) != _RSA_ALGORITHM:
        raise SealError("the public key is not an RSA key")
    bits, stop = _element(der, start, stop, 0x03)
    if stop != len(der) or bits == stop or der[bits] != 0:
        raise SealError("the public key's bit string is malformed")
    inner, stop = _element(der, bits + 1, stop, 0x30)
    if stop != len(der):
        raise SealError("the public key has bytes after its end")
    n, after = _integer(der, inner, stop)
    e, after = _integer(der, after, stop)
    if after != stop:
        raise SealError("the public key has bytes after its end")
    return n, e


def _element(der, offset, stop, tag):
    """Offsets of the content and of the end of the element with `tag` at `offset`."""
    if offset + 2 > stop or der[offset] != tag:
        raise SealError("the public key is not a DER SubjectPublicKeyInfo")
    length = der[offset + 1]
    offset += 2
    if length >= 0x80:
        more = length & 0x7F
        if not 1 <= more <= 2 or offset + more > stop:
            raise SealError("the public key has a malformed length")
        length = int.from_bytes(der[offset : offset + more], "big")
        offset += more
        if length < 0x80 or (more == 2 and length < 0x100):
            raise SealError("the public key has a malformed length")
    if offset + length > stop:
        raise SealError("the public key is cut short")
    return offset, offset + length


def _integer(der, offset, stop):
    start, end = _element(der, offset, stop, 0x02)
    if start == end or der[start] & 0x80:
        raise SealError("the public key holds a number that is not positive")
    if der[start] == 0 and (end - start == 1 or not der[start + 1] & 0x80):
        raise SealError("the public key holds a number that is not minimal")
    return int.from_bytes(der[start:end], "big"), end


def build_public_key(n, e):
    """The DER SubjectPublicKeyInfo of an RSA key."""
    numbers = _der(0x30, _der_integer(n) + _der_integer(e))
    return _der(0x30, _RSA_ALGORITHM + _der(0x03, b"\0" + numbers))


def _der_integer(number):
    raw = number.to_bytes(_byte_length(number), "big")
    return _der(0x02, b"\0" + raw if raw[0] & 0x80 else raw)


def _der(tag, content):
    n = len(content)
    if n < 0x80:
        length = bytes((n,))
    elif n < 0x100:
        length = bytes((0x81, n))
    else:
        length = bytes((0x82, n >> 8, n & 0xFF))
    return bytes((tag,)) + length + content
