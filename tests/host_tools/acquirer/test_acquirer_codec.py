"""Frames, MACs, working keys and DE55 against vectors, psec, and bytes that nobody would send."""

import json
from pathlib import Path

import psec.des
import psec.mac
import pytest
from flagfall.emv.tlv import parse
from flagfall_host.acquirer import de55, mac, message
from flagfall_host.acquirer.codec import Message, decode, encode, mac_good
from flagfall_host.acquirer.errors import (
    AcquirerError,
    FrameError,
    KeysError,
    ProfileError,
)
from flagfall_host.acquirer.faults import Faults, read_plan
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.sealed import CardData
from flagfall_host.acquirer.working_keys import fresh_keys, load_master_key, unwrap, wrap
from flagfall_host.cli.acquirer import app
from hypothesis import given, settings
from hypothesis import strategies as st
from office import TERMINAL, card_data
from typer.testing import CliRunner

VECTORS = Path(__file__).parents[2] / "vectors"
MACS = json.loads((VECTORS / "mac.json").read_text())
FRAMES = json.loads((VECTORS / "iso8583-frames.json").read_text())["frames"]
UNIONPAY = Profile.load("unionpay")
PROFILES = [Profile.load(n) for n in ("unionpay", "long-keys", "single-des")]


def card(amount=1000, **options):
    return CardData(dict(parse(card_data(amount, 7, **options))))


def under(tmk):
    return lambda data: mac.tdes(tmk, data, decrypt=True)


def ids(items):
    return [str(i.get("id", i) if isinstance(i, dict) else i.name) for i in items]


@pytest.mark.parametrize("vector", FRAMES, ids=ids(FRAMES))
def test_recorded_frames_decode_and_encode_to_the_same_bytes(vector):
    raw = bytes.fromhex(vector["hex"])
    frame = raw[2:] if vector["length_prefix"] else raw
    assert not vector["length_prefix"] or int.from_bytes(raw[:2], "big") == len(frame)
    found = decode(UNIONPAY, frame)
    assert found.mti == vector["mti"] and found.fields == vector["fields"]
    assert (found.tpdu.hex(), found.header.hex()) == (vector["tpdu"], vector["header"])
    assert encode(UNIONPAY, found) == frame


@pytest.mark.parametrize("vector", MACS["unionpay_ecb"])
def test_unionpay_ecb_vector(vector):
    key, data = bytes.fromhex(vector["mak"]), bytes.fromhex(vector["data"])
    assert mac.under_key("unionpay-ecb", key)(data) == bytes.fromhex(vector["de64"])
    assert mac.under_key("unionpay-ecb", key * 2)(data) == bytes.fromhex(vector["de64"])


@pytest.mark.parametrize("vector", MACS["x9_19"])
def test_x9_19_vector(vector):
    found = mac.under_key("x9.19", bytes.fromhex(vector["key"]))
    assert found(bytes.fromhex(vector["data"])) == bytes.fromhex(vector["de64"])


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_x9_19_and_check_value_as_psec_has_them(key, data):
    theirs = psec.mac.generate_retail_mac(key[:8], key[8:], data, 1, 4)
    assert mac.under_key("x9.19", key)(data) == theirs.hex().upper().encode()
    theirs = psec.mac.generate_cbc_mac(key[:8], data, 1, 4)
    assert mac.under_key("x9.19", key[:8])(data) == theirs.hex().upper().encode()
    assert mac.check_value(key) == psec.des.generate_kcv(key, 4)
    assert mac.tdes(key, data[:8].ljust(8)) == psec.des.encrypt_tdes_ecb(key, data[:8].ljust(8))


@pytest.mark.parametrize("vector", MACS["working_keys"])
def test_working_key_vectors(vector):
    tmk, wrapped = bytes.fromhex(vector["tmk"]), bytes.fromhex(vector["wrapped"])
    clear = mac.tdes(tmk, wrapped, decrypt=True)
    assert clear == bytes.fromhex(vector["clear"])
    assert mac.tdes(tmk, clear) == wrapped
    if "kcv" in vector:
        assert mac.check_value(clear) == bytes.fromhex(vector["kcv"])


@pytest.mark.parametrize(("profile", "size"), list(zip(PROFILES, (40, 60, 24), strict=True)))
def test_the_three_key_layouts(profile, size):
    tmk, keys = load_master_key(), fresh_keys(profile)
    wrapped = wrap(profile, tmk, keys)
    assert len(wrapped) == size and unwrap(profile, under(tmk), wrapped) == keys
    for name, key in keys.items():
        assert key.hex() not in wrapped.hex(), name


@pytest.mark.parametrize("profile", PROFILES, ids=ids(PROFILES))
def test_keys_that_do_not_check_are_refused(profile):
    tmk = load_master_key()
    wrapped = wrap(profile, tmk, fresh_keys(profile))
    for bad in (wrapped[:-1], b"", bytes([wrapped[0] ^ 2]) + wrapped[1:]):
        with pytest.raises(KeysError) as error:
            unwrap(profile, under(tmk), bad)
        assert tmk.hex() not in str(error.value)
    with pytest.raises(KeysError, match="check value"):
        unwrap(profile, under(bytes(16)), wrapped)


