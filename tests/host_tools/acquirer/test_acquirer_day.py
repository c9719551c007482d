"""A day with the acquirer: sign in, upload, settle; with every fault of the menu; and PANs."""

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest
from flagfall_host.acquirer.codec import encode
from flagfall_host.acquirer.errors import (
    AcquirerError,
    KeysError,
    NoAnswer,
    Refused,
    WrongFleetKey,
)
from flagfall_host.acquirer.faults import MENU
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.report import upload_fields, upload_words
from flagfall_host.acquirer.sealed import Opener
from flagfall_host.acquirer.terminal_state import TerminalState
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.errors import MoneyError
from office import (
    FLEET_KEY,
    PANS,
    SHORT_S,
    TERMINAL,
    Host,
    Nobody,
    TapUnit,
    acquirer,
    agree,
    booked,
)
from sqlalchemy import event

SOAK = bool(os.environ.get("FLAGFALL_SOAK"))
# A payment that is declined ends refused: it has a test of its own.
UPLOAD_FAULTS = [n for n, (_, mti) in MENU.items() if mti == "0200" and n != "decline"]


def evening(ledger, host, tries=30, terminal=TERMINAL):
    """Sign in, upload and settle, each again and again until it is done, as a person would."""
    with acquirer(ledger, host, terminal) as a:
        for step in (a.sign_in, a.upload, a.settle):
            for _ in range(tries):
                try:
                    step()
                    break
                except AcquirerError:
                    continue
            else:
                raise AssertionError(f"{step.__name__} never ended")
        return a.counters


@pytest.mark.parametrize("profile", ["unionpay", "long-keys", "single-des", "ascii"])
def test_a_day_in_each_profile(ledger, tmp_path, profile):
    _, amount = booked(ledger)
    with Host(tmp_path / "host", profile=profile) as host:
        with acquirer(ledger, host) as a:
            assert a.sign_in() == 1
            a.echo()
            seen = []
            result = a.upload(lambda done, of: seen.append((done, of)))
            assert (result.accepted, result.amount, result.repeated) == (6, amount, 0)
            assert seen[-1] == (6, 6) and result.refused == result.unreadable == []
            settled = a.settle()
            assert (settled.batch, settled.count, settled.amount) == (1, 6, amount)
            assert settled.balanced
            assert a.settle() == settled and a.settle_all() == []
            assert a.sign_in() == 2
            assert a.upload().accepted == 0
        agree(ledger, host, 6, amount)


def test_two_days_two_batches(ledger, tmp_path):
    unit, amount = booked(ledger, 3)
    with Host(tmp_path / "host") as host:
        evening(ledger, host)
        for _ in range(2):
            unit.tap(700)
        ledger.book(unit.unit_id, unit.raws, unit.key)
        evening(ledger, host)
        agree(ledger, host, 5, amount + 1400)
        assert {s[1] for s in host.sales()} == {1, 2}


def test_after_a_settlement_the_next_batch_is_open_without_a_new_sign_in(ledger, tmp_path):
    unit, amount = booked(ledger, 1)
    with Host(tmp_path / "host") as host:
        evening(ledger, host)
        unit.tap(700)
        ledger.book(unit.unit_id, unit.raws, unit.key)
        with acquirer(ledger, host) as a:
            a.upload()
            assert a.settle().batch == 2
        agree(ledger, host, 2, amount + 700)
        assert [s[1] for s in host.sales()] == [1, 2]


def test_each_question_of_a_settlement_keeps_its_number(ledger):
    state = TerminalState(ledger, TERMINAL.terminal_id, TERMINAL.merchant_id)
    first = state.settlement(1, 156)
    assert state.settlement(1, 156) == first
    assert state.end_stan(1) == state.end_stan(1) == first.stan + 1


