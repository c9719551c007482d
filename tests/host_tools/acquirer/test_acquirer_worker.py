"""Workers: many terminals over few lines; claims that die with their holder; several at once."""

import asyncio
import os
import random
import signal

import pytest
from flagfall_host.acquirer import served
from flagfall_host.acquirer.errors import AcquirerError, NoAnswer
from flagfall_host.acquirer.message import Terminal
from flagfall_host.acquirer.profile import Profile
from flagfall_host.acquirer.served import Served
from flagfall_host.acquirer.worker import Worker
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.claims import claim, claim_one
from flagfall_host.ledger.errors import Busy
from office import FLEET_KEY, PANS, SHORT_S, TERMINAL, Host, Nobody, TapUnit, agree
from sqlalchemy import event

SOAK = bool(os.environ.get("FLAGFALL_SOAK"))


def fleet(ledger, terminals, taps, transit=True):
    """So many units with so many taps each, e-cash and transit in turn; their terminals, sums."""
    count = amount = 0
    out = []
    for i in range(terminals):
        unit = TapUnit(f"TAXI-{i}")
        for n in range(taps):
            unit.tap(1000 + 7 * i + n, PANS[n % 3], online=transit and n % 2 == 1, cvn=1)
            count, amount = count + 1, amount + 1000 + 7 * i + n
        ledger.book(unit.unit_id, unit.raws, unit.key)
        terminal = Terminal(f"1{i:07d}", TERMINAL.merchant_id)
        out.append(Served(terminal, (unit.unit_id,)))
    return out, count, amount


def work(ledger, host, terminals, settle=True, connections=4):
    async def rounds():
        profile = Profile.load(host.profile).waiting(host.answer_s)
        worker = Worker(
            ledger,
            FLEET_KEY,
            terminals,
            "127.0.0.1",
            host.port,
            profile=profile,
            connections=connections,
        )
        try:
            return await worker.until_done(settle), worker.counters
        finally:
            await worker.close()

    return asyncio.run(rounds())


def evening(ledger, host, terminals, tries=60):
    for _ in range(tries):
        done, _ = work(ledger, host, terminals)
        if not done.failed and not done.terminals:
            return
    raise AssertionError(f"never done: {done.failed}")


def test_many_terminals_over_few_lines(ledger, tmp_path):
    terminals, count, amount = fleet(ledger, 20, 3)
    with Host(tmp_path / "host", delay_s=0.02) as host:
        done, counters = work(ledger, host, terminals)
        assert (done.uploaded.accepted, done.uploaded.amount) == (count, amount)
        assert len(done.settled) == 20 and not done.failed and not done.unserved
        assert 1 <= counters.connections <= 4
        agree(ledger, host, count, amount)


@pytest.mark.parametrize("seed", range(30 if SOAK else 2))
def test_every_fault_for_many_terminals_at_once(ledger, tmp_path, seed):
    terminals, count, amount = fleet(ledger, 200 if SOAK else 8, 4)
    with Host(tmp_path / "host", chaos=seed, answer_s=SHORT_S) as host:
        evening(ledger, host, terminals)
        agree(ledger, host, count, amount)


def test_units_that_no_terminal_serves_are_named_and_wait(ledger, tmp_path):
    terminals, _, _ = fleet(ledger, 2, 1)
    with Host(tmp_path / "host") as host:
        done, _ = work(ledger, host, terminals[:1])
        assert done.unserved == {"TAXI-1": 1}
        rest = Served(terminals[1].terminal, None, ("TAXI-0",))
        done, _ = work(ledger, host, [terminals[0], rest])
        assert done.unserved == {} and done.uploaded.accepted == 1
    assert ledger.summary()["states"] == {"settled": (2, 2007)}


def test_without_a_host_each_terminal_fails_and_nothing_is_lost(ledger):
    terminals, count, amount = fleet(ledger, 3, 1)
    done, _ = work(ledger, Nobody, terminals)
    assert {type(e) for e in done.failed.values()} == {NoAnswer} and len(done.failed) == 3
    assert ledger.summary()["states"] == {"captured": (count, amount)}


