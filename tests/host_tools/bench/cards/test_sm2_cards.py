"""SM2 and SM3 against published values and a card that was personalised elsewhere."""

from flagfall_host.bench.cards import catalogue, keys, sm2
from flagfall_host.bench.cards.sm3 import sm3


def test_sm3_examples_of_the_standard():
    assert sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert (
        sm3(b"abcd" * 16).hex()
        == "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"
    )


def test_curve():
    assert (sm2.GY**2 - sm2.GX**3 - sm2.A * sm2.GX - sm2.B) % sm2.P == 0
    assert sm2._multiply(sm2.N, (sm2.GX, sm2.GY)) is None


def test_the_public_card_verifies_and_nothing_else_does(vectors):
    v = vectors("sm2-card")
    issuer = bytes.fromhex(v["issuer_certificate"]["public_key"])
    aip = bytes.fromhex(v["aip"])
    statics = [bytes.fromhex(card["static_data"]) for card in v["cards"]]
    for i, card in enumerate(v["cards"]):
        certificate = bytes.fromhex(card["icc_certificate_9F46"])
        head, signature = certificate[:84], certificate[84:]
        assert sm2.verify(issuer, head + statics[i] + aip, signature)
        assert not sm2.verify(issuer, head + statics[i], signature)
        assert not sm2.verify(issuer, head + statics[1 - i] + aip, signature)
        ssad = bytes.fromhex(card["ssad_93"])
        assert sm2.verify(issuer, ssad[:3] + statics[i] + aip, ssad[3:])


def test_signatures_verify_only_as_made():
    key = keys.sm2_key("icc-sm2")
    signature = key.sign(b"message")
    assert sm2.verify(key.public, b"message", signature)
    assert not sm2.verify(key.public, b"massage", signature)
    assert not sm2.verify(key.public, b"message", signature[:-1] + bytes([signature[-1] ^ 1]))
    assert not sm2.verify(keys.sm2_key("issuer-sm2").public, b"message", signature)
    assert not sm2.verify(key.public, b"message", bytes(64))
    assert not sm2.verify(bytes(64), b"message", signature)
    assert not sm2.verify(key.public, b"message", signature[:63])


def _check_sm2(t, o):
    ca = keys.sm2_key("ca-sm2").public
    assert len(o["90"]) == 142 and len(o["9F46"]) == 148 and len(o["9F4B"]) == 69
    assert "92" not in o and "9F32" not in o and "9F47" not in o and "9F48" not in o
    assert o["90"][0] == 0x12 and o["90"][10:14].hex() == "04001140"
    assert sm2.verify(ca, o["90"][:78], o["90"][78:])
    issuer = o["90"][14:78]
    assert o["9F46"][0] == 0x14 and o["9F46"][16:20].hex() == "04001140"
    assert sm2.verify(issuer, o["9F46"][:84] + t.static + o["82"], o["9F46"][84:])
    assert o["9F4B"][:5] == b"\x15\x03\x02" + o["9F36"]
    tail = bytes.fromhex(t.terminal["9F37"] + t.terminal["9F02"] + t.terminal["5F2A"])
    assert sm2.verify(o["9F46"][20:84], o["9F4B"][:5] + tail + o["9F69"], o["9F4B"][5:])


def test_sm2_card(tap):
    t = tap(catalogue.make("sm2"))
    _check_sm2(t, t.pay())


def test_dual_card_answers_as_the_terminal_offers(tap):
    t = tap(catalogue.make("dual"), DF69="01")
    _check_sm2(t, t.pay())
    t = tap(t.card, DF69="00")
    o = t.pay()
    assert o["8F"] == b"\xf8" and o["9F32"] == b"\x03" and len(o["9F4B"]) == 144


def test_the_downloaded_sm2_ca_key():
    (data,) = [d for d in catalogue.capk_tlvs() if bytes.fromhex("DF070104") in d]
    assert keys.sm2_key("ca-sm2").public in data and b"\xdf\x04" not in data