def test_nothing_joins_a_batch_whose_totals_were_told(ledger, tmp_path):
    unit, amount = booked(ledger, 2)
    with Host(tmp_path / "host", {"lose-answer@0500": 3}, answer_s=SHORT_S) as host:
        with acquirer(ledger, host) as a:
            a.sign_in()
            a.upload()
            with pytest.raises(NoAnswer):
                a.settle()  # the host has closed the batch; nobody here knows
        unit.tap(700)
        ledger.book(unit.unit_id, unit.raws, unit.key)
        with acquirer(ledger, host) as a:
            a.upload()
            a.settle()
        agree(ledger, host, 3, amount + 700)
        assert [s[1] for s in host.sales()] == [1, 1, 2]
        assert ledger.check() == []


@pytest.mark.parametrize("fault", UPLOAD_FAULTS)
def test_each_fault_of_the_menu_on_upload(ledger, tmp_path, fault):
    _, amount = booked(ledger)
    with Host(tmp_path / "host", {fault: 4}, answer_s=SHORT_S) as host:
        counters = evening(ledger, host)
        agree(ledger, host, 6, amount)
    assert counters.asked > 8 or fault in ("twice", "stray")


@pytest.mark.parametrize("mti", ["0800", "0500"])
@pytest.mark.parametrize("fault", ["lose-request", "lose-answer", "cut", "garble", "busy"])
def test_faults_of_sign_in_and_settlement(ledger, tmp_path, fault, mti):
    _, amount = booked(ledger, 2)
    with Host(tmp_path / "host", {f"{fault}@{mti}": 4}, answer_s=SHORT_S) as host:
        evening(ledger, host)
        agree(ledger, host, 2, amount)


@pytest.mark.parametrize("seed", range(60 if SOAK else 3))
def test_chaos(ledger, tmp_path, seed):
    _, amount = booked(ledger, 8)
    with Host(tmp_path / "host", {"unbalanced": seed % 2}, chaos=seed, answer_s=SHORT_S) as host:
        evening(ledger, host)
        agree(ledger, host, 8, amount)


def test_a_lost_answer_is_unknown_and_the_same_message_resolves_it(ledger, tmp_path):
    _, amount = booked(ledger, 2)
    with Host(tmp_path / "host", {"lose-answer": 3}, answer_s=SHORT_S) as host:
        with acquirer(ledger, host) as a:
            a.sign_in()
            with pytest.raises(NoAnswer, match="stays unknown"):
                a.upload()
            assert ledger.summary()["states"]["unknown"][0] == 1
            assert host.everything()["payments"] == 1
            with pytest.raises(AcquirerError, match="not known"):
                a.settle()
            result = a.upload()
            assert result.accepted == 2 and result.repeated >= 1
            a.settle()
        agree(ledger, host, 2, amount)
    first = [m["state"] for m in ledger.rows("moves")][:5]
    assert first == ["queued", "queued", "sent", "unknown", "accepted"]


