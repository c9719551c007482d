# Certificates, signatures and CA keys against vectors from cards: RSA (a UnionPay test card),
# SM2 (a PBOC 3.0 personalisation), SM3 (GB/T 32905, annex A).

import json
import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

import scripted_card as sc  # noqa: E402
from expect import raises  # noqa: E402
from flagfall.emv import capk, oda_rsa, oda_sm2, sm2  # noqa: E402
from flagfall.emv.oda_rsa import OdaError  # noqa: E402
from flagfall.emv.sm3 import sm3  # noqa: E402
from flagfall.emv.terminal import Cache  # noqa: E402
from flagfall.emv.tlv import encode  # noqa: E402

H = bytes.fromhex
VECTORS = __file__.rsplit("/", 5)[0] + "/vectors/"


def vector(name):
    with open(VECTORS + name) as f:
        return json.load(f)


def row(rid, index, modulus, exponent, checksum, **more):
    out = encode(0x9F06, H(rid)) + encode(0x9F22, H(index))
    out += encode(0xDF02, H(modulus)) + encode(0xDF04, H(exponent)) + encode(0xDF03, H(checksum))
    for tag in sorted(more):
        out += encode(int(tag[1:], 16), H(more[tag]))
    return out


def card():
    v = vector("unionpay-test-card.json")
    k = v["capk"]
    key = capk.parse_capk(
        row(
            k["rid"], k["index"], k["modulus"], k["exponent"], k["sha1_rid_index_modulus_exponent"]
        )
    )
    return v, key


def opened():
    v, ca = card()
    c = v["issuer_certificate"]
    issuer = oda_rsa.issuer_key(ca, H(c["90"]), H(c["92"]), H(c["9F32"]))
    c = v["icc_certificate"]
    static = [H(v["static_data"]["sfi2_record1_value"]), H(v["aip"])]
    icc = oda_rsa.icc_key(issuer, H(c["9F46"]), H(c["9F48"]), H(c["9F47"]), static)
    return v, issuer, icc, static


def test_rsa_chain_of_a_unionpay_card():
    v, issuer, icc, static = opened()
    assert issuer.modulus == H(v["expected"]["issuer_modulus"])
    assert (issuer.owner, issuer.expiry, issuer.serial) == ("621094", 2030 * 12 + 11, H("001156"))
    assert icc.modulus == H(v["expected"]["icc_modulus"]) and icc.exponent == H("010001")
    assert icc.owner == v["pan"]
    code = oda_rsa.static_signature(issuer, H(v["ssad_93"]), static)
    assert code == H(v["expected"]["data_authentication_code"])


def test_rsa_dynamic_signature():
    v, _, icc, _ = opened()
    dynamic = oda_rsa.open_dynamic(icc, H(v["dda"]["sdad"]), (0x05,))
    assert dynamic.number == b"\x07" + H(v["expected"]["icc_dynamic_number"])
    assert dynamic.hash == H(v["expected"]["dda_recovered_hash"])
    assert dynamic.matches(H(v["dda"]["unpredictable_number"]))
    assert not dynamic.matches(H("7863AFC7"))
    assert dynamic.atc() is None  # DDA's number is no counter
    kept = oda_rsa.unpack(dynamic.pack())
    assert kept.matches(H(v["dda"]["unpredictable_number"]))
    raises(OdaError, oda_rsa.open_dynamic, icc, H(v["dda"]["sdad"]), (0x95,))


def test_every_changed_byte_is_noticed():
    v, ca = card()
    c = v["issuer_certificate"]
    for tag in ("90", "92", "9F32"):
        parts = {"90": H(c["90"]), "92": H(c["92"]), "9F32": H(c["9F32"])}
        for at in range(0, len(parts[tag]), 7):
            changed = bytearray(parts[tag])
            changed[at] ^= 0x10
            now = dict(parts)
            now[tag] = bytes(changed)
            raises(OdaError, oda_rsa.issuer_key, ca, now["90"], now["92"], now["9F32"])
    raises(OdaError, oda_rsa.issuer_key, ca, H(c["90"])[:-1], H(c["92"]), H(c["9F32"]))
    raises(OdaError, oda_rsa.issuer_key, ca, b"", H(c["92"]), H(c["9F32"]))
    raises(OdaError, oda_rsa.issuer_key, ca, b"\xff" * 176, H(c["92"]), H(c["9F32"]))
    raises(OdaError, oda_rsa.issuer_key, ca, bytes(176), H(c["92"]), H(c["9F32"]))


