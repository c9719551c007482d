# A tap from PPSE to outcome: approval, and each check that stops a card before it debits.

import sys

sys.path.insert(0, __file__.rsplit("/", 1)[0])

import scripted_card as sc  # noqa: E402
from expect import raises  # noqa: E402
from flagfall.emv import outcome as oc  # noqa: E402
from flagfall.emv.terminal import ECASH, ODA, StoredLimits  # noqa: E402
from flagfall.emv.tlv import encode  # noqa: E402
from flagfall.emv.transaction import SequenceError, Transaction  # noqa: E402


def check(tx, code, reason):
    got = (tx.outcome.code, tx.outcome.reason)
    assert got == (code, reason), got
    assert tx.outcome.message


def stops(code, reason, terminal=None, amount=2160, **changes):
    """The card ends so, and has not debited."""
    card = sc.Card(**changes)
    before = card.balance
    tx = sc.tap(card, amount=amount, at=terminal)
    check(tx, code, reason)
    assert card.balance == before
    return tx


def test_offline_approval():
    card = sc.Card()
    tx = sc.tap(card)
    check(tx, oc.APPROVED, "approved")
    o = tx.outcome
    assert card.balance == 50000 - 2160
    assert (o.last_four, o.psn, o.atc, o.amount, o.currency) == ("0110", 1, 11, 2160, 156)
    assert (o.balance_after, o.profile, o.record_outcome()) == (50000 - 2160, ECASH, 1)
    assert o.flags & oc.FLAG_TEST_KEYS
    assert tx.apdus == 3 + 4  # PPSE, SELECT, GPO and one for each record: no more


def test_what_the_card_is_sent():
    card = sc.Card()
    sc.tap(card)
    assert card.log[0] == bytes.fromhex("00A404000E325041592E5359532E444446303100")
    assert card.log[1] == bytes.fromhex("00A4040008A00000033301010600")
    # TTQ, amount, other amount, country, TVR, currency, date, type, unpredictable number
    assert (
        card.log[2]
        == bytes.fromhex(
            "80A80000238321280000800000000021600000000000000156000000000001562611240001234567"
        )
        + b"\x00"
    )
    assert card.log[3:] == [bytes((0, 0xB2, n, 0x14, 0)) for n in (1, 2, 3, 4)]


def test_sealed_data_in_order():
    tags = [tag for tag, _ in sc.tap(sc.Card()).outcome.data]
    assert tags == (
        [0x57, 0x5A, 0x5F34, 0x5F24, 0x9F26, 0x9F27, 0x9F10, 0x9F37, 0x9F36, 0x95, 0x9A, 0x9C]
        + [0x9F02, 0x9F03, 0x5F2A, 0x82, 0x9F1A, 0x9F33, 0x9F34, 0x9F35, 0x9F1E, 0x84, 0x9F09]
        + [0x9F41, 0x9F74]
    )
    data = dict(sc.tap(sc.Card()).outcome.data)
    assert data[0x9F27] == b"\x40"  # derived from 9F10, the card left it out
    assert data[0x9F74] == b"ECC001"
    assert data[0x84] == sc.AID


def test_balance_that_already_shows_the_payment():
    terminal = sc.terminal(balance_after_in_gpo=True)
    tx = sc.tap(sc.Card(balance_shown="after"), at=terminal)
    assert tx.outcome.balance_after == 50000 - 2160


def test_work_while_the_card_is_sending_changes_nothing():
    tx = sc.tap(sc.Card(), busy=True)
    check(tx, oc.APPROVED, "approved")
    assert tx.apdus == 7
    card = sc.Card(replace={"9F46": bytes(72)})
    check(sc.tap(card, busy=True), oc.DECLINED, "card-cert")
    assert card.balance == 50000


def test_an_approval_is_recorded_without_a_reason():
    o = sc.tap(sc.Card()).outcome
    assert (o.record_outcome(), o.reason, o.record_reason()) == (1, "approved", "")


def test_no_pan_in_what_may_be_shown():
    o = sc.tap(sc.Card()).outcome
    for text in (repr(o), o.message, o.reason, o.record_reason()):
        assert sc.PAN not in text
    assert len(o.last_four) == 4


