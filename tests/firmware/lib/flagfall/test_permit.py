from binascii import unhexlify

from expect import raises
from flagfall import permit

# A test key, and its signature (by OpenSSL) of the permit for unit BENCH-1, tariff, change 7.
_N = int(
    "b1e4285daccb27fff4fc98136376b92b184350c5da8fb2a48f6a5561a0b6cc89f76bd2f0297f6e37"
    "a470489a9817a20a05af39ca9d4e1bd565bf87ad5852c88fc1ba067b2340c646e15d65fb8b22f043"
    "eeff78663cf6dd8773820fbe8be2b520eab91c931f7722763368a8ed00ac44b8722da76569fdb50b"
    "9ac1e8a767b9ac53bf2cb10968b352bf70ac500c2e08b30118472af287dd2a979dd8035b35e993e7"
    "695cd305a13ec44227ba305f88e49770f478a0fd39e46b0e4b129a8e7f6299a67f8748628c707468"
    "2c583b0f1ad93f6c2a5a2e6ddee7085af8e178436df27487f88ab0c81015a0cd3091701f5d32f154"
    "5c6524a587f64bac98939d78fe184f43",
    16,
)
_E = 65537
_SIGNATURE = unhexlify(
    "44a78ded80c3d1906d471c1c29c3fce2e4d41d707eb3b2145c3ac672bc1176ab74e99b4536ea11b7"
    "f6d5373e1e5ab7c38219341e579934d60e4412a95acda51c612ec3469203504b500ed207815c5dd7"
    "6f6cfe319fcb4851e9e12904dfca1f27c7051cbc7b1a6085577e47f993d36a467aae7b935af87460"
    "63a5230ab4509fad8bd40fbbedf7b7cfe7bb782d3064300b082310013af2de31b2cbe55ee5e39854"
    "884c7ad78d4d69a424d5cc2a91e19168841ea78ae2b102ebc093d7e1907b98369ecc4adbd4e40994"
    "398d454d8e892911e74d9da2c49146f94ab08598346d7089b452803d157136abe61465a2e6929101"
    "76514bbed46bf0980d11dfcec0352a25"
)
_DIGEST = bytes(range(32))


def _check(signature=_SIGNATURE, unit="BENCH-1", action="tariff", counter=7, digest=_DIGEST):
    permit.check((_N, _E), signature, unit, action, counter, digest)


def test_the_permit_that_was_signed_holds():
    _check()


def test_no_other_permit_holds():
    raises(permit.PermitError, _check, unit="BENCH-2")
    raises(permit.PermitError, _check, action="config")
    raises(permit.PermitError, _check, counter=8)
    raises(permit.PermitError, _check, digest=bytes(32))


def test_no_other_signature_holds():
    for at in (0, 1, 100, 255):
        bad = bytearray(_SIGNATURE)
        bad[at] ^= 1
        raises(permit.PermitError, _check, bytes(bad))
    raises(permit.PermitError, _check, b"")
    raises(permit.PermitError, _check, _SIGNATURE[1:])
    raises(permit.PermitError, _check, _SIGNATURE + b"\0")
    raises(permit.PermitError, _check, bytes(256))
    raises(permit.PermitError, _check, b"\xff" * 256)
    # A signature that is only right modulo n must not pass.
    more = int.from_bytes(_SIGNATURE, "big") + _N
    if more < 1 << 2048:
        raises(permit.PermitError, _check, more.to_bytes(256, "big"))


def test_the_message_is_unambiguous():
    assert permit.message("A", "k", 1, b"x") == b"flagfall permit\0A\0k\0\1\0\0\0x"
