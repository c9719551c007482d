# Every moment at which a card can leave, and every way in which a card can come back.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

import scripted_card as sc  # noqa: E402
from expect import raises  # noqa: E402
from flagfall.emv import outcome as oc  # noqa: E402
from flagfall.emv import recovery, torn  # noqa: E402
from flagfall.emv.transaction import Transaction  # noqa: E402

UN2 = bytes.fromhex("89ABCDEF")
PPSE, SELECT, GPO, FIRST, SECOND, THIRD, LAST = 0, 1, 2, 3, 4, 5, 6
OTHER_PAN = "6210948000000128"


def torn_tap(part, **changes):
    """A card torn at the last record: while it is asked for ("request"), or as it answers."""
    card = sc.Card(leave_at=(LAST, part), **changes)
    tx = sc.tap(card, now_s=1000)
    assert (tx.outcome.code, tx.outcome.reason) == (oc.TORN, "torn"), tx.outcome
    assert tx.outcome.record_outcome() == 3
    assert card.balance == 50000 - (2160 if part == "answer" else 0)
    return card, tx


def again(card, context, **settings):
    settings.setdefault("un", UN2)
    return sc.tap(card, torn=context, **settings)


def code(tx):
    return tx.outcome.code, tx.outcome.reason


def after_power_cut(tx):
    """What flash holds of a torn payment, and the card tag compared as the unit does."""
    tag = tx.card_tag_input()
    packed = tx.torn.pack()
    assert len(packed) <= 240 and sc.PAN.encode() not in packed
    assert bytes.fromhex(sc.PAN) not in packed
    from flagfall.emv.purchase import card_tag_input

    return torn.unpack(packed, lambda pan, psn: card_tag_input(pan, psn) == tag)


def test_loss_before_the_last_record_debits_nothing():
    for number in (PPSE, SELECT, GPO, FIRST, SECOND, THIRD):
        for part in ("request", "answer"):
            card = sc.Card(leave_at=(number, part))
            tx = sc.tap(card)
            assert code(tx) == (oc.TRY_AGAIN, "left")
            assert tx.torn is None and tx.outcome.record_outcome() == 0
            assert card.balance == 50000
            assert code(sc.tap(card)) == (oc.APPROVED, "approved")


def test_torn_outcome_can_be_stored():
    card, tx = torn_tap("answer")
    data = dict(tx.outcome.data)
    assert data[0x57] and data[0x9F26] and data[0x9F37] == sc.UN
    c = tx.torn
    assert (c.amount, c.currency, c.atc, c.balance_before) == (2160, 156, 11, 50000)
    assert (c.aid, c.sfi, c.record, c.torn_at_s) == (sc.AID, 2, 4, 1000)
    assert not c.expired(1060) and c.expired(1061)


def test_debited_card_comes_back():
    for shown in ("before", "after"):
        card, tx = torn_tap("answer", balance_shown=shown)
        second = again(card, tx.torn)
        assert code(second) == (oc.APPROVED, "resolved")
        o = second.outcome
        assert o.flags & oc.FLAG_RESOLVED and o.record_outcome() == 4
        assert (o.amount, o.atc, o.balance_after) == (2160, 11, 47840)
        data = dict(o.data)
        assert data[0x9F37] == sc.UN and data[0x9F74] == b"ECC001"
        assert data[0x9F26] == dict(tx.outcome.data)[0x9F26]
        assert second.torn_results == [(tx.torn, recovery.DEBITED)]
        assert second.apdus == 3 and card.balance == 47840 and card.atc == 11


def test_undebited_card_comes_back_and_pays_once():
    for shown in ("before", "after"):
        card, tx = torn_tap("request", balance_shown=shown)
        second = again(card, tx.torn)
        assert code(second) == (oc.APPROVED, "approved")
        assert not second.outcome.flags & oc.FLAG_RESOLVED
        assert dict(second.outcome.data)[0x9F37] == UN2
        assert second.torn_results == [(tx.torn, recovery.NOT_DEBITED)]
        assert card.balance == 47840 and second.torn is None


