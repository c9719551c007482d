"""Disputes end, exceptions are acknowledged, and both leave a row with who and why."""

import json

import pytest
from flagfall_host.cli.ledger import app
from flagfall_host.ledger import Ledger, LedgerError, money
from flagfall_host.ledger.errors import DecisionError
from recorded_unit import APPROVED, DECLINED, TORN, RecordedUnit
from typer.testing import CliRunner

WHO, WHY = "Ms Wang", "called the bank"


@pytest.fixture
def book(ledger):
    return ledger


def booked(book, unit):
    book.book(unit.unit_id, unit.raws, unit.key)


def state(book, seq):
    return next(r["state"] for r in book.rows("money") if r["seq"] == seq)


def move(book, seq, *states):
    """As the acquirer's side does it."""
    with book.writing() as connection:
        for was, to in zip(states, states[1:], strict=False):
            values = {"terminal_id": "T0000001", "batch": 1, "stan": seq}
            one = money.Move(("TAXI-1", 1, seq), was, to, "test", values)
            money.move_all(connection, [one], 0)


def repeated(unit):
    """An approved payment, and the same debit of the same card again: disputed."""
    unit.event()
    first = unit.payment(1000, APPROVED, atc=7)
    return first, unit.payment(1000, APPROVED, atc=7)


def test_disputed_money_that_was_never_uploaded_may_be_uploaded(book, unit):
    _, seq = repeated(unit)
    booked(book, unit)
    assert state(book, seq) == money.DISPUTED
    book.resolve("TAXI-1", seq, money.CAPTURED, WHO, WHY)
    row = next(r for r in book.rows("money") if r["seq"] == seq)
    assert row["state"] == money.CAPTURED and row["why"] == f"{WHY} ({WHO})"
    assert row["terminal_id"] is row["batch"] is row["stan"] is None
    (noted,) = book.rows("decisions")
    assert (noted["who"], noted["why"], noted["about"]) == (WHO, WHY, "disputed to captured")
    with pytest.raises(DecisionError, match="is captured, not disputed"):
        book.resolve("TAXI-1", seq, money.SETTLED, WHO, WHY)


def test_what_was_uploaded_once_is_never_uploaded_again(book, unit):
    first, _ = repeated(unit)
    booked(book, unit)
    move(book, first, money.CAPTURED, money.QUEUED, money.SENT, money.ACCEPTED)
    book.dispute("TAXI-1", first, WHO, "the passenger says he paid cash")
    with pytest.raises(DecisionError, match="would charge the card twice"):
        book.resolve("TAXI-1", first, money.CAPTURED, WHO, WHY)
    book.resolve("TAXI-1", first, money.SETTLED, WHO, WHY)
    assert state(book, first) == money.SETTLED
    assert [d["decision"] for d in book.rows("decisions")] == ["disputed", "resolved"]


def test_a_debit_that_the_unit_refused_cannot_be_uploaded(book, unit):
    unit.event()
    seq = unit.payment(1000, DECLINED, reason="disputed: AC")
    booked(book, unit)
    with pytest.raises(DecisionError, match="nothing to upload"):
        book.resolve("TAXI-1", seq, money.CAPTURED, WHO, WHY)
    book.resolve("TAXI-1", seq, money.REFUSED, WHO, WHY)
    assert state(book, seq) == money.REFUSED


@pytest.mark.parametrize("on_its_way", [money.SENT, money.UNKNOWN])
def test_money_on_its_way_is_the_acquirers_to_tell(book, unit, on_its_way):
    seq, _ = repeated(unit)
    booked(book, unit)
    move(book, seq, money.CAPTURED, money.QUEUED, money.SENT)
    if on_its_way == money.UNKNOWN:
        move(book, seq, money.SENT, money.UNKNOWN)
    with pytest.raises(DecisionError, match="only the acquirer"):
        book.dispute("TAXI-1", seq, WHO, WHY)