def test_stops_before_the_debit():
    stops(oc.DECLINED, "expired", track2_expiry="2610")
    stops(oc.DECLINED, "expired", expiry="261123")
    begins = [("5F24", "5F25", "5A", "9F08", "9F4A", "8F", "9F32", "90", "92")]
    begins += sc.Card().layout[1:]
    early = {"5F25": bytes.fromhex("261125")}
    stops(oc.DECLINED, "expired", layout=begins, personalised=early)
    stops(oc.END, "malformed", expiry="401331")
    stops(oc.DECLINED, "pan", replace={"5A": bytes.fromhex("6210948000000111")})
    stops(oc.DECLINED, "denied", sc.terminal(denied=lambda pan: pan == sc.PAN))
    stops(oc.DECLINED, "no-oda", aip=bytes.fromhex("5C00"))
    stops(oc.DECLINED, "no-oda", gpo_replace={"94": None})
    stops(oc.DECLINED, "counter", atc=-1)
    stops(oc.DECLINED, "no-key", capk_index=0xE2)
    stops(oc.DECLINED, "issuer-cert", issuer={"owner": "62109481"})
    stops(oc.DECLINED, "cert-expired", issuer={"expiry": "1026"})
    stops(oc.DECLINED, "cert-expired", certificate={"expiry": "1026"})
    stops(oc.DECLINED, "card-cert", certificate={"pan": "6210948000000128"})
    stops(oc.DECLINED, "card-cert", replace={"5F24": bytes.fromhex("451231")})
    stops(oc.DECLINED, "card-cert", replace={"9F4A": b"\x83"})
    stops(oc.DECLINED, "fdda", replace={"9F4B": bytes(64)})
    stops(oc.DECLINED, "fdda", format=0x95)  # format of an online signature beside a TC
    stops(oc.DECLINED, "fdda-version", version=0)
    stops(oc.OTHER_INTERFACE, "card-cert", ctq=b"\x10\x00", replace={"9F46": bytes(72)})


def test_a_certificate_that_is_not_whole_stops_before_the_debit():
    """Its remainder or exponent might come with the last record, but that one debits."""
    for tag in ("92", "9F32"):
        stops(oc.DECLINED, "issuer-cert", replace={tag: None})
    for tag in ("9F47", "9F48"):
        stops(oc.DECLINED, "card-cert", replace={tag: None})
    layout = sc.Card().layout
    layout[0] = tuple(tag for tag in layout[0] if tag != "92")
    stops(oc.DECLINED, "issuer-cert", layout=layout[:-1] + [("9F74", "92")])


def test_static_tag_list_must_be_82_even_if_signed_so():
    stops(oc.DECLINED, "card-cert", personalised={"9F4A": b"\x83"})


def test_signed_counter_is_the_one_sent():
    stops(oc.DECLINED, "fdda", gpo_replace={"9F36": b"\x00\x63"})


def early_9f69(records):
    """9F69 in the record before the last, where it proves nothing about a debit."""
    related = encode(0x9F69, bytes((1, 1, 2, 3, 4, 0, 0, 0)))
    records[2] += related
    records[-1] = encode(0x9F74, b"ECC001")


def test_signature_must_be_of_the_version_that_9f69_names():
    stops(oc.DISPUTED, "fdda", version=0, change_records=early_9f69)


def test_longer_afl_made_on_the_air_does_not_hide_the_debit():
    """The AFL is not signed. With one record more in it, the card debits "in the middle"."""
    longer = {"94": bytes((0x10, 1, 5, 1))}
    card = sc.Card(gpo_replace=longer)
    tx = sc.tap(card)
    check(tx, oc.TORN, "torn-last")
    assert card.balance == 47840 and tx.torn.verified
    card = sc.Card(gpo_replace=longer, leave_at=(7, "request"))
    check(sc.tap(card), oc.TORN, "torn")


def test_tc_that_was_not_allowed():
    tc = bytes.fromhex("0701010390000001")
    afl = {"9F10": tc, "94": bytes((0x10, 1, 4, 1))}
    stops(oc.END, "protocol", amount=50001, balance=90000, gpo_replace=afl)