def test_another_card_is_told_apart():
    for part in ("request", "answer"):
        _, tx = torn_tap(part)
        other = sc.Card(pan=OTHER_PAN)
        second = again(other, tx.torn)
        assert code(second) == (oc.ANOTHER_CARD, "another-card")
        assert second.torn is tx.torn and other.balance == 50000
        assert second.torn_results == [(tx.torn, recovery.OTHER_CARD)]


def test_another_card_with_a_backup_of_its_own():
    card, tx = torn_tap("answer")
    other = sc.Card(pan=OTHER_PAN)
    sc.tap(other)
    assert code(again(other, tx.torn)) == (oc.ANOTHER_CARD, "another-card")
    assert code(again(card, tx.torn)) == (oc.APPROVED, "resolved")


def test_another_card_of_another_scheme():
    _, tx = torn_tap("answer")
    second = again(sc.Card(aid=sc.RID + b"\x01\x01\x01"), tx.torn)
    assert code(second) == (oc.ANOTHER_CARD, "another-card")
    assert second.apdus == 1


def test_another_card_may_pay_if_the_driver_wants_so():
    _, tx = torn_tap("answer")
    other = sc.Card(pan=OTHER_PAN)
    second = again(other, tx.torn, insist=False)
    assert code(second) == (oc.APPROVED, "approved")
    assert other.balance == 47840


def test_same_card_of_another_sequence_number_is_another():
    _, tx = torn_tap("request")
    second = again(sc.Card(psn=b"\x02"), tx.torn)
    assert code(second) == (oc.ANOTHER_CARD, "another-card")


def test_power_cut_in_between():
    card, tx = torn_tap("answer")
    second = again(card, after_power_cut(tx))
    assert code(second) == (oc.APPROVED, "resolved")
    assert (second.outcome.amount, second.outcome.atc) == (2160, 11)
    assert second.outcome.data == []  # it stands, sealed, in the TORN record
    card, tx = torn_tap("request")
    second = again(card, after_power_cut(tx))
    assert code(second) == (oc.APPROVED, "approved") and card.balance == 47840
    _, tx = torn_tap("answer")
    assert code(again(sc.Card(pan=OTHER_PAN), after_power_cut(tx)))[0] == oc.ANOTHER_CARD


def test_power_cut_while_the_last_record_is_read():
    """Stored before the command that debits, a context outlives the unit's own power."""
    for debited in (False, True):
        card = sc.Card()
        tx = Transaction(sc.terminal(), 2160, sc.UN, sc.DATE, sc.TIME, now_s=7)
        card.field_on()
        command = tx.start()
        while tx.before_debit() is None:
            command = tx.step(card.apdu(command))
        context, pending = tx.before_debit()
        assert pending.record_outcome() == 3 and pending.data and context.torn_at_s == 7
        kept = torn.unpack(context.pack(), context.same_card)
        if debited:
            tx.step(card.apdu(command))
            assert tx.before_debit() is None
        second = again(card, kept)
        assert code(second) == (oc.APPROVED, "resolved" if debited else "approved")
        assert card.balance == 47840


def test_card_tag_of_a_resolved_payment():
    card, tx = torn_tap("answer")
    tag = tx.card_tag_input()
    assert tag == b"card" + sc.PAN.encode() + b"\x01"
    cut = after_power_cut(tx)
    assert again(card, tx.torn).card_tag_input() == tag
    assert again(card, cut).card_tag_input() is None


def test_lost_again_at_every_step_of_the_recovery():
    for number in range(3):
        for part in ("request", "answer"):
            card, tx = torn_tap("answer")
            card.leave_at = (number, part)
            second = again(card, tx.torn)
            if number == 2:  # the proof is there, only the balance is missing
                assert code(second) == (oc.APPROVED, "resolved")
                assert second.outcome.balance_after == 47840
                continue
            assert code(second) == (oc.TORN, "torn-still")
            assert second.torn is tx.torn
            assert second.outcome.record_outcome() == 0  # the record exists already
            assert code(again(card, second.torn)) == (oc.APPROVED, "resolved")
            assert card.balance == 47840