def test_a_claim_is_one_programs_and_ends_with_it(place):
    with Ledger.open(place) as ours, Ledger.open(place) as theirs:
        with claim(ours.engine, ["A", "B"], 1) as first:
            with claim(theirs.engine, ["A", "B"], 9) as second:
                assert len(first) == len(second) == 1 and set(first + second) == {"A", "B"}
            with (
                pytest.raises(Busy, match="another program works"),
                claim_one(theirs.engine, first[0], 0.2),
            ):
                raise AssertionError("claimed twice")
        with claim_one(theirs.engine, first[0], 0):
            pass


def _worker_process(place, host, terminals, statements):
    """A worker in a child that dies before its n-th statement; the child's process id."""
    child = os.fork()
    if child:
        return child
    try:
        with Ledger.open(place) as ledger:
            left = [statements]

            def count(*_):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(ledger.engine, "before_cursor_execute", count)
            work(ledger, host, terminals)
        os._exit(0)
    except BaseException:
        os._exit(1)


def killed_again_and_again(place, folder, seed, size, taps):
    """Three workers at once, each killed at a random point, with every fault of the menu."""
    chance = random.Random(seed)
    deaths = 0
    with Ledger.open(place) as ledger:
        terminals, count, amount = fleet(ledger, size, taps)
    with Host(folder, chaos=seed, answer_s=SHORT_S) as host:
        for _ in range(4):
            children = [
                _worker_process(place, host, terminals, chance.randrange(20, 60 * size))
                for _ in range(3)
            ]
            statuses = [os.waitpid(child, 0)[1] for child in children]
            deaths += sum(os.WIFSIGNALED(status) for status in statuses)
        assert deaths
        with Ledger.open(place) as ledger:
            evening(ledger, host, terminals)
            agree(ledger, host, count, amount)


@pytest.mark.parametrize("seed", range(10 if SOAK else 1))
def test_workers_killed_at_random_points(place, tmp_path, seed):
    killed_again_and_again(place, tmp_path / "host", seed, 200 if SOAK else 6, 5)


def test_workers_on_postgresql_killed_at_random_points(postgres_place, tmp_path):
    killed_again_and_again(postgres_place, tmp_path / "host", 7, 6, 5)


def test_claims_on_postgresql(postgres_place):
    test_a_claim_is_one_programs_and_ends_with_it(postgres_place)


def terminals_file(folder, text):
    path = folder / "terminals.toml"
    path.write_text(text)
    return path


ONE = '[[terminal]]\nid = "10000001"\nmerchant = "880210010210160"\n'
TWO = ONE.replace("10000001", "10000002")


def test_a_terminals_file(tmp_path):
    path = terminals_file(tmp_path, ONE + 'units = ["TAXI-1"]\n' + TWO)
    first, rest = served.read(path)
    assert first.takes("TAXI-1") and not first.takes("TAXI-2")
    assert rest.takes("TAXI-2") and not rest.takes("TAXI-1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no \\[\\[terminal\\]\\]"),
        ("[[terminal]", "not TOML"),
        ('[[terminal]]\nid = "10000001"\n', "terminal 1: id and merchant"),
        (ONE.replace("10000001", "1"), "8 characters"),
        (ONE + TWO, "only one"),
        (ONE + 'units = "TAXI-1"', "list of unit ids"),
        (ONE + 'units = ["A"]\n' + ONE + 'units = ["B"]', "terminal 10000001 is there twice"),
        (ONE + 'units = ["A"]\n' + TWO + 'units = ["A"]', "unit A is there twice"),
    ],
)
def test_a_terminals_file_that_makes_no_sense(tmp_path, text, words):
    with pytest.raises(AcquirerError, match=words) as error:
        served.read(terminals_file(tmp_path, text))
    assert "terminals.toml" in str(error.value)
