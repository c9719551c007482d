"""The cards' cryptograms, computed once more by pyemv from the issuer's master key."""

import pytest
from flagfall_host.bench.cards import catalogue, cryptogram
from pyemv import ac, kd, mac, tools

_INPUT = ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37")


def _pyemv_session_key(master, pan, psn, atc):
    udk = kd.derive_icc_mk_a(master, pan, psn)
    left = tools.encrypt_tdes_ecb(udk, bytes(6) + atc)
    right = tools.encrypt_tdes_ecb(udk, bytes(6) + bytes(b ^ 0xFF for b in atc))
    return left + right


def _pan_psn(o):
    return o["57"].hex().split("d")[0], o["5F34"].hex()


@pytest.mark.parametrize(
    ("name", "ttq", "amount", "first"),
    [
        ("ecash", "28000080", "000000001234", "90"),
        ("ecash-1024", "28000080", "000000000001", "90"),
        ("ecash-8-reads", "20000080", "000000050000", "90"),
        ("ecash", "36800000", "000000000001", "a0"),
        ("ecash-low", "20000080", "000000000151", "a0"),
        ("ecash-low", "28000080", "000000000151", "80"),
        ("oda-debit", "27800080", "000000000100", "a0"),
        ("sm2", "28000080", "000000000100", "90"),
    ],
)
def test_cvn01(tap, name, ttq, amount, first):
    t = tap(catalogue.make(name), t9F66=ttq, t9F02=amount)
    for _ in range(2):  # the second time under the next session key
        t.select()
        o = t.options()
        iad = o["9F10"]
        assert iad[:4].hex() == "07010103" and iad[4:5].hex() == first
        assert iad[5:8].hex() == "000001"
        key = _pyemv_session_key(catalogue.issuer_keys()["test_imk_ac"], *_pan_psn(o), o["9F36"])
        data = bytes.fromhex("".join(t.terminal[tag] for tag in _INPUT))
        assert ac.generate_ac(key, data + o["82"] + o["9F36"] + iad[3:7]) == o["9F26"]


def test_the_mac_over_the_balance_in_9f10(tap):
    t = tap(catalogue.make("ecash"))
    t.select()
    o = t.options()
    iad = o["9F10"]
    assert len(iad) == 19 and iad[8:10].hex() == "0a01"
    key = _pyemv_session_key(catalogue.issuer_keys()["test_imk_mac"], *_pan_psn(o), o["9F36"])
    assert mac.mac_iso9797_3(key[:8], key[8:], o["9F36"] + iad[9:15], 2)[:4] == iad[15:]
    assert iad[10:15].hex() == "0000050000" and o["9F5D"].hex() == "000000050000"


def test_kernel_3_cards_use_cvn_18(tap):
    t = tap(catalogue.make("visitor"), t9F66=tap.ODA)
    t.select()
    o = t.options()
    assert o["9F10"].hex() == "06011203a00000" and o["9F27"] == b"\x80"
    master = kd.derive_icc_mk_a(catalogue.issuer_keys()["test_imk_ac"], *_pan_psn(o))
    key = kd.derive_common_sk(master, o["9F36"] + bytes(6))
    data = bytes.fromhex("".join(t.terminal[tag] for tag in _INPUT))
    assert ac.generate_ac(key, data + o["82"] + o["9F36"] + o["9F10"]) == o["9F26"]


def test_mac_of_every_length_is_pyemvs():
    key = bytes.fromhex("46B0AA84C9AB2CC87FBD7C736E515C06")
    for n in range(0, 40):
        assert cryptogram.mac(key, bytes(n)) == mac.mac_iso9797_3(key[:8], key[8:], bytes(n), 2)


def test_card_keys_of_short_and_long_pans():
    for pan, psn in (("6210948000000102", 1), ("62109438880150123", 0), ("621094388801508", 99)):
        ours = cryptogram.card_key(bytes(range(16)), pan, psn)
        theirs = kd.derive_icc_mk_a(bytes(range(16)), pan, f"{psn:02d}")
        assert tools.adjust_key_parity(ours) == theirs