def test_a_sale_as_its_fields_say():
    sale = message.offline_sale(UNIONPAY, TERMINAL, 79, 727, 1000, card(), 1)
    f = decode(UNIONPAY, encode(UNIONPAY, sale, mac.under_key("unionpay-ecb", b"3" * 8))).fields
    assert {n: f[n] for n in ("3", "4", "11", "14", "22", "23", "25", "49", "60", "63")} == {
        "3": "000000",
        "4": "000000001000",
        "11": "000079",
        "14": "4912",
        "22": "072",
        "23": "001",
        "25": "00",
        "49": "156",
        "60": "3600072700060",
        "63": "CUP",
    }
    assert f["41"] == TERMINAL.terminal_id and f["42"] == TERMINAL.merchant_id
    assert f["35"].startswith(f["2"] + "D4912")
    tags = list(de55.read(bytes.fromhex(f["55"])))
    assert " ".join(f"{t:X}" for t in tags) == (
        "9F26 9F27 9F10 9F37 9F36 95 9A 9C 9F02 5F2A 82 9F1A 9F03 9F33 9F34 9F35 9F1E 84 9F09 "
        "9F41 9F74 8A"
    )
    assert f["55"].endswith("9F7406454343303031" + "8A025931")


def test_de22_is_left_aligned_and_de23_right_aligned_on_the_wire():
    sale = message.offline_sale(UNIONPAY, TERMINAL, 79, 727, 1000, card(), 1)
    raw = encode(UNIONPAY, sale).hex()
    assert "49120720" + "0001" in raw


def test_a_transit_sale():
    data = card(online=True, **{"9F74": b""})
    f = message.offline_sale(UNIONPAY, TERMINAL, 1, 2, 1000, data, 2).fields
    assert f["60"] == "22000002000601" and "63" not in f
    tags = de55.read(bytes.fromhex(f["55"]))
    assert 0x8A not in tags and 0x9F74 not in tags and tags[0x9F27] == b"\x80"


@pytest.mark.parametrize("online", [False, True])
def test_a_cid_that_the_card_left_out_is_derived(online):
    tags = de55.read(de55.build(card(online=online, **{"9F27": b""})))
    assert tags[0x9F27] == (b"\x80" if online else b"\x40")


@pytest.mark.parametrize("tag", [f"{t:X}" for t in de55.REQUIRED])
def test_missing_chip_data_make_no_message(tag):
    with pytest.raises(FrameError):
        message.offline_sale(UNIONPAY, TERMINAL, 1, 1, 1000, card(**{tag: b""}), 1)


def test_de55_holds_255_bytes_at_most():
    with pytest.raises(FrameError, match="at most 255"):
        de55.build(card(**{"9F63": bytes(120)}))


def test_a_settlement_and_the_end_of_a_batch_upload():
    f = message.settlement(UNIONPAY, TERMINAL, 5, 12, 3, 8460).fields
    assert f["48"] == "000000008460003" + "0" * 15 + "0" + "0" * 31 and len(f["48"]) == 62
    assert f["60"] == "00000012201" and f["63"] == "001"
    end = message.batch_end(UNIONPAY, TERMINAL, 6, 12, 3)
    assert (end.mti, end.fields["48"], end.fields["60"]) == ("0320", "0003", "00000012202")
    with pytest.raises(FrameError):
        message.settlement(UNIONPAY, TERMINAL, 5, 12, 1000, 1)


@pytest.mark.parametrize("profile", PROFILES, ids=ids(PROFILES))
def test_any_changed_byte_of_a_sale_is_seen(profile):
    mak = fresh_keys(profile)["mak"]
    good, bad = (mac.under_key(profile.mac, k) for k in (mak, bytes(b ^ 2 for b in mak)))
    sale = message.offline_sale(profile, TERMINAL, 79, 727, 1000, card(), 1)
    frame = encode(profile, sale, good)
    assert mac_good(decode(profile, frame), good)
    assert not mac_good(decode(profile, frame), bad)
    for i in range(11, len(frame)):
        changed = frame[:i] + bytes([frame[i] ^ 1]) + frame[i + 1 :]
        try:
            found = decode(profile, changed)
        except FrameError:
            continue
        assert not mac_good(found, good), i


def test_the_same_sale_is_the_same_bytes():
    made = mac.under_key(UNIONPAY.mac, fresh_keys(UNIONPAY)["mak"])
    frames = {
        encode(UNIONPAY, message.offline_sale(UNIONPAY, TERMINAL, 7, 1, 1000, card(), 1), made)
        for _ in range(3)
    }
    assert len(frames) == 1


