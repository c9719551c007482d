# Sealing on both runtimes: what is sealed opens with the private key by RFC 8017 and AES-CBC
# written down here again; every malformed public key is refused. The key is a test key.

import hashlib

from expect import raises
from flagfall import seal
from flagfall.journal import schema

try:
    from cryptolib import aes
except ImportError:  # CPython
    aes = None

# A 2048-bit RSA test key, used for nothing but this.
N = int(
    "91a4c88487c0b4dbdc9c98876d146148167f7752f03b4229fe24a24288c433a74864116830726fc8e81a6e23"
    "29fbe26b117ffda0a75b88bce7720adec735312ee0f08322e5173c7844aa43a49b765265288e33bf0adaf109"
    "3c2752f3ca6114b94b90af99b745102826378777a43307988c5cc594104a820b2b1abe78cf54a3bbd4d9fb41"
    "6560db32cb391acc7d8de3c8843231f2c6cb6cd527322dc2ce12dbcf6dcd69c6f044789eb517f4811f51aa2b"
    "e823cf2db838685a2f9df75123de02b5695edf39eced95f4b021fded2177a549e84dc3fec1f8009a0f954a50"
    "f52af22701a23b4a7c34321fa44453dde286d3572c0cee33b0609c77c100f9a60dcea4b9",
    16,
)
E = 65537
D = int(
    "3b219c07b2d61a97e949eae390f5e5494f5911292b3fe3ed08b1f6eeec783c407eb3a21d9b0ddb34c687748f"
    "f24bc1f1967950901962a07191c64b83877da12a57494ef4abee732ea1323fa46539f4d9fd4d3ed521a32299"
    "8d42a9fb30ff995a61c3ac87cc50cdee7f15ac7a76c001257e576c20613cdeef89e0a1d48ad8e260933f377f"
    "d0cb4f9dd1105287fcfc6ce9b1f2ed912f3293f6463eb214cb18d4e665d788b7d1d813714493c2f0561b8856"
    "5128231afcce7f6705870e374e8144be76ed072e4388fb2e57ab2c040f631eb41224563ca86d3cd089e17d9b"
    "11b93459fb3ae0cb30290a4928e9a704a90b5ebd1ebd1840c3ead58c96c19ee282dbbb01",
    16,
)


class Counted:
    # Random bytes that are the same in each run: SHA-256 of a counter.
    def __init__(self):
        self.given = []

    def __call__(self, n):
        self.given.append(hashlib.sha256(b"%d" % len(self.given)).digest()[:n])
        return self.given[-1]


def sealer(key=(N, E), key_number=1):
    random = Counted()
    return seal.Sealer(key, random, key_number), random


def mgf1(seed, n):
    out = b""
    counter = 0
    while len(out) < n:
        out += hashlib.sha256(seed + counter.to_bytes(4, "big")).digest()
        counter += 1
    return out[:n]


def xor(a, b):
    return bytes([a[i] ^ b[i] for i in range(len(a))])


def oaep_decrypt(wrapped):
    # RFC 8017 7.1.2
    em = pow(int.from_bytes(wrapped, "big"), D, N).to_bytes(256, "big")
    assert em[0] == 0
    seed = xor(em[1:33], mgf1(em[33:], 32))
    data = xor(em[33:], mgf1(seed, 223))
    assert data[:32] == hashlib.sha256(b"").digest()
    one = data.index(b"\x01", 32)
    assert data[32:one] == bytes(one - 32)
    return data[one + 1 :], seed


def test_key_record_opens_with_the_private_key():
    s, random = sealer(key_number=3)
    fields = schema.unpack(schema.KEY, s.key_record_body())
    assert fields["key_number"] == 3 and len(fields["wrapped"]) == 256
    message, seed = oaep_decrypt(fields["wrapped"])
    assert message == random.given[0] and seed == random.given[1]
    der = seal.build_public_key(N, E)
    assert fields["fleet_key_id"] == hashlib.sha256(der).digest()[:8] == s.fleet_key_id


def test_key_as_der_or_numbers():
    der = seal.build_public_key(N, E)
    assert seal.parse_public_key(der) == (N, E)
    assert sealer(der)[0].key_record_body() == sealer()[0].key_record_body()


def test_sealed_opens_with_the_data_key():
    s, random = sealer(key_number=0x0102)
    for n in (0, 1, 15, 16, 17, 300):
        sealed = s.seal(bytes(n))
        assert len(sealed) == seal.sealed_size(n)
        assert sealed[:2] == b"\x02\x01" and sealed[2:18] == random.given[-1]
        if aes:
            plain = aes(random.given[0], 2, sealed[2:18]).decrypt(sealed[18:])
            assert plain == bytes(n) + bytes([16 - n % 16]) * (16 - n % 16)


def test_sealed_vector():
    # AES-256-CBC with the data key and IV that Counted gives; the same on both runtimes.
    s, _ = sealer()
    assert s.seal(b"5A086210948000000011").hex() == (
        "0100d4735e3a265e16eee03f59718b9b5d0356fe1ecdb2bfff9241da02091f665689153364544f3d"
        "18776dd231834879f5fd"
    )


def test_no_iv_comes_twice():
    s, _ = sealer()
    assert s.seal(b"x") != s.seal(b"x")


def test_a_random_source_that_fails():
    raises(seal.SealError, seal.Sealer, (N, E), bytes)
    raises(seal.SealError, seal.Sealer, (N, E), lambda n: b"\1" * (n - 1))


def test_unfit_public_keys():
    for n, e in ((N >> 8, E), (N - 1, E), (N, E + 1), (N, 1), (N, 1 << 33 | 1), (0, E), (-N, E)):
        raises(seal.SealError, sealer, (n, e))
    raises(seal.SealError, sealer, (N << 2049 | 1, E))


def test_every_cut_and_every_byte_of_the_der():
    der = seal.build_public_key(N, E)
    for n in range(len(der)):
        raises(seal.SealError, seal.parse_public_key, der[:n])
    raises(seal.SealError, seal.parse_public_key, der + b"\0")
    for i in range(len(der)):
        for bit in (0, 3, 7):
            bad = bytearray(der)
            bad[i] ^= 1 << bit
            try:
                found = seal.parse_public_key(bytes(bad))
            except seal.SealError:
                continue
            assert found != (N, E)  # a bit of a number: another key, never a crash


def test_lengths_that_are_not_minimal():
    der = seal.build_public_key(N, E)
    raises(seal.SealError, seal.parse_public_key, b"\x30\x83\x00" + der[2:])
    raises(seal.SealError, seal.parse_public_key, b"\x30\x80" + der[4:])
    numbers = b"\x30\x0a\x02\x05\0\0\x81\x81\x81\x02\x01\x03"
    body = der[4:19] + b"\x03" + bytes([len(numbers) + 1]) + b"\0" + numbers
    raises(seal.SealError, seal.parse_public_key, b"\x30" + bytes([len(body)]) + body)


def test_too_long_a_message():
    raises(seal.SealError, seal.oaep_encrypt, N, E, bytes(191), bytes(32))
    message, _ = oaep_decrypt(seal.oaep_encrypt(N, E, bytes(190), bytes(32)))
    assert message == bytes(190)


def test_the_data_key_leaves_the_memory_with_its_epoch():
    made, _ = sealer()
    held = made._data_key
    assert any(held)
    made.forget()
    assert not any(held) and made._data_key is None
    assert "start anew" in str(raises(seal.SealError, made.seal, b"card"))
