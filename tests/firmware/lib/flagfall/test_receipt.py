from flagfall import receipt

_TRIP = {
    "trip": 7,
    "start_time": 826156800,  # 2026-03-07T00:00:00Z
    "end_time": 826157580,
    "distance_mm": 5432109,
    "slow_ms": 151999,
    "fare": 1980,
    "supplements": 0,
    "currency": 156,
    "paid": 2,
    "flags": 0,
}
_PAYMENT = {"last_digits": "0011", "atc": 12, "balance_after": 48020}
_HEADING = {"company": "Test Taxi Co", "plate": "TEST-001", "phone": "000"}


def test_units():
    assert receipt.money(8460) == "84.60"
    assert receipt.money(5) == "0.05"
    assert receipt.money(-105) == "-1.05"
    assert receipt.money(730, 0) == "730"
    assert receipt.kilometres(1999999) == "1.99"
    assert receipt.clock_time(3661999) == "1:01:01"
    assert receipt.currency_code(344) == "HKD" and receipt.currency_code(999) == "999"


def test_card_receipt_shows_last_four_and_local_time():
    text = receipt.lines(_HEADING, _TRIP, _PAYMENT, 200, 8 * 3600)
    assert all(len(line) <= receipt.WIDTH for line in text)
    assert receipt.row("TOTAL CNY", "19.80") in text
    assert receipt.row("Card", "**** 0011") in text
    assert receipt.row("Balance left", "480.20") in text
    assert receipt.row("On - off", "08:00 - 08:13") in text
    assert receipt.row("Waiting", "0:02:31") in text
    assert text[-1].strip() == "UNCERTIFIED REFERENCE DESIGN"
    assert "* COPY *" not in "".join(text)


def test_cash_unpaid_supplement_copy_and_interrupted():
    trip = dict(_TRIP)
    trip["paid"] = 1
    trip["supplements"] = 500
    trip["flags"] = 1
    text = receipt.lines({}, trip, None, 200, 0, copy=True)
    assert receipt.row("Paid", "CASH") in text
    assert receipt.row("Supplements", "5.00") in text
    assert receipt.row("TOTAL CNY", "24.80") in text
    assert "* COPY *" in "".join(text) and "ended by loss of power" in "".join(text)
    trip["paid"] = 0
    assert receipt.row("Paid", "NOT PAID") in receipt.lines({}, trip, None, 200, 0)


def test_unknown_balance_is_not_shown_and_long_texts_are_cut():
    payment = dict(_PAYMENT)
    payment["balance_after"] = receipt.UNKNOWN_BALANCE
    text = receipt.lines({"company": "C" * 60, "plate": "P" * 60}, _TRIP, payment, 200, 0)
    assert all(len(line) <= receipt.WIDTH for line in text)
    assert not any("Balance" in line for line in text)


def test_another_language_keeps_the_columns():
    own = {"Paid": "付款方式", "CASH": "现金", "TOTAL %s": "合计 %s", "TAXI RECEIPT": "小票"}

    def words(template, *args):
        text = own.get(template, template)
        return text % args if args else text

    trip = dict(_TRIP)
    trip["paid"] = 1
    heading = {"company": "测" * 20, "plate": "皖A·12345"}
    text = receipt.lines(heading, trip, None, 200, 0, words=words)
    assert text[0] == "测" * 16 and text[1] == " " * 14 + "小票"
    assert receipt.row("Plate", "皖A·12345") in text
    assert "付款方式" + " " * 20 + "现金" in text
    assert receipt.row("合计 CNY", "19.80") in text
    assert all(receipt.columns(line) <= receipt.WIDTH for line in text)
    assert receipt.columns(receipt.row("里程" * 20, "2")) == receipt.WIDTH
