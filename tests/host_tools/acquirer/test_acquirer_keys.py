"""Master keys in memory, in a sealed file and in SoftHSM: the same MACs, and nothing readable."""

import os
import subprocess
from pathlib import Path

import pytest
from flagfall_host.acquirer import mac
from flagfall_host.acquirer.errors import KeysError
from flagfall_host.acquirer.key_file import KeyFile
from flagfall_host.acquirer.keys import EVERY, KeysInMemory, open_keys, public_test_keys
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.token_keys import TokenKeys
from flagfall_host.acquirer.working_keys import fresh_keys, wrap
from office import TERMINAL, Host, acquirer, agree, booked

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "1234"
TMK = bytes.fromhex("0123456789ABCDEFFEDCBA9876543211")  # a test key of these tests
PROFILES = ("unionpay", "long-keys", "single-des")
DATA = bytes(range(61))


@pytest.fixture(scope="session")
def token(tmp_path_factory):
    """A new SoftHSM token; its URI."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    words = ["--init-token", "--free", "--label", "flagfall", "--so-pin", "4321", "--pin", PIN]
    done = subprocess.run(["softhsm2-util", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return f"pkcs11:token=flagfall?module-path={MODULE}"


@pytest.fixture(params=["memory", "file", "token"])
def store(request, tmp_path):
    if request.param == "memory":
        keys = KeysInMemory({})
    elif request.param == "file":
        keys = open_keys(str(tmp_path / "keys.json"), "a passphrase")
    else:
        keys = open_keys(request.getfixturevalue("token"), PIN)
    yield keys
    keys.close()


@pytest.mark.parametrize("name", PROFILES)
def test_each_store_makes_the_macs_of_the_library(store, name):
    """ECB and X9.19, MAC keys of single and double length, and double length with ECB."""
    profile = Profile.load(name)
    keys = fresh_keys(profile)
    store.add(TERMINAL.terminal_id, TMK)
    made = store.mac(profile, TERMINAL.terminal_id, wrap(profile, TMK, keys))
    assert made(DATA) == mac.under_key(profile.mac, keys["mak"])(DATA)
    assert store.check_values()[TERMINAL.terminal_id] == mac.check_value(TMK).hex().upper()
    wrong = wrap(profile, bytes(16), keys)
    with pytest.raises(KeysError, match="check value"):
        store.mac(profile, TERMINAL.terminal_id, wrong)
    with pytest.raises(KeysError, match="16 bytes"):
        store.add(TERMINAL.terminal_id, TMK[:8])


@pytest.mark.parametrize(
    ("base", "variant"), [("long-keys", "unionpay-ecb"), ("single-des", "x9.19")]
)
def test_the_other_length_of_the_mac_key(store, tmp_path, base, variant):
    path = tmp_path / "mine.toml"
    path.write_text(f'extends = "{base}"\nname = "mine"\nmac = "{variant}"\n')
    profile = Profile.load(path)
    keys = fresh_keys(profile)
    store.add(EVERY, TMK)
    made = store.mac(profile, "99999999", wrap(profile, TMK, keys))
    assert made(DATA) == mac.under_key(variant, keys["mak"])(DATA)


def test_a_terminal_without_a_key(tmp_path):
    for keys in (KeysInMemory({}), KeyFile(tmp_path / "k", "secret")):
        with pytest.raises(KeysError, match="no master key for terminal 10000001"):
            keys.mac(Profile.load(), "10000001", bytes(40))


def test_a_key_file_opens_with_its_passphrase_only(tmp_path):
    path = tmp_path / "keys.json"
    KeyFile(path, "right").add("10000001", TMK)
    assert path.stat().st_mode & 0o077 == 0
    assert TMK.hex() not in path.read_text() and TMK not in path.read_bytes()
    again = KeyFile(path, "right")
    again.add("10000002", TMK[::-1])
    assert set(KeyFile(path, "right").check_values()) == {"10000001", "10000002"}
    with pytest.raises(KeysError, match="passphrase is not"):
        KeyFile(path, "wrong")
    with pytest.raises(KeysError, match="FLAGFALL_KEYS_SECRET"):
        KeyFile(path, "")
    path.chmod(0o644)
    with pytest.raises(KeysError, match="chmod 600"):
        KeyFile(path, "right")
    path.chmod(0o600)
    for damage in ("", "{}", '{"salt": 1}', path.read_text()[:40]):
        path.write_text(damage)
        with pytest.raises(KeysError, match="damaged"):
            KeyFile(path, "right")


def test_a_token_gives_no_key_away(token):
    keys = TokenKeys(token, PIN)
    keys.add("10000009", TMK)
    import pkcs11

    for key in keys._objects("flagfall-tmk-10000009"):
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            _ = key[pkcs11.Attribute.VALUE]
    assert TMK.hex() not in repr(keys)
    keys.close()
    folder = Path(os.environ["SOFTHSM2_CONF"]).parent
    assert not any(TMK in p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_a_token_that_is_not_there_or_has_another_pin(token):
    with pytest.raises(KeysError, match="flagfall"):
        TokenKeys(token, "9999")
    with pytest.raises(KeysError, match="other"):
        TokenKeys(token.replace("token=flagfall", "token=other"), PIN)
    with pytest.raises(KeysError, match="FLAGFALL_TOKEN_PIN"):
        TokenKeys(token, "")
    with pytest.raises(KeysError, match="such as pkcs11"):
        TokenKeys("pkcs11:flagfall", PIN)
    with pytest.raises(KeysError, match="/nowhere"):
        TokenKeys("pkcs11:token=x?module-path=/nowhere.so", PIN)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_day_with_the_keys_in_a_token(ledger, tmp_path, token, profile):
    _, amount = booked(ledger, 3)
    keys = TokenKeys(token, PIN)
    keys.add(TERMINAL.terminal_id, public_test_keys().master_key(EVERY))
    with Host(tmp_path / "host", {"mac-error": 1}, profile=profile) as host:
        with acquirer(ledger, host, keys=keys) as a:
            a.sign_in()
            assert a.upload().accepted == 3
            a.settle()
        agree(ledger, host, 3, amount)
    keys.close()
