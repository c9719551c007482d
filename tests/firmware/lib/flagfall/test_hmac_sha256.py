from binascii import unhexlify

from flagfall.hmac_sha256 import equal, hmac_sha256

# RFC 4231, test cases 1, 2, 3 and 6: key, data, HMAC-SHA-256.
_RFC4231 = (
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
)


def test_rfc4231():
    for key, data, mac in _RFC4231:
        assert hmac_sha256(key, data) == unhexlify(mac)
        assert hmac_sha256(key, data[:3], data[3:]) == unhexlify(mac)


def test_keys_that_take_turns_and_a_key_that_is_changed_in_place():
    # The blocks of the last key are kept: never for another one.
    for _ in range(2):
        for key, data, mac in _RFC4231:
            assert hmac_sha256(key, data) == unhexlify(mac)
    key = bytearray(b"Jefe")
    hmac_sha256(key, b"")
    key[:] = b"jefe"
    assert hmac_sha256(key, b"x") == hmac_sha256(b"jefe", b"x") != hmac_sha256(b"Jefe", b"x")


def test_equal():
    assert equal(b"", b"") and equal(b"abc", bytearray(b"abc"))
    assert not equal(b"abc", b"abd") and not equal(b"abc", b"abcd")
