"""Booking: each record once, whatever is repeated, reordered, cut off, damaged or forged."""

import random
import struct
import threading

import pytest
from flagfall_host.ledger import Ledger
from flagfall_host.ledger.errors import BadUnitId
from recorded_unit import EVENT, JOURNAL_KEY, RecordedUnit, a_day, text


class Loss:
    def __init__(self, first_seq, last_seq=None, address=0x1000, raw=b"\xa7\0"):
        self.first_seq, self.last_seq = first_seq, last_seq or first_seq
        self.address, self.raw = address, raw


def book(ledger, unit, raws=None):
    return ledger.book(unit.unit_id, unit.raws if raws is None else raws, unit.key)


def test_a_new_ledger_knows_nothing(ledger):
    assert ledger.last_seq("TAXI-1") == 0
    assert ledger.receipt("TAXI-1") is None
    assert ledger.latest_totals("TAXI-1") is None
    assert ledger.units() == [] and ledger.check() == []
    assert ledger.summary()["records"] == 0


def test_a_day_is_booked_and_adds_up(ledger, unit):
    cash, cards, amount = a_day(unit)
    result = book(ledger, unit)
    assert (result.new, result.repeated, result.refused, result.findings) == (unit.seq, 0, [], [])
    s = ledger.summary()
    assert (s["cash"], s["card_payments"], s["card_amount"]) == (cash, cards, amount)
    assert s["states"] == {"captured": (cards, amount)}
    assert s["fares"] + s["supplements"] == cash + amount
    assert (s["trips"], s["units"], s["currency"]) == (20, 1, 156)
    assert ledger.latest_totals("TAXI-1")["fares"] == cash + amount
    assert ledger.check(journal_key=lambda _: JOURNAL_KEY) == []
    assert ledger.receipt("TAXI-1") == (1, unit.seq, unit.raws[-1][-16:-12])
    assert ledger.last_seq("TAXI-1") == unit.seq


def test_booking_twice_changes_nothing(ledger, unit):
    a_day(unit)
    book(ledger, unit)
    before = ledger.summary()
    again = book(ledger, unit)
    assert (again.new, again.repeated, again.refused) == (0, unit.seq, [])
    assert ledger.summary() == before
    doubled = book(ledger, unit, unit.raws[:3] * 2)
    assert (doubled.new, doubled.repeated) == (0, 6)


@pytest.mark.parametrize("seed", range(5))
def test_any_order_any_repeats_any_cuts(ledger, seed):
    unit, chance = RecordedUnit(f"TAXI-{seed}"), random.Random(seed)
    cash, cards, amount = a_day(unit, 12)
    unit.restart()
    unit.event("start again")
    raws = unit.raws + chance.choices(unit.raws, k=10)
    chance.shuffle(raws)
    while raws:
        n = chance.randrange(1, 9)
        part, raws = raws[:n], raws[n:]
        book(ledger, unit, part)
        seen = ledger.receipt(unit.unit_id)
        if seen:
            assert unit.raws[seen.seq - 1][-16:-12] == seen.link
    s = ledger.summary(unit.unit_id)
    assert (s["records"], s["cash"], s["card_amount"]) == (unit.seq, cash, amount)
    assert ledger.last_seq(unit.unit_id) == unit.seq
    assert ledger.receipt(unit.unit_id).epoch == 2
    assert ledger.check(unit.unit_id, lambda _: JOURNAL_KEY) == []


def test_the_receipt_stops_before_what_is_missing(ledger, unit):
    a_day(unit, 3)
    result = book(ledger, unit, unit.raws[:4] + unit.raws[5:])
    assert [f.kind for f in result.findings] == ["gap"]
    assert ledger.last_seq(unit.unit_id) == 4
    assert [(f.kind, f.first_seq, f.last_seq) for f in ledger.check()][0] == ("gap", 5, 5)
    book(ledger, unit, [unit.raws[4]])
    assert ledger.last_seq(unit.unit_id) == unit.seq
    assert ledger.check() == []