def test_lost_again_before_it_is_known_to_be_undebited():
    for number in range(6):  # SELECT, READ, GET DATA, PPSE, SELECT, GPO
        for part in ("request", "answer"):
            card, tx = torn_tap("request")
            card.leave_at = (number, part)
            second = again(card, tx.torn)
            assert code(second) == (oc.TORN, "torn-still")
            assert code(again(card, second.torn)) == (oc.APPROVED, "approved")
            assert card.balance == 47840


def test_torn_twice_at_the_last_record():
    for part in ("request", "answer"):
        card, tx = torn_tap("request")
        card.leave_at = (9, part)
        second = again(card, tx.torn, now_s=1010)
        assert code(second) == (oc.TORN, "torn")
        assert second.torn is not tx.torn and second.torn.torn_at_s == 1010
        assert second.torn_results == [(tx.torn, recovery.NOT_DEBITED)]
        third = again(card, second.torn, un=b"\x01\x02\x03\x05")
        expected = "approved" if part == "request" else "resolved"
        assert code(third) == (oc.APPROVED, expected)
        assert card.balance == 47840


def test_error_status_to_the_last_record_is_not_known():
    card = sc.Card(answers={LAST: b"\x6f\x00"})
    tx = sc.tap(card)
    assert code(tx) == (oc.TORN, "torn-last")
    card.answers = {}
    assert code(again(card, tx.torn)) == (oc.APPROVED, "resolved")


def test_balance_that_contradicts_the_proof():
    card, tx = torn_tap("answer")
    card.balance = 12345
    second = again(card, tx.torn)
    assert code(second) == (oc.TORN, "torn-unproven")
    assert second.outcome.record_outcome() == 0
    card.balance = 47840
    assert code(again(card, second.torn)) == (oc.APPROVED, "resolved")


def test_debit_without_proof_is_not_approved():
    card, tx = torn_tap("answer")
    card.backup = None  # the balance has gone down, but the card cannot show why
    second = again(card, tx.torn)
    assert code(second) == (oc.TORN, "torn-unproven")
    assert card.balance == 47840


def test_topped_up_in_between():
    card, tx = torn_tap("request")
    card.balance += 10000
    assert code(again(card, tx.torn)) == (oc.TORN, "torn-unproven")


def test_paid_elsewhere_in_between():
    card, tx = torn_tap("request")
    sc.tap(card, un=b"\x09\x09\x09\x09")  # the same amount at another terminal
    assert code(again(card, tx.torn)) == (oc.TORN, "torn-unproven")


def test_version_00_is_resolved_by_balance_and_counter():
    old = {"version": 0, "application_version": b"\x00\x20"}
    card, tx = torn_tap("answer", **old)
    second = again(card, tx.torn)
    assert code(second) == (oc.APPROVED, "resolved")
    assert second.outcome.flags & oc.FLAG_BY_BALANCE and card.balance == 47840
    card, tx = torn_tap("request", **old)
    assert code(again(card, tx.torn)) == (oc.APPROVED, "approved")
    assert card.balance == 47840
    card, tx = torn_tap("request", **old)
    sc.tap(card, un=b"\x09\x09\x09\x09")  # the counter tells it from our payment
    assert code(again(card, tx.torn)) == (oc.TORN, "torn-unproven")


def test_three_stored_payments():
    cards, contexts = [], []
    for pan in ("6210948000000136", "6210948000000144", "6210948000000151"):
        card, tx = torn_tap("answer", pan=pan)
        cards.append(card)
        contexts.append(tx.torn)
    second = again(cards[2], contexts)
    assert code(second) == (oc.APPROVED, "resolved")
    assert second.torn_results == [(contexts[2], recovery.DEBITED)]
    fourth = sc.tap(sc.Card(pan=OTHER_PAN), torn=contexts, un=UN2, insist=False)
    assert code(fourth) == (oc.APPROVED, "approved")
    raises(ValueError, again, sc.Card(), contexts + contexts)


