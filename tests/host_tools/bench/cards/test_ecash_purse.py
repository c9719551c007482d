"""The purse: what GPO decides, what the records do, and what stays after the tap."""

import pytest
from flagfall_host.bench.cards import catalogue
from flagfall_host.bench.cards.memory import CardStateUnreadable


def test_debits_once_and_when_the_last_record_is_read(tap):
    card = catalogue.make("ecash")
    t = tap(card, t9F02="000000001234")
    t.select()
    o = t.options()
    assert card.atc == 1 and o["9F36"].hex() == "0001"
    *before, last = t.places()
    for sfi, number, _ in before:
        t.read(sfi, number)
        assert card.balance == 50000
    record = t.read(*last[:2])
    assert card.balance == 50000 - 1234
    assert t.read(*last[:2]) == record  # again: the same, and no second debit
    assert card.balance == 50000 - 1234 and t.balance() == 50000 - 1234


def test_records_may_be_read_in_any_order(tap):
    card = catalogue.make("ecash")
    t = tap(card)
    t.select()
    t.options()
    for sfi, number, _ in reversed(t.places()):
        t.read(sfi, number)
    assert card.balance == 49500


def test_the_balance_shown_is_the_one_before_the_debit_unless_set_otherwise(tap):
    for shown, figure in (("before", "000000050000"), ("after", "000000049500")):
        t = tap(catalogue.make("ecash", balance_shown=shown))
        o = t.pay()
        assert o["9F5D"].hex() == figure and o["9F10"][10:15].hex() == figure[2:]
        assert t.balance() == 49500


def test_copy_of_the_last_record_after_a_new_selection(tap):
    card = catalogue.make("ecash")
    t = tap(card)
    t.pay()
    sfi, number, _ = t.places()[-1]
    last = t.records[sfi, number]
    other = tap(card)
    other.select()
    assert other.read(sfi, number) == last
    assert other.send("00B2011400")[1] == "6985"  # any other record wants GPO first
    assert card.balance == 49500
    # A transaction that goes no further than GPO leaves the copy alone.
    other.options()
    again = tap(card)
    again.select()
    assert again.read(sfi, number) == last and card.atc == 2


def test_a_new_card_has_no_copy(tap):
    t = tap(catalogue.make("ecash"))
    t.select()
    assert t.send("00B2012C00")[1] == "6985"


def test_9f69_is_fixed_at_gpo_and_new_each_time(tap):
    card = catalogue.make("ecash")
    seen = {tap(card).pay()["9F69"] for _ in range(5)}
    assert len(seen) == 5 and card.balance == 47500


def test_the_same_seed_repeats_and_another_does_not(tap):
    one, same, other = (tap(catalogue.make("ecash", seed=s)).pay() for s in (7, 7, 8))
    assert one == same and one["9F69"] != other["9F69"]


@pytest.mark.parametrize(
    ("terminal", "settings", "cvr"),
    [
        ({"t9F66": "28000080", "t9F02": "000000050000"}, {}, 0x90),
        ({"t9F66": "28000080", "t9F02": "000000000000"}, {}, 0x90),
        ({"t9F66": "20000080", "t9F02": "000000050001"}, {}, 0xA0),  # over balance and cap
        ({"t9F66": "28000080", "t9F02": "000000050001"}, {}, 0x80),
        ({"t9F66": "28000080", "t9F02": "000000050001"}, {"balance": 60000}, 0x80),  # over the cap
        ({"t9F66": "36800000"}, {}, 0xA0),  # the terminal requires online
        ({"t9F66": "28800080"}, {}, 0x80),  # and cannot go there
        ({"t5F2A": "0344"}, {}, 0x80),  # another currency
        ({"t9F66": "28400080"}, {}, 0x80),  # CVM that neither side has
        ({"t9F66": "2A400080"}, {}, 0x90),  # signature
        ({"t9F66": "24400080"}, {}, 0xA0),  # online PIN
        ({"t9F66": "2C400080"}, {}, 0x80),
    ],
)
def test_what_gpo_decides(tap, terminal, settings, cvr):
    card = catalogue.make("ecash", **settings)
    before = card.balance
    t = tap(card, **terminal)
    t.select()
    o = t.options()
    assert o["9F10"][4] == cvr
    assert ("94" in o) == (cvr == 0x90)
    if cvr != 0x90:
        assert {"82", "9F36", "57", "9F10", "9F26", "9F63", "5F34", "9F6C", "9F5D", "5F20"} == set(
            o
        )
        assert t.send("00B2011400")[1] == "6A83"
    assert card.atc == 1 and card.balance == before


