"""Downloads: parameters, CA keys, AIDs and deny lists, whole, broken off and gone on with."""

import tomllib

import pytest
from flagfall_host.acquirer.downloads import _ids
from flagfall_host.acquirer.errors import AcquirerError, FrameError, NoAnswer, Refused
from flagfall_host.acquirer.offers import identity
from flagfall_host.bench import install
from flagfall_host.bench.cards import catalogue
from hypothesis import given, settings
from hypothesis import strategies as st
from office import SHORT_S, Host, acquirer

AIDS = [install.aid_row(f"A0000003330101{i:02X}") for i in range(60)]
CAPKS = [row.hex().upper() for row in catalogue.capk_tlvs()]
DENIED = [f"62109480{i:08d}" for i in range(40)] + ["620000-620099"]
PARAMETERS = {"11": "60", "12": "60", "14": "01012345678".ljust(14), "22": "出租车公司"}
NAMES = ("parameters", "capk", "aid", "deny", "deny-oda")


def offers(folder, capks=CAPKS):
    padded = dict(PARAMETERS)
    padded["22"] += " " * (40 - len(padded["22"].encode("gbk")))
    rows = "".join(f'"{k}" = "{v}"\n' for k, v in padded.items())
    path = folder / "offers.toml"
    path.write_text(
        f"capk = {capks}\naid = {AIDS}\ndeny = {DENIED}\ndeny-oda = {DENIED[:3]}\n"
        f"[parameters]\n{rows}".replace("'", '"')
    )
    return path


def content(path):
    return tomllib.loads(path.read_text())


def good(folder):
    """All five files say what was offered."""
    downloads = folder / "downloads"
    assert content(downloads / "capk.toml") == {"live": False, "keys": CAPKS}
    assert content(downloads / "aids.toml") == {"aids": AIDS}
    assert content(downloads / "parameters.toml") == {"company": "出租车公司"}
    assert "# 12 time-out, s: 60" in (downloads / "parameters.toml").read_text()
    lines = (downloads / "deny" / "deny.txt").read_text().splitlines()
    assert [x for x in lines if not x.startswith("#")] == DENIED
    assert (downloads / "deny" / "deny-oda.txt").read_text().count("62109480") == 3
    assert not list(downloads.glob(".*"))
    for path in downloads.rglob("*.t*"):
        assert path.stat().st_mode & 0o077 == 0


def fetch_all(a, folder, tries=40):
    for name in NAMES:
        for _ in range(tries):
            try:
                a.download(name, folder, test=True)
                break
            except AcquirerError:
                continue
        else:
            raise AssertionError(f"{name} never came")


@pytest.mark.parametrize("profile", ["unionpay", "long-keys"])
def test_everything_is_downloaded(ledger, tmp_path, profile):
    with (
        Host(tmp_path / "host", profile=profile, offers=offers(tmp_path)) as host,
        acquirer(ledger, host) as a,
    ):
        a.sign_in()
        seen = []
        counts = {
            name: a.download(name, tmp_path, test=True, said=lambda *x: seen.append(x))[1]
            for name in NAMES
        }
    assert counts == {"parameters": 1, "capk": 5, "aid": 60, "deny": 41, "deny-oda": 3}
    assert ("aid", 60) in seen and ("deny", 41) in seen
    good(tmp_path)


def test_a_terminal_that_never_signed_in_does_so_by_itself(ledger, tmp_path):
    with (
        Host(tmp_path / "host", offers=offers(tmp_path)) as host,
        acquirer(ledger, host) as a,
    ):
        assert a.download("parameters", tmp_path)[1] == 1


@pytest.mark.parametrize("seed", range(2))
def test_every_fault_in_downloads(ledger, tmp_path, seed):
    with (
        Host(tmp_path / "host", chaos=seed, answer_s=SHORT_S / 5, offers=offers(tmp_path)) as host,
        acquirer(ledger, host) as a,
    ):
        fetch_all(a, tmp_path)
    good(tmp_path)


def test_a_download_goes_on_where_it_stopped(ledger, tmp_path):
    plan = {"lose-answer@0800": 3}
    with Host(tmp_path / "host", offers=offers(tmp_path), answer_s=SHORT_S) as host:
        with acquirer(ledger, host) as a:
            a.sign_in()
            seen = []

            def stop(_, count):
                seen.append(count)
                if count == 20:
                    host.kill()

            with pytest.raises(NoAnswer):
                a.download("aid", tmp_path, said=stop)
        assert not (tmp_path / "downloads" / "aids.toml").exists()
        host.start(plan)
        with acquirer(ledger, host) as a:
            with pytest.raises(NoAnswer):
                a.download("aid", tmp_path)
            again = []
            a.download("aid", tmp_path, said=lambda _, count: again.append(count))
    assert again[0] == 21 and again[-1] == 60
    assert content(tmp_path / "downloads" / "aids.toml") == {"aids": AIDS}


def test_a_partial_result_that_was_cut_off_is_used_up_to_there(ledger, tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    whole = "".join(f"{i}\t{entry}.\n" for i, entry in enumerate(DENIED[:5]))
    (folder / ".deny.partial").write_text(whole + "5\t6210")
    with (
        Host(tmp_path / "host", offers=offers(tmp_path)) as host,
        acquirer(ledger, host) as a,
    ):
        a.sign_in()
        path, count = a.download("deny", tmp_path)
    assert count == 41 and DENIED[5] in path.read_text()


def test_nothing_offered_is_an_empty_list_and_an_old_file_goes(ledger, tmp_path):
    with Host(tmp_path / "host") as host, acquirer(ledger, host) as a:
        a.sign_in()
        path, count = a.download("deny", tmp_path)
        assert count == 0 and DENIED[0] not in path.read_text()
        with pytest.raises(AcquirerError, match="parameters, capk, aid, deny, deny-oda"):
            a.download("nothing", tmp_path)


def test_a_ca_key_that_makes_no_sense_leaves_the_old_file(ledger, tmp_path):
    bad = CAPKS[0][:-2] + ("00" if CAPKS[0][-2:] != "00" else "01")
    with (
        Host(tmp_path / "host", offers=offers(tmp_path, [bad])) as host,
        acquirer(ledger, host) as a,
    ):
        a.sign_in()
        with pytest.raises(FrameError, match="capk .* makes no sense"):
            a.download("capk", tmp_path)
    assert not (tmp_path / "downloads" / "capk.toml").exists()


def test_a_host_that_does_not_serve_downloads(ledger, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'extends = "unionpay"\nname = "mine"\n[downloads.deny]\ncode = "999"\nend = "998"\n'
    )
    with Host(tmp_path / "host") as host:
        host.profile = str(path)
        with acquirer(ledger, host) as a:
            a.sign_in()
            with pytest.raises(Refused, match="does it serve that"):
                a.download("deny", tmp_path)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_noise_as_the_answer_to_a_query(noise):
    try:
        found = _ids(noise)
    except FrameError:
        return
    assert all(isinstance(one, bytes) for one in found)


def test_ids_of_a_query_are_those_of_the_rows():
    rows = [bytes.fromhex(row) for row in CAPKS]
    assert _ids(b"".join(identity(row) for row in rows)) == [identity(row) for row in rows]
