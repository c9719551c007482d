"""The cards' certificates and signatures, opened with pow() and rules written here once more."""

import hashlib

import pytest
from flagfall_host.bench.cards import catalogue, keys, rsa_certificates

_SOUND = [
    "ecash",
    "ecash-8-reads",
    "ecash-1024",
    "ecash-1408",
    "ecash-1984",
    "dual",
    "oda-debit",
    "oda-credit",
    "two-applications",
    "visitor",
]


def _sha1(data):
    return hashlib.sha1(data)  # noqa: S324 - the certificates' own hash


def _capks():
    """{(RID, index): (modulus, exponent)} from the download TLVs, checksums verified."""
    out = {}
    for data in catalogue.capk_tlvs():
        fields, at = {}, 0
        while at < len(data):
            tag = data[at : at + 2].hex().upper()
            size, head = data[at + 2], 3
            if size == 0x81:
                size, head = data[at + 3], 4
            fields[tag] = data[at + head : at + head + size]
            at += head + size
        if fields["DF07"] == b"\x04":
            continue
        about = fields["9F06"] + fields["9F22"] + fields["DF02"] + fields["DF04"]
        assert _sha1(about).digest() == fields["DF03"]
        assert fields["DF05"].hex() == "20491231"
        out[fields["9F06"], fields["9F22"][0]] = fields["DF02"], fields["DF04"]
    return out


def _recover(signature, modulus, exponent):
    n = int.from_bytes(modulus, "big")
    assert len(signature) == len(modulus)
    x = pow(int.from_bytes(signature, "big"), int.from_bytes(exponent, "big"), n)
    block = x.to_bytes(len(modulus), "big")
    assert block[0] == 0x6A and block[-1] == 0xBC
    return block


def _holds(block, appended):
    return _sha1(block[1:-21] + appended).digest() == block[-21:-1]


def _open_chain(o, rid, static):
    """Recover issuer and card keys; returns (issuer block, card block, card modulus, holds)."""
    issuer = _recover(o["90"], *_capks()[rid, o["8F"][0]])
    assert issuer[1] == 2 and _holds(issuer, o.get("92", b"") + o["9F32"])
    assert issuer[11:13] == b"\x01\x01" and issuer[14] == len(o["9F32"])
    issuer_modulus = (issuer[15:-21] + o.get("92", b""))[: issuer[13]]
    card = _recover(o["9F46"], issuer_modulus, o["9F32"])
    assert card[1] == 4 and card[17:19] == b"\x01\x01" and card[20] == len(o["9F47"])
    tail = o["82"] if o["9F4A"] == b"\x82" else b""
    holds = _holds(card, o.get("9F48", b"") + o["9F47"] + static + tail)
    return issuer, card, (card[21:-21] + o.get("9F48", b""))[: card[19]], holds


def _tapped(tap, name, **settings):
    ttq = tap.ODA if catalogue.expected(name, "oda") == "approved" else tap.ECASH
    t = tap(catalogue.make(name, **settings), t9F66=ttq)
    return t, t.pay()


@pytest.mark.parametrize("name", _SOUND)
def test_the_chain_and_the_signature_verify(tap, name):
    t, o = _tapped(tap, name)
    issuer, card, modulus, holds = _open_chain(o, t.fci["84"][:5], t.static)
    assert holds
    pan = o["5A"].hex().rstrip("f")
    assert issuer[2:6].hex().rstrip("f") == pan[:6]
    assert card[2:12].hex().rstrip("f") == pan
    assert issuer[6:8].hex() == card[12:14].hex() == "1249"
    assert o["57"].hex().split("d")[0] == pan
    assert o["57"].hex().split("d")[1][:4] == o["5F24"].hex()[:4]

    block = _recover(o["9F4B"], modulus, o["9F47"])
    assert block[1] == (0x95 if name == "visitor" else 0x05)
    assert block[2] == 1 and block[3] == 3 and block[4:7] == b"\x02" + o["9F36"]
    assert set(block[7:-21]) == {0xBB}
    values = (t.terminal["9F37"], t.terminal["9F02"], t.terminal["5F2A"])
    assert _holds(block, bytes.fromhex("".join(values)) + o["9F69"])
    assert len(o["9F69"]) == 8 and o["9F69"][0] == 1 and o["9F69"][5:7] == o["9F6C"]
    assert o["82"][0] & 0x20


def test_sizes_are_those_of_the_catalogue(tap):
    sizes = {}
    for name in ("ecash", "ecash-1024", "ecash-1408", "ecash-1984"):
        t, o = _tapped(tap, name)
        _, _, modulus, _ = _open_chain(o, t.fci["84"][:5], t.static)
        bits = int.from_bytes(modulus, "big").bit_length()
        sizes[name] = (8 * len(o["90"]), 8 * len(o["9F46"]), bits, o["9F47"].hex())
        assert ("9F4B" in t.gpo) == (bits <= 1024)
    assert sizes == {
        "ecash": (1408, 1152, 1152, "03"),
        "ecash-1024": (1152, 1024, 1024, "03"),
        "ecash-1408": (1408, 1408, 1408, "010001"),
        "ecash-1984": (1984, 1976, 1976, "03"),
    }