def test_nonsense_changes_nothing(book, unit):
    first, seq = repeated(unit)
    booked(book, unit)
    before = list(book.rows("money"))
    for at, to in ((seq, "accepted"), (seq, "lost"), (first, money.SETTLED), (99, money.SETTLED)):
        with pytest.raises(DecisionError):
            book.resolve("TAXI-1", at, to, WHO, WHY)
    with pytest.raises(DecisionError, match="disputed already"):
        book.dispute("TAXI-1", seq, WHO, WHY)
    assert list(book.rows("money")) == before and not list(book.rows("decisions"))


def test_an_acknowledged_exception_is_named_no_more_until_it_changes(book, unit):
    unit.event()
    torn = unit.payment(500, TORN)
    unit.event()
    unit.event()
    raws = unit.raws[:2] + unit.raws[3:]
    book.book("TAXI-1", raws, unit.key)
    found = book.check()
    assert {f.kind for f in found} == {"gap", "torn"} and book.matters() == found
    book.acknowledge(found, WHO, WHY)
    assert book.check() == [] == book.matters() and book.check(acknowledged=True) == found
    # The gap moves: what is missing now is not what was looked into.
    book.book("TAXI-1", [unit.record(5, b"\1\0\0", seq=6, link=unit.link)], unit.key)
    kinds = {(f.kind, f.first_seq) for f in book.check()}
    assert kinds == {("gap", 5)} and torn == 2


def test_disputed_money_and_broken_evidence_are_not_acknowledged(book, unit):
    repeated(unit)
    booked(book, unit)
    with pytest.raises(DecisionError, match="flagfall ledger resolve"):
        book.acknowledge(book.check(), WHO, WHY)
    assert [f.kind for f in book.check()] == ["disputed"]


def test_matters_are_those_of_the_check(book):
    """On a day with everything in it the cheap list and the whole proof agree."""
    unit = RecordedUnit()
    repeated(unit)
    refused = unit.payment(700, APPROVED)
    unit.payment(800, TORN)
    unit.payment(900, DECLINED, reason="disputed: AC")
    book.book("TAXI-1", [*unit.raws, unit.raws[0][:-1] + b"\0"], unit.key)
    other = RecordedUnit("TAXI-2", key=b"k" * 32)
    other.event()
    book.book("TAXI-2", other.raws, unit.key)  # forged
    move(book, refused, money.CAPTURED, money.QUEUED, money.SENT, money.REFUSED)
    kinds = sorted(f.kind for f in book.matters())
    assert kinds == sorted(f.kind for f in book.check())
    assert kinds == ["disputed", "disputed", "refused", "refused-money", "torn"]


def run(path, *words, code=0, text=None):
    done = CliRunner().invoke(app, [*map(str, words), "--ledger", str(path)], input=text)
    if isinstance(done.exception, LedgerError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_as_a_person_types_it(tmp_path, unit):
    path = tmp_path / "ledger.sqlite"
    first, seq = repeated(unit)
    third = unit.payment(1000, APPROVED, atc=9)
    with Ledger.open(path) as ledger:
        booked(ledger, unit)
    assert "disputed: payment of 10.00: a person must look" in run(path, "check", code=1)
    said = run(path, "resolve", "TAXI-1", seq, "--to", "refused", "--who", WHO, text=f"{WHY}\n")
    assert "was disputed, is refused now" in said
    assert "every sum agrees" in run(path, "check")  # looked into, by whoever refused it
    assert "refused-money" in run(path, "check", "--all", code=1)
    run(path, "dispute", "TAXI-1", first, "--why", "complaint 17")
    rows = json.loads(run(path, "list", "decisions", "--json"))
    assert [r["decision"] for r in rows] == ["resolved", "acknowledged", "disputed"]
    assert WHO in run(path, "list", "decisions")
    assert f"disputed -> refused: {WHY} ({WHO})" in run(path, "show", "TAXI-1", seq)
    with Ledger.open(path) as ledger:
        move(ledger, third, money.CAPTURED, money.QUEUED, money.SENT, money.REFUSED)
    assert "10.00 is not paid" in run(path, "check", code=1)
    assert "acknowledged" in run(path, "acknowledge", "TAXI-1", third, "--why", WHY)
    assert "is not paid" not in run(path, "check", code=1)
    with pytest.raises(LedgerError, match="nothing to acknowledge"):
        run(path, "acknowledge", "TAXI-1", 1, "--why", WHY)