@pytest.mark.parametrize("what", ["crc", "cut", "empty", "long", "noise"])
def test_a_damaged_record_is_refused_and_named_and_the_rest_is_booked(ledger, unit, what):
    a_day(unit, 2)
    good = unit.raws[2]
    bad = {
        "crc": good[:30] + bytes([good[30] ^ 1]) + good[31:],
        "cut": good[:-1],
        "empty": b"",
        "long": good + b"\0",
        "noise": b"\xa7" * 60,
    }[what]
    result = book(ledger, unit, [*unit.raws[:2], bad, *unit.raws[3:]])
    assert result.new == unit.seq - 1
    assert [r.reason for r in result.refused] == ["form"]
    if what in ("crc", "cut", "long"):
        assert result.refused[0].seq == 3
        assert "TAXI-1 record 3" in str(result.refused[0])
    assert ledger.last_seq(unit.unit_id) == 2
    assert [f.kind for f in ledger.check() if f.kind == "refused"] == ["refused"]
    assert book(ledger, unit, [good]).new == 1
    assert ledger.last_seq(unit.unit_id) == unit.seq


def test_a_forged_record_is_refused(ledger, unit):
    other = RecordedUnit(key=b"another unit's key".ljust(32))
    unit.event()
    other.event()
    result = book(ledger, unit, [other.raws[0]])
    assert [(r.reason, r.seq) for r in result.refused] == [("forged", 1)]
    assert ledger.last_seq(unit.unit_id) == 0
    assert book(ledger, unit).new == 1


def test_other_bytes_under_a_booked_number_are_refused(ledger, unit):
    unit.event("first")
    book(ledger, unit)
    twin = RecordedUnit()
    twin.event("second")
    for raws in ([twin.raws[0]], [twin.raws[0], unit.raws[0]]):
        assert [r.reason for r in book(ledger, unit, raws).refused] == ["contradiction"]
    assert next(ledger.rows("events"))["text"] == "first"
    assert [f.kind for f in ledger.check()] == ["refused"]


def test_an_exchanged_record_shows_in_the_chain(ledger, unit):
    unit.event("a")
    unit.append(EVENT, struct.pack("<H", 1) + text("b"))
    unit.raws[1] = unit.record(EVENT, b"\1\0\1c", seq=2, link=b"\0\0\0\1")
    result = book(ledger, unit)
    assert result.new == 2
    assert [(f.kind, f.first_seq) for f in result.findings] == [("link", 2)]
    assert [(f.kind, f.first_seq) for f in ledger.check()] == [("link", 2)]


def test_a_flash_that_was_set_back_shows_as_a_fork(ledger, unit):
    for _ in range(3):
        unit.event()
    book(ledger, unit)
    back = RecordedUnit(epoch=2)
    back.seq, back.link = 1, unit.raws[0][-16:-12]
    back.payment(5000)
    back.event()
    result = book(ledger, back)
    assert result.new == 2
    assert {f.kind for f in result.findings} == {"fork"}
    assert {f.kind for f in ledger.check()} >= {"fork"}
    assert ledger.summary()["card_amount"] == 5000


def test_a_unit_provisioned_anew_counts_from_one_again(ledger, unit):
    a_day(unit, 3)
    book(ledger, unit)
    again = RecordedUnit(epoch=9)
    again.event()
    again.event()
    result = book(ledger, again)
    assert (result.new, result.findings) == (2, [])
    assert ledger.last_seq(unit.unit_id) == 2
    assert ledger.receipt(unit.unit_id).epoch == 9
    assert book(ledger, unit).repeated == unit.seq
    assert ledger.last_seq(unit.unit_id) == 2
    assert ledger.check() == []


def test_a_life_can_be_begun_before_its_first_record(ledger, unit):
    a_day(unit, 3)
    book(ledger, unit)
    ledger.begin_life(unit.unit_id, 2)
    assert ledger.last_seq(unit.unit_id) == 0 and ledger.receipt(unit.unit_id) is None
    again = RecordedUnit(epoch=2)
    again.event()
    assert book(ledger, again).findings == []
    assert ledger.receipt(unit.unit_id).seq == 1


def test_only_an_accepted_loss_lets_the_receipt_go_on(ledger, unit):
    for _ in range(6):
        unit.event()
    book(ledger, unit, unit.raws[:2])
    ledger.book_damage(unit.unit_id, Loss(3, 4))
    book(ledger, unit, unit.raws[4:])
    assert ledger.last_seq(unit.unit_id) == 2
    assert "not accepted" in str(ledger.check()[0])
    ledger.book_damage(unit.unit_id, Loss(3, 4), True)
    assert ledger.last_seq(unit.unit_id) == 6
    assert ledger.receipt(unit.unit_id) == (1, 6, unit.raws[5][-16:-12])
    assert [(f.kind, f.first_seq, f.last_seq) for f in ledger.check()] == [("damaged", 3, 4)]
    assert ledger.summary()["damaged"] == 2 and ledger.units()[0]["lost"] == 2