def two_offices(place, folder):
    """They get in each other's way, with a clear error, and still nothing is booked twice."""
    failed = []

    def office():
        with Ledger.open(place) as mine, acquirer(mine, host) as a:
            for _ in range(40):
                try:
                    a.upload()
                    return
                except MoneyError:
                    continue
                except Exception as e:
                    failed.append(e)
                    return
            failed.append("never done")

    with Ledger.open(place) as ledger, Host(folder, delay_s=0.002) as host:
        _, amount = booked(ledger, 10)
        with acquirer(ledger, host) as a:
            a.sign_in()
            threads = [threading.Thread(target=office) for _ in range(2)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert failed == []
            a.upload()
            a.settle()
        agree(ledger, host, 10, amount)


def test_two_offices_at_one_terminal_at_once(place, tmp_path):
    two_offices(place, tmp_path / "host")


def test_on_postgresql(postgres_place, tmp_path):
    two_offices(postgres_place, tmp_path / "host")
    with Ledger.open(postgres_place) as ledger:
        unit = TapUnit("TAXI-2")
        unit.tap(700)
        unit.tap(800, online=True, cvn=0x12)
        ledger.book(unit.unit_id, unit.raws, unit.key)
        faults = {"unbalanced": 1, "cut": 1, "mac-error": 1, "drop@0320": 1}
        with Host(tmp_path / "other", faults) as host:
            words = "batch 1 .* settled in this ledger"
            with acquirer(ledger, host) as a, pytest.raises(AcquirerError, match=words):
                a.sign_in()
            evening(ledger, host, terminal=Terminal("10000002", TERMINAL.merchant_id))
            assert host.everything()["settled_amount"] == 1500
        assert ledger.summary("TAXI-2")["states"] == {"settled": (2, 1500)}


def test_no_host_at_all(ledger):
    booked(ledger, 1)
    with acquirer(ledger, Nobody) as a:
        with pytest.raises(NoAnswer, match="127.0.0.1:1"):
            a.sign_in()
        with pytest.raises(KeysError, match="not signed in"):
            a.upload()
    assert ledger.summary()["states"] == {"captured": (1, 1000)}


def test_a0_signs_in_again_once_and_then_says_so(ledger, tmp_path):
    booked(ledger, 1)
    with (
        Host(tmp_path / "host", {"mac-error": 2}) as host,
        acquirer(ledger, host) as a,
    ):
        a.sign_in()
        with pytest.raises(KeysError, match="even after a new sign-in"):
            a.upload()
        assert ledger.summary()["states"] == {"queued": (1, 1000)}
        assert a.upload().accepted == 1


def test_a_false_cryptogram_is_refused_for_good(ledger, tmp_path):
    unit = TapUnit()
    unit.tap(1000, imk=b"\x11" * 16)
    unit.tap(1100)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    with Host(tmp_path / "host") as host, acquirer(ledger, host) as a:
        a.sign_in()
        result = a.upload()
        assert [(r[0], r[3]) for r in result.refused] == [("TAXI-1", "05")]
        assert a.settle().count == 1
        assert host.everything()["settled_amount"] == 1100
    assert ledger.summary()["states"] == {"refused": (1, 1000), "settled": (1, 1100)}
    assert [f.kind for f in ledger.check()] == ["refused-money"]


@pytest.mark.parametrize("cvn", [0x01, 0x12])
def test_transit_payments_go_up_as_deferred_sales(ledger, tmp_path, cvn):
    unit = TapUnit()
    unit.tap(900, online=True, cvn=cvn, **{"9F74": b""})
    unit.tap(800)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    with Host(tmp_path / "host") as host:
        evening(ledger, host)
        agree(ledger, host, 2, 1700)


def test_a_ride_that_is_declined_later_is_refused_reported_and_not_settled(ledger, tmp_path):
    """And the answer stays no, also where the first one was lost."""
    unit = TapUnit()
    for amount in (900, 800, 700):
        unit.tap(amount, online=True)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    faults = {"decline": 1, "lose-answer": 1}
    with Host(tmp_path / "host", faults, answer_s=SHORT_S) as host, acquirer(ledger, host) as a:
        a.sign_in()
        result = a.upload()
        (refused,) = result.refused
        assert (refused.code, refused.amount, refused.deferred) == ("51", 900, True)
        assert "51 (not enough money)" in upload_words(result)
        assert "after the ride" in upload_words(result)
        assert upload_fields(result)["refused"][0]["deferred"]
        assert a.settle().amount == 1500 and a.upload().accepted == 0
        assert host.everything()["settled_amount"] == 1500
    assert ledger.summary()["states"] == {"refused": (1, 900), "settled": (2, 1500)}
    assert [f.kind for f in ledger.check()] == ["refused-money"]
    why = [m["why"] for m in ledger.rows("moves") if m["state"] == "refused"]
    assert why == ["response 51 (not enough money), asked after the ride"]


@pytest.mark.parametrize("faults", [{}, {"lose-answer@0320": 4}, {"drop@0320": 7}])
def test_totals_that_do_not_balance_are_told_payment_by_payment(ledger, tmp_path, faults):
    _, amount = booked(ledger, 5)
    with Host(tmp_path / "host", {"unbalanced": 1, **faults}, answer_s=SHORT_S) as host:
        evening(ledger, host)
        agree(ledger, host, 5, amount)
        with acquirer(ledger, host) as a:
            assert not a.settle().balanced
            assert a.sign_in() == 2


def test_an_error_of_the_host_settles_nothing_and_can_be_asked_again(ledger, tmp_path):
    _, amount = booked(ledger, 2)
    with Host(tmp_path / "host", {"error": 1}) as host:
        with acquirer(ledger, host) as a:
            a.sign_in()
            a.upload()
            with pytest.raises(Refused, match="Nothing is settled"):
                a.settle()
            assert a.settle().balanced
        agree(ledger, host, 2, amount)


def test_the_host_restarts_between_all(ledger, tmp_path):
    _, amount = booked(ledger, 4)
    with Host(tmp_path / "host", {"lose-answer": 3}, answer_s=SHORT_S) as host:
        with acquirer(ledger, host) as a:
            a.sign_in()
            with pytest.raises(NoAnswer):
                a.upload()
        host.restart()
        evening(ledger, host)
        agree(ledger, host, 4, amount)


def test_another_fleet_key_changes_nothing(ledger, tmp_path):
    unit = TapUnit()
    unit.data_key = bytes(32)
    from cryptography.hazmat.primitives.asymmetric import rsa

    unit.key_record(rsa.generate_private_key(65_537, 2048).public_key())
    unit.tap(1000)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    with Host(tmp_path / "host") as host, acquirer(ledger, host) as a:
        a.sign_in()
        with pytest.raises(WrongFleetKey, match="Nothing was changed"):
            a.upload()
    assert set(ledger.summary()["states"]) <= {"captured", "queued"}


def test_what_cannot_be_opened_is_named_and_the_rest_goes_up(ledger, tmp_path):
    unit = TapUnit()
    unit.tap(1000)
    unit.payment(1100, sealed=unit.seal(b"\x9f\x26"))
    unit.payment(1200, sealed=b"\1\0" + bytes(48))
    unit.payment(1300, sealed=unit.seal(b"\x57\x03\x12\x34\x56"))
    unit.payment(1500)
    unit.tap(1400)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    with Host(tmp_path / "host") as host, acquirer(ledger, host) as a:
        a.sign_in()
        result = a.upload()
        assert result.accepted == 2 and len(result.unreadable) == 4
        assert ledger.summary()["states"]["disputed"][0] == 4
        assert a.settle().amount == 2400


def test_a_late_key_record_is_waited_for(ledger, tmp_path):
    unit = TapUnit()
    unit.tap(1000)
    ledger.book(unit.unit_id, unit.raws[1:], unit.key)
    with Host(tmp_path / "host") as host, acquirer(ledger, host) as a:
        a.sign_in()
        assert "no KEY record" in a.upload().unreadable[0]
        assert ledger.summary()["states"] == {"queued": (1, 1000)}
        assert a.settle().count == 0
        ledger.book(unit.unit_id, unit.raws[:1], unit.key)
        assert a.upload().accepted == 1
        assert a.settle().count == 1
        agree(ledger, host, 1, 1000)


def test_amount_and_signed_amount_must_be_one(ledger, tmp_path):
    unit = TapUnit()
    unit.tap(1000, **{"9F02": bytes.fromhex("000000000999")})
    ledger.book(unit.unit_id, unit.raws, unit.key)
    with Host(tmp_path / "host") as host, acquirer(ledger, host) as a:
        a.sign_in()
        assert "card has signed" in a.upload().unreadable[0]
    assert ledger.summary()["states"] == {"disputed": (1, 1000)}


def test_another_merchant_cannot_take_a_terminal(ledger):
    acquirer(ledger, Nobody).close()
    with pytest.raises(AcquirerError, match="check --merchant"):
        acquirer(ledger, Nobody, terminal=Terminal(TERMINAL.terminal_id, "9" * 15))


def test_no_card_number_anywhere(ledger, tmp_path, caplog):
    """Not in the ledger, the book, the host's log, ours, or what exceptions and reprs say."""
    caplog.set_level(logging.DEBUG)
    booked(ledger, 6)
    said = []
    with Host(tmp_path / "host", {"garble": 2}) as host:
        with acquirer(ledger, host) as a:
            a.sign_in()
            said.append(repr(a.upload()))
            opener = Opener(ledger, FLEET_KEY)
            cards = {u.key: opener.open(*u.key) for u in a.state.in_batch(1)}
            said += [repr(card) for card in cards.values()]
            sales = [a.talk.sale(u, cards[u.key], "0200") for u in a.state.in_batch(1)]
            said += [repr(sale) for sale in sales]
            said.append(repr(a.settle()))
            with pytest.raises(AcquirerError) as error:
                a.profile.spec["3"]["max_len"] = 4
                encode(a.profile, sales[0])
            said.append(str(error.value) + repr(error.value) + repr(error.value.__context__))
        said.append((tmp_path / "host" / "log").read_text())
    said.append(caplog.text)
    for path in [*tmp_path.glob("*.sqlite*"), *(tmp_path / "host").glob("*")]:
        said.append(path.read_bytes().hex())
        said.append(path.read_bytes().decode("latin-1"))
    everything = "\n".join(said)
    for pan in PANS:
        assert pan not in everything and pan.encode().hex() not in everything


def test_a_ledger_without_the_fleet_key_opens_no_card(ledger, tmp_path):
    """What a thief of the file has: sealed bytes, wrapped keys, last four digits."""
    booked(ledger, 3)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        dump = "\n".join(db.iterdump())
    for pan in PANS:
        assert pan not in dump and pan[:12] not in dump
    assert f"{FLEET_KEY.private_numbers().d:x}" not in dump


@pytest.mark.parametrize("seed", range(20 if SOAK else 1))
def test_kill_the_office_at_random_points_and_go_on(ledger, tmp_path, seed):
    """kill -9 of upload and settle, again and again: each payment is at the host exactly once."""
    _, amount = booked(ledger, 12)
    chance = random.Random(seed)
    with Host(tmp_path / "host", delay_s=0.003) as host:
        with acquirer(ledger, host) as a:
            a.sign_in()
        ended = 0
        for _ in range(60):
            ended += _killed_after(tmp_path, host, chance.randrange(1, 60))
            if ended:
                break
        evening(ledger, host)
        agree(ledger, host, 12, amount)


def _killed_after(folder, host, statements):
    """One run of the office's evening in a child that dies after so many statements."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFEXITED(status)
    try:
        ledger = Ledger.open(folder / "ledger.sqlite")
        left = [statements]

        def count(*_):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(ledger.engine, "before_cursor_execute", count)
        with acquirer(ledger, host) as a:
            a.upload()
            a.settle()
        os._exit(0)
    except BaseException:
        os._exit(1)


def test_the_commands_as_a_person_types_them(ledger, tmp_path):
    from flagfall_host.depot.fleet import Fleet

    fleet = Fleet.create(tmp_path / "fleet", "office")
    unit = TapUnit()
    unit.key_record(fleet.private_key.public_key())
    unit.tap(1250)
    ledger.book(unit.unit_id, unit.raws, unit.key)
    with Host(tmp_path / "host", {"drop": 1}, command=True) as host:
        common = ["--ledger", tmp_path / "ledger.sqlite", "--fleet", tmp_path / "fleet"]
        common += ["--host", f"127.0.0.1:{host.port}", "--terminal", TERMINAL.terminal_id]
        common += ["--merchant", TERMINAL.merchant_id]

        def run(*words):
            command = [sys.executable, "-m", "flagfall_host.cli.main", *map(str, words)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert "batch 1" in run("acquirer", "sign-in", *common)
        assert "is there" in run("acquirer", "echo", *common)
        assert "accepted: 1 taps, 12.50" in run("acquirer", "upload", *common)
        assert "settled: batch 1, 1 taps, 12.50" in run("acquirer", "settle", *common)
        status = run("ledger", "status", "--ledger", tmp_path / "ledger.sqlite")
        assert "settled" in status and "12.50" in status
        listed = run("ledger", "list", "money", "--ledger", tmp_path / "ledger.sqlite", "--json")
        assert '"settled"' in listed
        checked = run("ledger", "check", "--ledger", tmp_path / "ledger.sqlite")
        assert "nothing is missing" in checked