def test_ctq_says_how_the_cardholder_is_verified(tap):
    for ttq, ctq in (("28000080", "0000"), ("2A400080", "4000"), ("24400080", "8000")):
        t = tap(catalogue.make("ecash"), t9F66=ttq)
        t.select()
        assert t.options()["9F6C"].hex() == ctq


def test_phone_wants_its_owner_and_takes_the_second_tap(tap):
    card = catalogue.make("phone")
    t = tap(card)
    t.select()
    assert t.send(t.gpo_command())[1] == "6986"
    assert t.send(t.gpo_command())[1] == "6986" and card.atc == 0
    t = tap(card)  # off and on: the owner has unlocked it
    o = t.pay()
    assert o["9F6C"].hex() == "0080" and card.balance == 49500
    t = tap(card)
    t.select()
    assert t.send(t.gpo_command())[1] == "6986"  # once for each payment


def test_a_phone_is_never_known_by_its_uid(tap):
    card = catalogue.make("phone")
    seen = set()
    for _ in range(4):
        card.field_on()
        seen.add(card.uid)
        card.field_off()
    assert len(seen) == 4 and all(len(uid) == 4 and uid[0] == 8 for uid in seen)
    purse = catalogue.make("ecash")
    before = purse.uid
    purse.field_on()
    assert purse.uid == before


def test_oda_cards_say_so_and_keep_no_purse(tap):
    for name, aid in (("oda-debit", "0101"), ("oda-credit", "0102")):
        card = catalogue.make(name)
        t = tap(card, t9F66=tap.ODA)
        o = t.pay()
        assert t.fci["DF61"] == b"\x40" and t.fci["84"].hex().endswith(aid)
        assert o["9F10"].hex() == "07010103a0000001" and "9F5D" not in o
        assert int.from_bytes(o["9F36"], "big") == 1
        assert t.send("80CA9F7900")[1] == "6A88"
    purse = tap(catalogue.make("ecash"))
    purse.select()
    assert "DF61" not in purse.fci


def test_e_cash_card_without_oda_gives_no_signature_online(tap):
    t = tap(catalogue.make("ecash"), t9F66=tap.ODA)
    t.select()
    assert "94" not in t.options()


def test_priority_beats_order_in_the_directory(tap):
    card = catalogue.make("two-applications")
    t = tap(card)
    t.select()
    assert t.fci["84"].hex().upper() == "A000000333010101"
    t.options()
    assert [applet.memory.atc for applet in card.applets] == [0, 1]


def test_partial_names_and_the_next_one(tap):
    t = tap(catalogue.make("two-applications"))
    first = t.good("00A4040005A00000033300")
    second = t.good("00A4040205A00000033300")
    assert b"\x01\x01\x02" in first and b"\x01\x01\x01" in second
    assert t.send("00A4040205A00000033300")[1] == "6A82"
    assert t.send("00A4040004A000000300")[1] == "6A82"
    assert t.send("00A4040005A00000000300")[1] == "6A82"


def test_blocked_card_and_blocked_application(tap):
    t = tap(catalogue.make("blocked"))
    assert t.send("00A404000E325041592E5359532E444446303100") == (b"", "6A81")
    assert t.send("00A4040008A00000033301010600") == (b"", "6A81")
    t = tap(catalogue.make("application-blocked"))
    data, sw = t.send("00A4040008A00000033301010600")
    assert sw == "6283" and data[0] == 0x6F
    assert t.send("80CA9F7900")[1] == "6985"