def test_recovered_frame():
    key = sc.ISSUER
    for first, last, good in ((0x6A, 0xBC, True), (0x6A, 0xBD, False), (0x6B, 0xBC, False)):
        x = bytes((first,)) + bytes(key.size - 2) + bytes((last,))
        signed = pow(int.from_bytes(x, "big"), key.d, key.n).to_bytes(key.size, "big")
        if good:
            assert oda_rsa.recover(signed, key.modulus, b"\x03", "fdda") == x
        else:
            raises(OdaError, oda_rsa.recover, signed, key.modulus, b"\x03", "fdda")
    raises(OdaError, oda_rsa.recover, signed, key.modulus, b"\x05", "fdda")


def test_static_data_are_bound_to_the_certificate():
    v, issuer, _, static = opened()
    c = v["icc_certificate"]
    parts = (H(c["9F46"]), H(c["9F48"]), H(c["9F47"]))
    raises(OdaError, oda_rsa.icc_key, issuer, parts[0], parts[1], parts[2], static[:1])
    raises(OdaError, oda_rsa.icc_key, issuer, parts[0], parts[1], parts[2], static[::-1])
    raises(OdaError, oda_rsa.icc_key, issuer, parts[0], parts[1][1:], parts[2], static)
    raises(OdaError, oda_rsa.static_signature, issuer, H(v["ssad_93"]), static[:1])


def test_unionpay_test_keys():
    v = vector("unionpay-test-capk.json")
    store = capk.CapkStore(False)
    for k in v["rsa"]:
        key = store.add(
            row(v["rid"], k["index"], k["modulus"], k["exponent"], k["sha1"], tDF05="20301231"),
            False,
        )
        assert key.checksum() == H(k["sha1"]) and key.expiry == (2030, 12, 31)
    assert len(store.keys()) == 4 and store.find(H(v["rid"]), 0x0B).modulus[:2] == H("CF9F")
    assert store.find(H(v["rid"]), 0x01) is None
    (k,) = v["sm2"]
    wrong = v["rsa"][1]["sha1"]  # as in the field: a copy of another key's checksum
    key = store.add(row(v["rid"], k["index"], k["x_y"], "03", wrong, tDF07="04"), False)
    assert key.algorithm == capk.SM2 and sm2.on_curve(key.modulus)


def test_test_and_live_keys_are_never_mixed():
    live = capk.CapkStore(True)
    raises(capk.CapkError, live.add, sc.capk_row(), False)
    test = capk.CapkStore(False)
    raises(capk.CapkError, test.add, sc.capk_row(), True)
    assert live.keys() == [] and test.keys() == []


def test_ca_keys_that_make_no_sense():
    v = vector("unionpay-test-capk.json")
    k = v["rsa"][0]
    good = (v["rid"], k["index"], k["modulus"], k["exponent"], k["sha1"])
    assert capk.parse_capk(row(*good, tDF05="3230333031323331")).expiry == (2030, 12, 31)
    for bad in (
        row(*good[:4], "00" * 20),
        row(*good[:3], "05", k["sha1"]),
        row(good[0], good[1], "7F" + k["modulus"][2:], good[3], k["sha1"]),
        row(good[0], good[1], k["modulus"][:-2] + "BE", good[3], k["sha1"]),
        row(*good, tDF05="20301331"),
        row(*good, tDF05="2030"),
        row(*good, tDF07="02"),
        row(*good, tDF06="02"),
        row(*good)[:-3],
        row(*good) + row(*good),
        row("A0000003", "08", *good[2:]),
        b"",
    ):
        raises(capk.CapkError, capk.parse_capk, bad)