def test_an_old_unproven_payment_does_not_block_a_new_trip():
    card, tx = torn_tap("answer")
    card.balance = 12345  # topped up or used elsewhere since
    second = again(card, tx.torn, amount=1000, insist=False)
    assert code(second) == (oc.APPROVED, "approved")
    assert second.torn_results == [(tx.torn, recovery.UNPROVEN)]
    assert card.balance == 11345 and second.torn is None
    card, tx = torn_tap("answer")
    card.balance = 50000  # topped up by just the amount: it has been debited all the same
    second = again(card, tx.torn, amount=1000, insist=False)
    assert code(second) == (oc.APPROVED, "resolved") and second.outcome.amount == 2160
    card, tx = torn_tap("answer")
    card.backup = None
    second = again(card, tx.torn, amount=1000, insist=False)
    assert code(second) == (oc.APPROVED, "approved")
    assert second.torn_results == [(tx.torn, recovery.UNPROVEN)]


def test_different_amount_on_the_re_tap():
    for shown in ("before", "after"):
        card, tx = torn_tap("request", balance_shown=shown)
        second = again(card, tx.torn, amount=1000)
        assert code(second) == (oc.APPROVED, "approved") and card.balance == 49000
        card, tx = torn_tap("answer", balance_shown=shown)
        second = again(card, tx.torn, amount=1000)
        assert code(second) == (oc.APPROVED, "resolved") and second.outcome.amount == 2160


def test_9f69_that_came_before_the_debit_is_no_proof_of_it():
    def early(records):
        records[2] += records[-1][9:]  # 9F69, behind 9F74
        records[-1] = records[-1][:9]

    card = sc.Card(change_records=early)
    assert code(sc.tap(card, amount=100)) == (oc.APPROVED, "approved")  # leaves a backup behind
    card.leave_at = (LAST, "request")
    tx = sc.tap(card, un=b"\x05\x05\x05\x05")
    assert code(tx) == (oc.TORN, "torn") and tx.torn.verified
    second = again(card, tx.torn)
    assert code(second) == (oc.APPROVED, "approved")
    assert second.torn_results == [(tx.torn, recovery.NOT_DEBITED)]
    assert card.balance == 50000 - 100 - 2160


def test_signature_in_the_last_record():
    layout = sc.Card().layout
    late = [layout[0], layout[1], ("9F74",), ("9F4B",)]
    card, tx = torn_tap("answer", layout=late)
    assert tx.torn.dynamic is None
    assert code(again(card, tx.torn)) == (oc.APPROVED, "resolved")


def test_what_goes_wrong_at_the_re_tap_keeps_the_torn_payment():
    for status, expected in (
        ({"ppse": 0x6A81}, (oc.TORN, "torn-check")),
        ({"gpo": 0x6985}, (oc.TORN, "torn-check")),
        ({"gpo": 0x6986}, (oc.TRY_AGAIN, "phone")),
    ):
        card, tx = torn_tap("request")
        card.status = status
        second = again(card, tx.torn)
        assert code(second) == expected
        assert second.torn is tx.torn and second.outcome.record_outcome() == 0
        card.status = {}
        assert code(again(card, second.torn)) == (oc.APPROVED, "approved")
    card, tx = torn_tap("request")
    second = again(card, tx.torn, amount=99900)  # above every limit
    assert code(second) == (oc.OTHER_INTERFACE, "limit") and second.torn is tx.torn


def test_transit_oda_is_never_torn():
    terminal = sc.terminal(profiles=(sc.ODA,))
    card = sc.Card(oda=True, leave_at=(LAST, "answer"))
    assert code(sc.tap(card, at=terminal)) == (oc.TRY_AGAIN, "left")
    assert code(sc.tap(card, at=terminal)) == (oc.APPROVED, "approved")


def test_stored_form_is_checked():
    _, tx = torn_tap("answer")
    packed = tx.torn.pack()
    for n in range(len(packed)):
        cut = packed[:n]
        try:
            context = torn.unpack(cut, None)
        except ValueError:
            continue
        assert context.dynamic is None and n == len(packed) - len(tx.torn.dynamic.pack())
    raises(ValueError, torn.unpack, b"\x02" + packed[1:], None)