def test_every_answer_fits_a_short_apdu(tap):
    for name in _SOUND:
        t, _ = _tapped(tap, name)
        # EMV Book 3, 5.3.3: a record is at most 254 bytes.
        assert max(len(record) for record in t.records.values()) <= 254, name


def test_version_00_signs_the_unpredictable_number_alone(tap):
    for t, o in (
        _tapped(tap, "no-9F69"),
        (old := tap(catalogue.make("ecash"), t9F66="28000000"), old.pay()),
    ):
        assert "9F69" not in o
        _, _, modulus, holds = _open_chain(o, t.fci["84"][:5], t.static)
        assert holds
        block = _recover(o["9F4B"], modulus, o["9F47"])
        assert _holds(block, bytes.fromhex(t.terminal["9F37"]))


def test_wrong_signature_fails_and_only_that(tap):
    t, o = _tapped(tap, "ecash")
    bad, b = _tapped(tap, "wrong-signature", pan="6210948000000102")
    assert {tag for tag in o if o[tag] != b[tag]} == {"9F4B"}
    n = int.from_bytes(_open_chain(b, bad.fci["84"][:5], bad.static)[2], "big")
    block = pow(int.from_bytes(b["9F4B"], "big"), 3, n).to_bytes(144, "big")
    assert (block[0], block[-1]) != (0x6A, 0xBC)


def test_wrong_hash_opens_but_signs_other_data(tap):
    t, o = _tapped(tap, "wrong-hash")
    _, _, modulus, holds = _open_chain(o, t.fci["84"][:5], t.static)
    assert holds
    block = _recover(o["9F4B"], modulus, o["9F47"])
    values = t.terminal["9F37"] + t.terminal["9F02"] + t.terminal["5F2A"]
    assert not _holds(block, bytes.fromhex(values) + o["9F69"])


def test_wrong_static_data_breaks_the_card_certificate(tap):
    t = tap(catalogue.make("wrong-static-data"))
    o = t.pay()
    assert o["5F24"].hex() == "481231"
    assert not _open_chain(o, t.fci["84"][:5], t.static)[3]


def test_revoked_issuer_is_on_the_list_and_no_other(tap):
    listed = catalogue.revocations()
    for name in ("ecash", "revoked-issuer"):
        t = tap(catalogue.make(name))
        o = t.pay()
        issuer, _, _, holds = _open_chain(o, t.fci["84"][:5], t.static)
        assert holds
        on_list = (t.fci["84"][:5], o["8F"][0], issuer[8:11]) in listed
        assert on_list == (name == "revoked-issuer")


def test_unknown_ca_and_expired_certificates(tap):
    t = tap(catalogue.make("unknown-ca"))
    assert (t.fci.get("84", b"")[:5], t.pay()["8F"][0]) not in _capks()
    t = tap(catalogue.make("certificate-expired"))
    issuer, card, _, holds = _open_chain(t.pay(), bytes.fromhex("A000000333"), t.static)
    assert holds and issuer[6:8].hex() == card[12:14].hex() == "1222"


def test_static_and_internal_rules_open_the_public_test_card(vectors):
    """The recovery used above, held against a card that was made elsewhere."""
    v = vectors("unionpay-test-card")
    o = {
        k: bytes.fromhex(h) for k, h in {**v["issuer_certificate"], **v["icc_certificate"]}.items()
    }
    issuer = _recover(o["90"], *(bytes.fromhex(v["capk"][k]) for k in ("modulus", "exponent")))
    assert _holds(issuer, o["92"] + o["9F32"])
    modulus = (issuer[15:-21] + o["92"])[: issuer[13]]
    card = _recover(o["9F46"], modulus, o["9F32"])
    assert _holds(card, o["9F48"] + o["9F47"] + bytes.fromhex(v["static_data"]["hashed"]))
    card_modulus = (card[21:-21] + o["9F48"])[: card[19]]
    block = _recover(bytes.fromhex(v["dda"]["sdad"]), card_modulus, o["9F47"])
    assert block.hex().upper() == v["expected"]["dda_recovered"]
    assert _holds(block, bytes.fromhex(v["dda"]["unpredictable_number"]))


def test_signed_static_data_recovers(vectors):
    issuer = keys.rsa("issuer-1152")
    ssad = rsa_certificates.signed_static_data(issuer, b"\xda\xc5", b"static\x7c\x00")
    block = _recover(ssad, issuer.modulus, issuer.exponent)
    assert block[1:5] == b"\x03\x01\xda\xc5" and _holds(block, b"static\x7c\x00")