def test_the_store_has_bounds():
    store = capk.CapkStore(False)
    for index in range(capk.MAX_KEYS):
        store.add(sc.capk_row(index=index), False)
    raises(capk.CapkError, store.add, sc.capk_row(index=0xFF), False)
    store.add(sc.capk_row(index=3), False)  # a newer row of a known key
    for serial in range(capk.MAX_REVOKED):
        store.revoke(sc.RID, 1, serial.to_bytes(3, "big"))
    raises(capk.CapkError, store.revoke, sc.RID, 1, b"\xff\xff\xff")
    assert store.is_revoked(sc.RID, 1, b"\x00\x00\x07")
    assert not store.is_revoked(sc.RID, 2, b"\x00\x00\x07")


def test_issuer_key_cache_drops_the_oldest():
    cache = Cache(2)
    for name in ("a", "b", "a", "c"):
        cache.put(name, name.upper())
    assert [cache.get(name) for name in ("a", "b", "c")] == [None, "B", "C"]
    assert (cache.hits, cache.misses) == (2, 1)
    cache.clear()
    assert cache.get("b") is None


def test_sm3():
    assert sm3(b"abc") == H("66C7F0F462EEEDD9D1F2D46BDC10E4E24167C4875CF2F7A2297DA02B8F4BA8E0")
    assert sm3(b"ab", b"cd" * 31, b"cd") == sm3(b"ab" + b"cd" * 32)
    assert sm3(b"abcd" * 16) == H(
        "DEBE9FF92275B8A138604889C18E5A4D6FDB70E5387E5765293DCBA39C0C5732"
    )


def sm2_cards():
    v = vector("sm2-card.json")
    issuer = oda_sm2.Sm2Key(H(v["issuer_certificate"]["public_key"]), b"", 0, "")
    return v, issuer


def test_sm2_certificates_of_a_pboc3_card():
    v, issuer = sm2_cards()
    for c in v["cards"]:
        static = [H(c["static_data"]), H(v["aip"])]
        icc = oda_sm2.icc_key(issuer, H(c["icc_certificate_9F46"]), b"", b"", static)
        assert icc.owner == "3104895199900000003" and icc.serial == H("000031")
        code = oda_sm2.static_signature(issuer, H(c["ssad_93"]), static)
        assert code == H(c["ssad_93"][2:6])


def test_sm2_refuses_every_wrong_combination():
    v, issuer = sm2_cards()
    a, b = v["cards"]
    aip = H(v["aip"])
    signed = H(a["icc_certificate_9F46"])
    for static in ([H(b["static_data"]), aip], [H(a["static_data"])], []):
        raises(OdaError, oda_sm2.icc_key, issuer, signed, b"", b"", static)
    raises(OdaError, oda_sm2.icc_key, issuer, signed[:-1], b"", b"", [])
    raises(OdaError, oda_sm2.static_signature, issuer, H(a["ssad_93"]), [H(b["static_data"]), aip])


def test_sm2_issuer_certificate_layout():
    v, _ = sm2_cards()
    certificate = H(v["issuer_certificate"]["hex"])
    key, head = oda_sm2._read(certificate, 0x12, 4, "issuer-cert")
    assert key.point == H(v["issuer_certificate"]["public_key"]) and head == 78
    assert (key.owner, key.serial, key.expiry) == ("31048951", H("654321"), 2040 * 12 + 11)
    # Its CA key is not public, so any other must refuse it.
    other = capk.Capk(H(v["rid"]), 1, capk.SM2, key.point, b"")
    raises(OdaError, oda_sm2.issuer_key, other, certificate, b"", b"")


def test_sm2_signature_edges():
    point = H(sm2_cards()[0]["issuer_certificate"]["public_key"])
    n = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
    one = (1).to_bytes(32, "big")
    for r, s in ((bytes(32), one), (one, bytes(32)), (n.to_bytes(32, "big"), one)):
        assert not sm2.verify(point, r + s, b"")
    assert not sm2.verify(point, one + (n - 1).to_bytes(32, "big"), b"")  # r + s = n
    assert not sm2.verify(point[:-1], one + one, b"")
    assert not sm2.verify(bytes(64), one + one, b"")
    assert not sm2.on_curve(b"\xff" * 64)