def test_valid_to_the_last_day():
    check(sc.tap(sc.Card(expiry="261124", track2_expiry="2611")), oc.APPROVED, "approved")
    begins = [("5F24", "5F25", "5A", "9F08", "9F4A", "8F", "9F32", "90", "92")]
    card = sc.Card(layout=begins + sc.Card().layout[1:], personalised={"5F25": sc.DATE})
    check(sc.tap(card), oc.APPROVED, "approved")
    check(sc.tap(sc.Card(issuer={"expiry": "1126"})), oc.APPROVED, "approved")
    check(sc.tap(sc.Card(certificate={"expiry": "1126"})), oc.APPROVED, "approved")


def test_revoked_issuer_also_from_the_cache():
    terminal = sc.terminal()
    check(sc.tap(sc.Card(), at=terminal), oc.APPROVED, "approved")
    check(sc.tap(sc.Card(), at=terminal), oc.APPROVED, "approved")
    assert (terminal.issuer_keys.hits, terminal.issuer_keys.misses) == (1, 1)
    terminal.capks.revoke(sc.RID, 0xE1, b"\x00\x00\x01")
    stops(oc.DECLINED, "revoked", terminal)


def test_expired_ca_key():
    capks = sc.CapkStore(False)
    capks.add(sc.capk_row(expiry="20261123"), False)
    stops(oc.DECLINED, "key-expired", sc.terminal(capks=capks))


def test_version_00_only_from_old_cards():
    card = sc.Card(version=0, application_version=b"\x00\x20")
    check(sc.tap(card), oc.APPROVED, "approved")
    no_version = [("5F24", "5A", "9F4A", "8F", "9F32", "90", "92")]
    stops(oc.DECLINED, "fdda-version", version=0, layout=no_version + sc.Card().layout[1:])


def test_refused_after_the_debit_is_a_dispute():
    card = sc.Card(last_extra=encode(0x9F74, b"twice"))  # 9F74 again: breaks the record rules
    tx = sc.tap(card)
    check(tx, oc.DISPUTED, "malformed")
    assert card.balance == 50000 - 2160
    assert tx.outcome.record_outcome() == 2
    assert tx.outcome.record_reason() == "disputed: malformed"
    assert tx.outcome.data


def test_signature_over_something_else_is_a_dispute():
    def forge(records):
        records[-1] = encode(0x9F74, b"ECC001") + encode(0x9F69, bytes((1,)) + bytes(7))

    check(sc.tap(sc.Card(change_records=forge)), oc.DISPUTED, "fdda")

    # Without any 9F69 it is read as version 00, and its hash does not fit that either.
    def strip(records):
        records[-1] = encode(0x9F74, b"ECC001")

    check(sc.tap(sc.Card(change_records=strip)), oc.DISPUTED, "fdda-version")


def test_certificates_in_the_last_record_are_checked_after_it():
    layout = sc.Card().layout
    late = [layout[0], layout[1] + layout[2] + layout[3]]
    check(sc.tap(sc.Card(layout=late)), oc.APPROVED, "approved")
    card = sc.Card(layout=late, certificate={"expiry": "1026"})
    check(sc.tap(card), oc.DISPUTED, "cert-expired")
    assert card.balance == 50000 - 2160


def test_the_next_record_is_asked_for_before_the_last_one_is_judged():
    tx = stops(oc.END, "malformed", expiry="401331")  # in the first record
    assert tx.apdus == 3 + 2
    tx = stops(oc.DECLINED, "fdda", replace={"9F4B": bytes(64)})  # in the last but one
    assert tx.apdus == 3 + 3
    tx = stops(oc.DECLINED, "denied", sc.terminal(denied=lambda pan: True))
    assert tx.apdus == 3 + 1
    one = sc.Card().layout[:1]  # one record only: nothing goes out before all is judged
    tx = stops(oc.DECLINED, "denied", sc.terminal(denied=lambda pan: True), layout=one)
    assert tx.apdus == 3


def test_afl_made_longer_on_the_air_hides_no_debit_from_what_is_judged_late():
    one = sc.Card().layout[:1]
    card = sc.Card(layout=one, gpo_replace={"94": bytes((0x10, 1, 2, 1))})
    for busy in (False, True):
        tx = sc.tap(card, at=sc.terminal(denied=lambda pan: True), busy=busy)
        check(tx, oc.DISPUTED, "denied")
    card.leave_at = (4, "answer")
    check(sc.tap(card), oc.TORN, "torn")