def test_a_loss_at_the_end_keeps_the_receipt_on_a_record(ledger, unit):
    unit.event()
    book(ledger, unit)
    ledger.book_damage(unit.unit_id, Loss(2), True)
    assert ledger.last_seq(unit.unit_id) == 2
    assert ledger.receipt(unit.unit_id) == (1, 1, unit.raws[0][-16:-12])


def test_records_that_are_nowhere_can_be_accepted(ledger, unit):
    for _ in range(5):
        unit.event()
    book(ledger, unit, unit.raws[3:])
    assert ledger.last_seq(unit.unit_id) == 0 and ledger.receipt(unit.unit_id) is None
    ledger.accept_missing(unit.unit_id, 1, 3)
    assert ledger.last_seq(unit.unit_id) == 5


def test_a_record_of_a_newer_release_is_kept_as_evidence(ledger, unit):
    unit.append(99, b"from the future")
    unit.event()
    result = book(ledger, unit)
    assert result.new == 2 and [f.kind for f in result.findings] == ["unread"]
    assert ledger.last_seq(unit.unit_id) == 2
    assert [f.kind for f in ledger.check()] == ["unread"]


def test_the_same_debit_seen_twice_is_disputed(ledger, unit):
    unit.payment(1000, atc=7)
    unit.payment(1000, atc=7)
    book(ledger, unit)
    unit.payment(1000, atc=7)
    book(ledger, unit)
    assert ledger.summary()["states"] == {"captured": (1, 1000), "disputed": (2, 2000)}


def test_what_a_unit_disputes_is_money_that_a_person_must_look_at(ledger, unit):
    unit.payment(1000, 2, reason="disputed: fdda")
    unit.payment(1000, 2, reason="expired")
    book(ledger, unit)
    s = ledger.summary()
    assert s["states"] == {"disputed": (1, 1000)}
    assert (s["card_payments"], s["declined"]) == (0, 2)


@pytest.mark.parametrize("end", [4, 5, 6])
def test_a_torn_payment_is_open_until_a_later_record_resolves_it(ledger, unit, end):
    torn = unit.payment(1000, 3, reason="torn", atc=5)
    book(ledger, unit)
    assert ledger.summary()["torn_open"] == 1
    assert [f.kind for f in ledger.check()] == ["torn"]
    unit.restart()
    unit.payment(1000, end, torn_seq=torn, reason="resolved", atc=5)
    book(ledger, unit)
    s = ledger.summary()
    assert s["torn_open"] == 0
    assert s["card_amount"] == (1000 if end == 4 else 0)


def test_a_resolution_resolves_its_own_torn_payment_only(ledger, unit):
    first = unit.payment(1000, 3, reason="torn", atc=5)
    second = unit.payment(2000, 3, reason="torn", atc=6)
    unit.payment(2000, 5, torn_seq=second, reason="torn", atc=6)
    book(ledger, unit)
    assert [(f.kind, f.first_seq) for f in ledger.check()] == [("torn", first)]


def test_units_do_not_mix(ledger):
    a, b = RecordedUnit("A"), RecordedUnit("B", key=b"b" * 32)
    a_day(a, 3)
    a_day(b, 5)
    assert len(book(ledger, a, b.raws).refused) == b.seq
    book(ledger, a)
    book(ledger, b)
    assert [u["unit"] for u in ledger.units()] == ["A", "B"]
    assert ledger.summary("A")["trips"] == 3 and ledger.summary()["trips"] == 8


@pytest.mark.parametrize("unit_id", ["", "a", "X" * 17, "A B", "A;--"])
def test_a_bad_unit_id_is_an_error(ledger, unit_id):
    with pytest.raises(BadUnitId):
        ledger.book(unit_id, [], JOURNAL_KEY)


def test_two_programs_book_the_same_at_once(place, unit):
    a_day(unit, 40)
    failed = []

    def run(seed):
        chance = random.Random(seed)
        try:
            with Ledger.open(place) as ledger:
                for _ in range(10):
                    start = chance.randrange(unit.seq)
                    book(ledger, unit, unit.raws[start : start + 20])
                book(ledger, unit)
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []
    with Ledger.open(place) as ledger:
        assert ledger.summary()["records"] == unit.seq
        assert ledger.last_seq(unit.unit_id) == unit.seq
        assert ledger.check(journal_key=lambda _: unit.key) == []