@given(st.binary(max_size=400))
@settings(max_examples=400, deadline=None)
def test_noise_is_a_frame_error_and_nothing_else(noise):
    for frame in (noise, UNIONPAY.tpdu + UNIONPAY.header + b"\x02\x00" + noise):
        try:
            decode(UNIONPAY, frame)
        except FrameError as e:
            assert str(e)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_frame_cut_or_changed_anywhere_is_a_frame_error_or_another_message(data):
    sale = message.offline_sale(UNIONPAY, TERMINAL, 79, 727, 1000, card(), 1)
    frame = encode(UNIONPAY, sale)
    at = data.draw(st.integers(0, len(frame) - 1))
    part = data.draw(st.binary(max_size=6))
    for bad in (frame[:at], frame[:at] + part + frame[at + len(part) :]):
        try:
            found = decode(UNIONPAY, bad)
        except FrameError as e:
            assert "6210948000000011" not in str(e) + repr(e)
            continue
        assert encode(UNIONPAY, found) == bad or found != sale


@given(
    st.dictionaries(
        st.sampled_from(["3", "4", "11", "37", "39", "41", "48", "55", "60", "62", "63"]),
        st.integers(0, 10**6),
        min_size=1,
    ),
    st.sampled_from(["0200", "0210", "0500", "0800"]),
)
@settings(max_examples=150, deadline=None)
def test_what_was_encoded_is_decoded_again(numbers, mti):
    fixed = {"3": 6, "4": 12, "11": 6, "37": 12, "39": 2, "41": 8}
    fields = {}
    for name, number in numbers.items():
        text = f"{number:0{fixed.get(name, 1)}d}"
        text = text[-fixed[name] :] if name in fixed else text
        fields[name] = text.encode().hex().upper() if name in ("55", "62") else text
    found = decode(UNIONPAY, encode(UNIONPAY, Message(mti, fields)))
    assert (found.mti, found.fields) == (mti, fields)


@given(st.binary(max_size=120))
@settings(max_examples=300, deadline=None)
def test_noise_as_de55_is_a_frame_error_or_tags(noise):
    try:
        tags = de55.read(noise)
    except FrameError:
        return
    assert all(isinstance(v, bytes) for v in tags.values())


def test_a_message_shows_no_card_data():
    sale = message.offline_sale(UNIONPAY, TERMINAL, 7, 1, 1000, card(), 1)
    assert "6210948000000011" not in repr(sale) and "************0011" in repr(sale)
    assert "621094" not in repr(sale) and "9F26=" in repr(sale)
    odd = Message("0200", {"55": "5A086210948000000011" + "9A03261124", "35": "6210948000000011D"})
    assert repr(odd) == "Message(0200, {'55': '5A=*** 9A=261124', '35': '***'})"
    assert "6210" not in repr(Message("0200", {"55": "5A0862109480"}))
    assert "621094" not in repr(card())


def test_decode_as_a_person_types_it():
    sale = message.offline_sale(UNIONPAY, TERMINAL, 7, 1, 1000, card(), 1)
    frame = encode(UNIONPAY, sale).hex()
    for words in ([frame], [f"{len(frame) // 2:04x}" + frame, "--length"]):
        done = CliRunner().invoke(app, ["decode", *words])
        assert done.exit_code == 0 and "MTI 0200" in done.output
        assert "************0011" in done.output and "621094" not in done.output
    done = CliRunner().invoke(app, ["decode", frame, "--json"])
    assert json.loads(done.output)["fields"]["4"] == "000000001000"
    for bad in ("xyz", frame[:50]):
        assert isinstance(CliRunner().invoke(app, ["decode", bad]).exception, FrameError)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('mac = "none"', "mac must be"),
        ('tpdu = "60"', "tpdu has 5"),
        ("mac = ", "not TOML"),
        ("[fields]\n2 = { kind = 'q', length = 1 }", "kind"),
        ("[sign_in]\nkeys = [{ name = 'pik', bytes = 8, padding = 0, check = 4 }]", "mak"),
    ],
)
def test_a_profile_that_makes_no_sense(tmp_path, change, words):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "unionpay"\n' + change + "\n")
    with pytest.raises(ProfileError, match=words) as error:
        Profile.load(path)
    assert "mine.toml" in str(error.value)


def test_a_profile_that_is_not_there():
    with pytest.raises(ProfileError, match="long-keys, single-des, unionpay"):
        Profile.load("mine")


def test_a_host_that_changes_its_field_table(tmp_path):
    path = tmp_path / "mine.toml"
    table = '[fields]\n62 = { kind = "a", length = 40, prefix = 3 }\n'
    path.write_text('extends = "unionpay"\nname = "mine"\n' + table)
    mine = Profile.load(path)
    raw = encode(mine, Message("0800", {"11": "000001", "62": "AB"}))
    assert raw.endswith(b"\x00\x02AB")
    assert decode(mine, raw).fields["62"] == "AB"
    assert decode(UNIONPAY, raw).fields["62"] == "4142"


def test_a_fault_plan(tmp_path):
    faults = Faults({"drop": 2, "late@0500": 1})
    assert [faults.next("0200") for _ in range(3)] == ["drop", "drop", None]
    assert [faults.next("0500") for _ in range(2)] == ["late", None]
    with pytest.raises(AcquirerError, match="one of lose-request"):
        Faults({"explode": 1})
    path = tmp_path / "plan.json"
    path.write_text('{"drop": 1, "chaos": 7}')
    assert read_plan(path) == ({"drop": 1}, 7)
    path.write_text("[1]")
    with pytest.raises(AcquirerError, match="plan.json"):
        read_plan(path)