def test_a_transit_card_may_go_before_its_certificates_are_opened():
    for late in ("work", "outcome", "card_lost"):
        terminal = sc.terminal(profiles=(ODA,))
        card = sc.Card(oda=True)
        tx = Transaction(terminal, 2160, sc.UN, sc.DATE, sc.TIME)
        card.field_on()
        command = tx.start()
        while command is not None:
            assert tx.outcome is None and not tx.card_read
            response = card.apdu(command)
            while tx.work():
                pass
            command = tx.step(response)
        assert tx.card_read and terminal.issuer_keys.misses == 0
        raises(SequenceError, tx.step, b"\x90\x00")
        if late == "work":
            while tx.work():
                pass
            assert terminal.issuer_keys.misses == 1
        if late == "card_lost":
            assert tx.card_lost().code == oc.APPROVED
        check(tx, oc.APPROVED, "approved")
    stops(oc.DECLINED, "card-cert", terminal, oda=True, certificate={"pan": "6210948000000128"})


def test_card_that_wants_the_bank():
    tx = stops(oc.DECLINED, "online", balance=2159)
    assert tx.outcome.profile == ECASH
    check(sc.tap(sc.Card(balance=2160)), oc.APPROVED, "approved")
    stops(oc.DECLINED, "card-refuses", gpo_replace={"9F10": bytes.fromhex("0701010380000001")})
    stops(oc.END, "protocol", gpo_replace={"9F27": b"\x80"})  # contradicts 9F10


def test_limits():
    stops(oc.OTHER_INTERFACE, "amount", amount=0)
    stops(oc.OTHER_INTERFACE, "limit", amount=99900, balance=200000)
    stops(oc.OTHER_INTERFACE, "limit", amount=50001, balance=200000)  # over the floor: online
    card = sc.Card(balance=200000)
    check(sc.tap(card, amount=50000), oc.APPROVED, "approved")
    sc.tap(card, amount=99899)
    assert card.log[-1][7 : 7 + 4] == bytes.fromhex("28C00080")  # online and CVM required
    raises(ValueError, sc.tap, card, -1)


def test_what_waits_for_upload_is_limited():
    terminal = sc.terminal(stored=StoredLimits(count=2, amount=5000, age_s=100))
    for stored, reason in (
        ((2, 0, 0), "stored-count"),
        ((1, 2841, 0), "stored-amount"),
        ((1, 0, 101), "stored-age"),
    ):
        check(sc.tap(sc.Card(), at=terminal, stored=stored), oc.OTHER_INTERFACE, reason)
    check(sc.tap(sc.Card(), at=terminal, stored=(1, 2840, 100)), oc.APPROVED, "approved")


def test_the_same_card_soon_again_asks_the_driver():
    terminal = sc.terminal(seen=lambda pan, psn: (pan, psn) == (sc.PAN, 1))
    stops(oc.ASK_DRIVER, "repeat", terminal)
    check(sc.tap(sc.Card(), at=terminal, confirmed=True), oc.APPROVED, "approved")


def test_cardholder_verification():
    stops(oc.OTHER_INTERFACE, "pin", ctq=b"\x80\x00")
    stops(oc.OTHER_INTERFACE, "pin", ctq=b"\x40\x00")  # no signature at this terminal
    signing = sc.terminal(ttq_mask=b"\x2a\xc0\x00\x80")
    tx = sc.tap(sc.Card(ctq=b"\x40\x00"), at=signing)
    check(tx, oc.APPROVED, "approved")
    assert tx.outcome.flags & oc.FLAG_SIGNATURE
    tx = sc.tap(sc.Card(ctq=b"\x80\x80"))
    check(tx, oc.APPROVED, "approved")
    assert tx.outcome.flags & oc.FLAG_CDCVM


def test_an_owner_verified_on_the_air_only_is_no_owner():
    """The CDCVM bit set in 9F6C by someone between card and reader, to pass the CVM limit."""
    check(sc.tap(sc.Card(gpo_replace={"9F6C": b"\x00\x80"})), oc.DISPUTED, "fdda")
    terminal = sc.terminal(profiles=(ODA,))
    card = sc.Card(oda=True, gpo_replace={"9F6C": b"\x00\x80"})
    check(sc.tap(card, at=terminal), oc.DECLINED, "fdda")
    check(sc.tap(sc.Card(oda=True, ctq=b"\x00\x80"), at=terminal), oc.APPROVED, "approved")