def test_get_data(tap):
    card = catalogue.make("ecash")
    t = tap(card)
    assert t.send("80CA9F7900")[1] == "6985"
    t.pay()
    for tag, value in {
        "9F79": "000000049500",
        "9F5D": "000000049500",
        "9F77": "000000100000",
        "9F78": "000000050000",
        "9F6D": "000000001000",
        "9F36": "0001",
        "9F13": "0000",
        "9F17": "03",
        "9F51": "0156",
    }.items():
        size = len(value) // 2
        assert t.good(f"80CA{tag}00").hex() == f"{tag}{size:02x}{value}".lower()
    assert t.send("80CA9F0000")[1] == "6A88"
    assert t.send("80CA9F7907")[1] == "6C09"


def test_log_holds_the_last_ten_newest_first(tap):
    card = catalogue.make("ecash")
    for amount in range(1, 13):
        tap(card, t9F02=f"{amount:012d}").pay()
    t = tap(card)
    t.select()
    layout = t.good("80CA9F4F00")
    assert layout.hex() == "9f4f0d9a039f02065f2a029f36029c01"
    entries = [t.read(11, n) for n in range(1, 11)]
    assert [int(entry[3:9].hex()) for entry in entries] == list(range(12, 2, -1))
    assert entries[0].hex() == "261124" + "000000000012" + "0156" + "000c" + "00"
    assert t.send("00B20B5C00")[1] == "6A83"


def test_gpo_once_for_each_selection(tap):
    card = catalogue.make("ecash")
    t = tap(card)
    t.select()
    t.options()
    assert t.send(t.gpo_command())[1] == "6985" and card.atc == 1


def test_gpo_that_makes_no_sense_changes_nothing(tap):
    card = catalogue.make("ecash")
    t = tap(card)
    t.select()
    good = t.gpo_command()
    for bad, sw in (
        (good[:-2], "6700"),
        (good[:10] + "84" + good[12:], "6A80"),
        ("80A8000002830000", "6700"),
        (good.replace("000000000500", "00000000050A"), "6A80"),
        (good.replace("8321" + t.terminal["9F66"], "832110000080"), "6985"),
        (good[:4] + "01" + good[6:], "6A86"),
    ):
        assert t.send(bad)[1] == sw, bad
    assert card.atc == 0
    t.options()


def test_a_counter_at_its_end_pays_no_more(tap):
    card = catalogue.make("ecash")
    card.memories["A000000333010106"].atc = 0xFFFF
    t = tap(card)
    t.select()
    assert t.send(t.gpo_command())[1] == "6985"


def test_the_card_lives_on_in_its_file(tap, tmp_path):
    store = tmp_path / "card.json"
    t = tap(catalogue.make("ecash", store=store))
    t.pay()
    sfi, number, _ = t.places()[-1]
    again = catalogue.make("ecash", store=store)
    assert (again.balance, again.atc) == (49500, 1)
    u = tap(again)
    u.select()
    assert u.read(sfi, number) == t.records[sfi, number]
    assert u.read(11, 1)[3:9].hex() == "000000000500"
    u.options()
    assert catalogue.make("ecash", store=store).atc == 2  # written before GPO is answered
    elsewhere = tmp_path / "copy.json"
    again.save(elsewhere)
    assert elsewhere.read_bytes() == store.read_bytes()


def test_a_file_that_is_no_card_is_refused_by_name(tmp_path):
    store = tmp_path / "card.json"
    for text in ("", "[]", '{"A000000333010106": {"colour": 1}}', '{"A000000333010106": 5}', "7"):
        store.write_text(text, encoding="ascii")
        with pytest.raises(CardStateUnreadable, match=r"card\.json"):
            catalogue.make("ecash", store=store)


def test_a_bench_killed_while_writing_leaves_the_state_before(tap, tmp_path, monkeypatch):
    store = tmp_path / "card.json"
    card = catalogue.make("ecash", store=store)
    tap(card).pay()
    t = tap(card)
    t.select()
    t.options()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("flagfall_host.bench.cards.memory.os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        t.read_all()
    monkeypatch.undo()
    again = catalogue.make("ecash", store=store)
    assert (again.balance, again.atc) == (49500, 2)
    u = tap(again)
    u.pay()
    assert catalogue.make("ecash", store=store).balance == 49000
