# A receipt as lines of text, made from records only, so that a copy can be printed at any time.
# MIT licence, (c) 2026 The Flagfall contributors.
#
# 32 columns: a 58 mm thermal printer's font A; a character that is not ASCII takes two. The
# fields are those of a taxi receipt in China (plate, certificate, times, unit price, distance,
# waiting, amount, complaint phone) and, for a tap, the last four digits only, the card's counter
# and the balance left.

try:
    from micropython import const
except ImportError:  # CPython

    def const(value):
        return value


from flagfall import NOTICE
from flagfall.clock import civil
from flagfall.language import english

WIDTH = const(32)
UNKNOWN_BALANCE = const(0xFFFFFFFF)
CASH = const(1)
CARD = const(2)

_CODES = {156: "CNY", 344: "HKD", 392: "JPY", 410: "KRW", 528: "EUR", 702: "SGD", 826: "GBP"}
_CODES.update({840: "USD", 901: "TWD", 978: "EUR"})


def currency_code(numeric):
    """ISO 4217 alphabetic code of a numeric one, or the number as text."""
    return _CODES.get(numeric, str(numeric))


def money(minor, digits=2):
    """Minor units as text: money(8460) == "84.60"; digits is that of the currency."""
    if digits == 0:
        return str(minor)
    sign = "-" if minor < 0 else ""
    whole, part = divmod(abs(minor), 10**digits)
    return "%s%d.%0*d" % (sign, whole, digits, part)


def kilometres(mm):
    """Millimetres as km with two places, cut, never rounded up: 1,999,999 mm is 1.99 km."""
    return "%d.%02d" % (mm // 1000000, mm % 1000000 // 10000)


def clock_time(ms):
    """Milliseconds as h:mm:ss, whole seconds that have passed."""
    s = ms // 1000
    return "%d:%02d:%02d" % (s // 3600, s // 60 % 60, s % 60)


def columns(text):
    """How wide `text` is on paper."""
    n = 0
    for c in text:
        n += 1 if c <= "~" else 2
    return n


def cut(text, most):
    """As much of `text` as fits into `most` columns."""
    while columns(text) > most:
        text = text[:-1]
    return text


def row(left, right):
    """A label and a value on one line, the value cut if it does not fit."""
    right = cut(right, WIDTH - 1)
    room = WIDTH - columns(right)
    left = cut(left, room - 1)
    return left + " " * (room - columns(left)) + right


def centred(text):
    text = cut(text, WIDTH)
    return " " * ((WIDTH - columns(text)) // 2) + text


def lines(
    heading,
    trip,
    payment,
    unit_price,
    utc_offset_s,
    digits=2,
    copy=False,
    texts=None,
    campaigns=(),
    words=english,
):
    """The receipt of one trip.

    `heading`: dict with company, plate, certificate, phone (texts, may be missing).
    `trip`, `payment`: the fields of a TRIP and a PAYMENT record (docs/formats.md, section 3);
    payment is None unless a card paid. `unit_price`: minor units a km. `texts`: the office's own
    lines, "header" and "footer"; `campaigns`: where a discount's name is looked up;
    `words(template, *args)`: what to print for a text of this file (app/words.py). Returns text
    lines.
    """
    code = currency_code(trip["currency"])
    out = [centred(heading.get("company") or words("TAXI")), centred(words("TAXI RECEIPT"))]
    if copy:
        out.append(centred(words("* COPY *")))
    texts = texts or {}
    out.extend(centred(line) for line in texts.get("header", ()))
    out.append("-" * WIDTH)
    for label, key in (("Plate", "plate"), ("Certificate", "certificate"), ("Phone", "phone")):
        if heading.get(key):
            out.append(row(words(label), heading[key]))
    start = civil(trip["start_time"] + utc_offset_s)
    end = civil(trip["end_time"] + utc_offset_s)
    out.append(row(words("Trip"), "%d" % trip["trip"]))
    out.append(row(words("Date"), "%04d-%02d-%02d" % start[:3]))
    times = "%02d:%02d - %02d:%02d" % (start[3], start[4], end[3], end[4])
    out.append(row(words("On - off"), times))
    out.append(row(words("Unit price /km"), money(unit_price, digits)))
    out.append(row(words("Distance km"), kilometres(trip["distance_mm"])))
    out.append(row(words("Waiting"), clock_time(trip["slow_ms"])))
    out.append(row(words("Fare"), money(trip["fare"], digits)))
    if trip["supplements"]:
        out.append(row(words("Supplements"), money(trip["supplements"], digits)))
    out.append("-" * WIDTH)
    total = money(trip["fare"] + trip["supplements"], digits)
    out.append(row(words("TOTAL %s", code), total))
    if trip["paid"] == CASH:
        out.append(row(words("Paid"), words("CASH")))
    elif trip["paid"] == CARD and payment is not None:
        if trip.get("discount"):
            names = [c["name"] for c in campaigns if c["id"] == trip["campaign"]]
            name = names[0] if names else words("Campaign %d", trip["campaign"])
            out.append(row(name, "-" + money(trip["discount"], digits)))
            out.append(row(words("Charged to card"), money(payment["amount"], digits)))
        out.append(row(words("Paid"), words("CARD, contactless")))
        out.append(row(words("Card"), "**** " + payment["last_digits"]))
        out.append(row(words("Card counter"), "%d" % payment["atc"]))
        if payment["balance_after"] != UNKNOWN_BALANCE:
            balance = money(payment["balance_after"], digits)
            out.append(row(words("Balance left"), balance))
    else:
        out.append(row(words("Paid"), words("NOT PAID")))
    if trip["flags"] & 1:
        out.append(centred(words("ended by loss of power")))
    out.append("-" * WIDTH)
    out.extend(centred(line) for line in texts.get("footer", ()))
    out.append(centred(words(NOTICE.upper())))
    return out