def test_status_words():
    stops(oc.END, "blocked", status={"ppse": 0x6A81})
    stops(oc.END, "no-application", status={"ppse": 0x6A82})
    stops(oc.END, "blocked", status={"select": 0x6283})
    stops(oc.END, "no-application", status={"select": 0x6A82})
    stops(oc.END, "card-ends", status={"gpo": 0x6985})
    tx = stops(oc.TRY_AGAIN, "phone", status={"gpo": 0x6986})
    assert tx.outcome.wait_ms >= 1000
    stops(oc.END, "card-refuses", status={"gpo": 0x6971})
    stops(oc.END, "protocol", status={"record": 0x6A83})


def test_next_candidate():
    """A preferred application that cannot be selected is passed over."""
    other = encode(0x4F, sc.AID + b"\x01") + encode(0x87, b"\x01")
    card = sc.Card(entries=[other])
    tx = sc.tap(card)
    check(tx, oc.APPROVED, "approved")
    assert card.log[1][5:14] == sc.AID + b"\x01" and tx.apdus == 8
    no_amount = bytes.fromhex("9F66045F2A029F3704")
    stops(oc.END, "malformed", pdol=no_amount, entries=[other])


def test_transit_oda():
    terminal = sc.terminal(profiles=(ODA,))
    card = sc.Card(oda=True)
    tx = sc.tap(card, at=terminal)
    check(tx, oc.APPROVED, "approved")
    assert card.log[2][7:11] == bytes.fromhex("21800080")
    assert (tx.outcome.profile, tx.outcome.balance_after) == (ODA, None)
    assert dict(tx.outcome.data)[0x9F27] == b"\x80"
    assert card.balance == 50000
    stops(oc.OTHER_INTERFACE, "other-interface", terminal)  # no DF61
    stops(oc.DECLINED, "fdda", terminal, oda=True, format=0x95)  # kernel 7 takes 05 only
    stops(oc.DECLINED, "no-oda", terminal, oda=True, gpo_replace={"94": None})
    stops(oc.DECLINED, "counter", terminal, oda=True, atc=-1)


def test_oda_is_refused_without_dispute():
    terminal = sc.terminal(profiles=(ODA,))
    card = sc.Card(oda=True, last_extra=encode(0x9F74, b"twice"))
    check(sc.tap(card, at=terminal), oc.END, "malformed")


def test_oda_limit_leaves_the_purse():
    terminal = sc.terminal(profiles=(ODA, ECASH), oda_limit=2000)
    assert sc.tap(sc.Card(oda=True), amount=2000, at=terminal).outcome.profile == ODA
    assert sc.tap(sc.Card(oda=True), amount=2001, at=terminal).outcome.profile == ECASH


def test_live_keys_do_not_flag_test():
    capks = sc.CapkStore(True)
    capks.add(sc.capk_row(), True)
    tx = sc.tap(sc.Card(), at=sc.terminal(capks=capks))
    assert not tx.outcome.flags & oc.FLAG_TEST_KEYS


def test_two_cards():
    tx = Transaction(sc.terminal(), 2160, sc.UN, sc.DATE, sc.TIME)
    tx.start()
    assert tx.two_cards().reason == "two-cards"
    assert tx.outcome.code == oc.TRY_AGAIN


def test_out_of_order_use():
    tx = Transaction(sc.terminal(), 2160, sc.UN, sc.DATE, sc.TIME)
    raises(SequenceError, tx.step, b"\x90\x00")
    tx.start()
    raises(SequenceError, tx.start)
    raises(ValueError, Transaction, sc.terminal(), 1, b"123", sc.DATE, sc.TIME)
    raises(ValueError, Transaction, sc.terminal(), 1, sc.UN, b"\x26\x13\x01", sc.TIME)


def test_answers_of_impossible_length():
    for response in (b"", b"\x90", bytes(259)):
        tx = Transaction(sc.terminal(), 2160, sc.UN, sc.DATE, sc.TIME)
        tx.start()
        assert tx.step(response) is None
        check(tx, oc.END, "malformed")


def test_every_reason_has_its_words():
    for reason, text in oc.messages().items():
        assert len(reason) <= 16 and text.endswith((".", "?"))
